#!/usr/bin/env python3
"""What RabbitMQ must refuse the users of deploy/. Speaks AMQP with the package pika.

usage: amqp_refusals.py SECRETS
"""

import pathlib
import sys

import pika

ATTEMPTS = [
    ("producer", "read a job", lambda channel: channel.basic_get("jobs.default.normal")),
    ("producer", "consume jobs", lambda channel: channel.basic_consume("jobs.default.normal", lambda *_: None)),
    ("producer", "read dead letters", lambda channel: channel.basic_get("longshore.dead")),
    ("producer", "purge a queue", lambda channel: channel.queue_purge("jobs.default.normal")),
    ("gateway", "read a job", lambda channel: channel.basic_get("jobs.default.normal")),
    ("worker", "read dead letters", lambda channel: channel.basic_get("longshore.dead")),
    ("worker", "purge dead letters", lambda channel: channel.queue_purge("longshore.dead")),
    *(
        (role, "make another queue", lambda channel: channel.queue_declare("other"))
        for role in ("scheduler", "worker", "gateway", "producer")
    ),
    ("scheduler", "use the default exchange", lambda channel: publish(channel, "", "jobs.default.normal")),
    ("worker", "publish a job", lambda channel: publish(channel, "longshore.jobs", "default.normal")),
]


def publish(channel, exchange, key):
    channel.confirm_delivery()
    channel.basic_publish(exchange, key, b"x")


faults = []
for role, what, attempt in ATTEMPTS:
    url = (pathlib.Path(sys.argv[1]) / f"{role}-amqp-url").read_text()
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        attempt(connection.channel())
        faults.append(f"{role} may {what}")
    except pika.exceptions.ChannelClosedByBroker as refusal:
        if refusal.reply_code != 403:
            faults.append(f"{role}: {what}: {refusal}")
    finally:
        if connection.is_open:
            connection.close()
if faults:
    sys.exit("\n".join(faults))
