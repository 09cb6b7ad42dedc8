"""A mail server for tests: aiosmtpd, which writes every mail that it accepts into a file, one JSON object a line.

Arguments: port, folder, none|starttls|implicit, certificate, key, user, password (each "-" for none).

Files in the folder steer it: while `refuse` is there, mails are put off with 451; while `reject` is there, they are
refused for good with 554; while `hold` is there, a mail is written down and its acceptance is not told. While
`refuse-ADDRESS` or `reject-ADDRESS` is there, this recipient is put off with 450 or refused for good with 550.
"""

import asyncio
import json
import os
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

PORT, FOLDER, TLS, CERTIFICATE, KEY, USER, PASSWORD = sys.argv[1:8]


def there(name):
    return os.path.exists(os.path.join(FOLDER, name))


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if there(f"refuse-{address}"):
            return "450 4.2.1 come back later"
        if there(f"reject-{address}"):
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        if there("refuse"):
            return "451 4.3.0 come back later"
        if there("reject"):
            return "554 5.7.1 not from you"
        mail = {
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "tls": session.ssl is not None,
            "user": (session.auth_data.login.decode() if session.auth_data else None),
            "text": envelope.content.decode("utf-8", "replace"),
        }
        with open(os.path.join(FOLDER, "mails.jsonl"), "a") as file:
            file.write(json.dumps(mail) + "\n")
            file.flush()
            os.fsync(file.fileno())
        while there("hold"):
            await asyncio.sleep(0.02)
        return "250 2.0.0 accepted"


def authenticate(server, session, envelope, mechanism, data):
    right = isinstance(data, LoginPassword) and data.login == USER.encode() and data.password == PASSWORD.encode()
    return AuthResult(success=right, handled=False, auth_data=data if right else None)


def context():
    if TLS == "none":
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(CERTIFICATE, KEY)
    return made


def smtp():
    auth = {}
    if USER != "-":
        auth = {
            "authenticator": authenticate,
            "auth_required": True,
            # With TLS from the first byte aiosmtpd does not see it.
            "auth_require_tls": TLS == "starttls",
        }
    starttls = {"tls_context": context(), "require_starttls": True} if TLS == "starttls" else {}
    return SMTP(Handler(), hostname="mail.test", enable_SMTPUTF8=True, **auth, **starttls)


async def main():
    implicit = context() if TLS == "implicit" else None
    server = await asyncio.get_running_loop().create_server(smtp, "127.0.0.1", int(PORT), ssl=implicit)
    print("ready", flush=True)
    await server.serve_forever()


asyncio.run(main())
