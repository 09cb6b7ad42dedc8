"""Every expression of the dashboards and rules parses, and names metrics that docs/reference/metrics.md has.

usage: expressions.py METRICS_MD RULES DASHBOARD...
With a folder in METRICS, every metric in use must also stand in one of its *.metrics: what live processes told.
"""

import json
import os
import pathlib
import re
import sys

import promql_parser
import yaml

known = set()
for line in pathlib.Path(sys.argv[1]).read_text().splitlines():
    found = re.match(r"\| `(longshore_\w+)` \| (\w+)", line)
    if found:
        suffixes = ["_bucket", "_count", "_sum"] if found[2] == "histogram" else [""]
        known |= {found[1] + suffix for suffix in suffixes}
if len(known) < 20:
    sys.exit(f"{sys.argv[1]} has only {len(known)} metrics: has its form changed?")
# What others export: RabbitMQ's own plugin, redis_exporter's names are not used.
FOREIGN = re.compile(r"^rabbitmq_|^up$|^otelcol_")
# Grafana replaces these before Prometheus sees them.
VARIABLES = {"$__rate_interval": "5m", "$__range": "1h", "$__interval": "1m"}
faults, expressions, used = [], 0, set()


def look(where, text):
    global expressions
    expressions += 1
    for name, value in VARIABLES.items():
        text = text.replace(name, value)
    text = re.sub(r"\$\{?\w+(:\w+)?\}?", "x", text)
    try:
        promql_parser.parse(text)
    except Exception as error:  # noqa: BLE001 - the parser raises plain values
        faults.append(f"{where}: {error}: {text}")
        return
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|'[^']*'", "", text)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", bare)
    for name in re.findall(r"\b(?:longshore|rabbitmq|otelcol)_\w+|\bup\b", bare):
        used.add(name)
        if name not in known and not FOREIGN.match(name):
            faults.append(f"{where}: {name} is no metric of {sys.argv[1]}")


rules = yaml.safe_load(pathlib.Path(sys.argv[2]).read_text())
for group in rules["groups"]:
    for rule in group["rules"]:
        look(rule["alert"], rule["expr"])
uids = {}
for path in map(pathlib.Path, sys.argv[3:]):
    board = json.loads(path.read_text())
    uid = board["uid"]
    if uid in uids:
        faults.append(f"{path}: its uid {uid} is that of {uids[uid]}")
    uids[uid] = path
    ids = [panel["id"] for panel in board["panels"]]
    if len(ids) != len(set(ids)):
        faults.append(f"{path}: two panels have one id")
    for panel in board["panels"]:
        for target in panel.get("targets", []):
            if "expr" in target:
                look(f"{path.name}: {panel['title']}", target["expr"])
    for variable in board["templating"]["list"]:
        found = re.match(r"label_values\((.+), ?\w+\)$", str(variable.get("query", "")))
        if found:
            look(f"{path.name}: variable {variable['name']}", found[1])
for path in map(pathlib.Path, sys.argv[3:]):
    for uid in re.findall(r"/d/([\w-]+)", path.read_text()):
        if uid not in uids:
            faults.append(f"{path}: links to the dashboard {uid}, which is not there")
# Told only once there is something to tell: a fault, an alarm, a producer that exports metrics, a delivery of the last
# minute.
RARE = {
    "longshore_queue_delivered_age_seconds",
    "longshore_handler_panics_total",
    "longshore_jobs_enqueued_total",
    "longshore_leases_expired_total",
    "longshore_protocol_repairs_total",
    "longshore_broker_blocked",
}
if os.environ.get("METRICS"):
    told = set()
    for path in pathlib.Path(os.environ["METRICS"]).glob("*.metrics"):
        told |= set(re.findall(r"^(longshore_\w+)", path.read_text(), re.M))
    missing = {name for name in used if name.startswith("longshore_")} - told - RARE
    faults += [f"{name} is in use, and no live process told it" for name in sorted(missing)]
    print(f"live: {len(used & told)} of the metrics in use")
if faults:
    sys.exit("\n".join(faults))
print(f"{expressions} expressions parse; {len(used)} metrics are known; {len(uids)} dashboards")
