//! Configurations that are wrong in many ways, each with a secret where the mistake is.

use futures_util::future::join_all;

use super::place::{Place, said_by};
use super::planted::{Heard, MISTAKE, Reader};

/// Files that cannot be used; `@` stands for the secret.
const FILES: &[(&str, &str)] = &[
    (
        "wrong values",
        r#"
        amqp_url = "amqp://jobs:@@host:port"
        redis_url = "jobs:@@host"
        [worker.http.f]
        url = "htp://host/@"
        secret = "whsec_!@"
        headers = { "a b" = "@" }
        [worker.commands.f]
        program = ""
        env = { "A=B" = "@" }
        [notify.webhook.inside]
        url = "https://127.0.0.1/@"
        secret = "whsec_!@"
        [notify.webhook.open]
        url = "http://u:@@example.com/?token=@"
        [notify.email.ops]
        host = "mail.example.com"
        password = "@"
        tls = "none"
        from = "nobody"
        to = []
        [gateway]
        public_url = "http://u:@@host/path?token=@"
        [gateway.oidc]
        issuer = "http://u:@@example.com"
        client_secret = "@"
        [telemetry]
        endpoint = "grpc://u:@@host"
        headers = { "a b" = "@" }
        [api]
        url = "ftp://u:@@host"
        token = "@\n"
        [cron.c]
        expression = "* * * * *"
        function = "f"
        args = "{\"@\""
        "#,
    ),
    (
        "a text without its end",
        "[notify.email.ops]\nuser = \"u\"\npassword = \"@\n",
    ),
    ("a word without quotes", "[api]\ntoken = @\n"),
    ("a list for a URL", "redis_url = [\"redis://:@@host\"]\n"),
    (
        "a table for a secret",
        "[worker.http.f]\nurl = \"http://h\"\nsecret = { text = \"@\" }\n",
    ),
    (
        "a list for a table",
        "[telemetry]\nheaders = [\"authorization: @\"]\n",
    ),
    ("a text for a table", "[worker.http]\nf = \"http://u:@@host\"\n"),
    (
        "a key that is none",
        "[notify.email.ops]\npasword = \"@\"\n[notify.email.ops.pasword2]\nx = \"@\"\n",
    ),
    ("a key twice", "[api]\ntoken = \"@\"\ntoken = \"@\"\n"),
    ("a table twice", "[api]\ntoken = \"@\"\n[api]\ntoken = \"@\"\n"),
    (
        "a name that is none",
        "[notify.webhook.\"a b\"]\nurl = \"https://h/@\"\nsecret = \"@\"\n",
    ),
];

/// Variables of the environment that cannot be used.
const VARIABLES: &[(&str, &str)] = &[
    ("LONGSHORE_NOTIFY__EMAIL__OPS__PASWORD", "@"),
    ("LONGSHORE_REDIS_URL", "redis:/u:@@host"),
    ("LONGSHORE_AMQP_URL", "amqps://u:@"),
    ("LONGSHORE_TELEMETRY__HEADERS", "authorization=@"),
    ("LONGSHORE_API__URL", "u:@@host"),
    ("LONGSHORE_API__TOKEN_FILE", "LARGE"),
    ("LONGSHORE_REDIS_URL_FILE", "URL"),
];

/// What is set on the command line, where others see it anyway, and what is said of it all the same.
const SET: &[&str] = &[
    "notify.email.ops.pasword=@",
    "redis_url=redis-sentinel://u:@@h",
    "redis_url:redis://u:@@h",
    "worker.http.f.secret=whsec_!@",
];

/// Hears what is said of each of them.
pub(super) async fn hear(place: &Place, heard: &mut Heard) {
    let mut commands = Vec::new();
    for (number, (what, text)) in FILES.iter().enumerate() {
        let file = file(place, &format!("wrong-{number}.toml"), &planted(text));
        let mut command = place.command(&["--config", &file, "config", "check"]);
        // The environment is the stronger: what the file says of the servers is to be looked at.
        command
            .env_remove("LONGSHORE_AMQP_URL")
            .env_remove("LONGSHORE_REDIS_URL");
        commands.push((*what, command));
    }
    for (name, text) in VARIABLES {
        let value = match *text {
            "LARGE" => file(place, "large", &MISTAKE.repeat(1_000)),
            "URL" => file(place, "url", &format!("redis//{MISTAKE}")),
            text => planted(text),
        };
        let mut command = place.command(&["config", "check"]);
        if let Some(key) = name.strip_suffix("_FILE") {
            command.env_remove(key);
        }
        command.env(name, value);
        commands.push((*name, command));
    }
    for pair in SET {
        commands.push((*pair, place.command(&["--set", &planted(pair), "job", "ls"])));
    }
    let said = join_all(
        commands
            .into_iter()
            .map(async |(what, command)| (what, said_by(command).await)),
    );
    for (what, (code, said)) in said.await {
        assert!(
            code == 3,
            "{what} is taken, or nobody says what is wrong: {code}: {said}"
        );
        heard.add(format!("told of {what}"), Reader::Anybody, said);
    }
}

/// `@@` is the secret and the sign between it and a host, `@` the secret alone.
fn planted(text: &str) -> String {
    let text = text.replace("@@", "\u{1}").replace('@', MISTAKE);
    text.replace('\u{1}', &format!("{MISTAKE}@"))
}

fn file(place: &Place, name: &str, text: &str) -> String {
    let path = place.path(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}
