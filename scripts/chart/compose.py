"""What the schema of compose files does not see: health, ports, secrets, files that must exist.

usage: compose.py docker-compose.yml
"""

import pathlib
import re
import sys

import yaml

path = pathlib.Path(sys.argv[1])
text = path.read_text()
file = yaml.safe_load(text)
faults = []
ours = {"scheduler", "worker", "gateway"}
dockerfile = pathlib.Path("deploy/Dockerfile").read_text()
for name, service in file["services"].items():
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            faults.append(f"{name}: the port {port} is open to others; begin it with 127.0.0.1:")
    for other, how in service.get("depends_on", {}).items():
        target = file["services"][other]
        healthy = how["condition"] == "service_healthy"
        known = "healthcheck" in target or ("build" in target and "HEALTHCHECK" in dockerfile)
        if healthy and not known:
            faults.append(f"{name} waits for the health of {other}, which has no health check")
    for secret in service.get("secrets", []):
        if secret not in file["secrets"]:
            faults.append(f"{name}: the secret {secret} is nowhere")
    for variable, value in (service.get("environment") or {}).items():
        found = re.match(r"/run/secrets/(.+)", str(value))
        if found and found[1] not in service["secrets"]:
            faults.append(f"{name}: {variable} names {value}, which the service does not get")
    for volume in service.get("volumes", []):
        source = volume.split(":")[0]
        if source.startswith("./") and not pathlib.Path(source).exists():
            faults.append(f"{name}: {source} is not there")
        elif not source.startswith(("./", "/")) and source not in file["volumes"]:
            faults.append(f"{name}: the volume {source} is nowhere")
    if name in ours:
        if "container_name" in service or (name == "worker" and "ports" in service):
            faults.append(f"{name} cannot be scaled: it has a name or a port of its own")
        if not service["read_only"] or service["cap_drop"] != ["ALL"]:
            faults.append(f"{name} may write its root or has capabilities")
    if re.search(r":latest$", service["image"]) or ":" not in service["image"]:
        faults.append(f"{name}: name a version of {service['image']}")
used = {secret for service in file["services"].values() for secret in service.get("secrets", [])}
faults += [f"the secret {secret} is used by nobody" for secret in set(file["secrets"]) - used]
for password in re.findall(r"(?i)(?:password|secret|token)\w*: +(\S+)", text):
    if not password.startswith(("/run/secrets/", "{file:", "[")):
        faults.append(f"a secret stands in the file: {password}")


def seconds(value):
    found = re.fullmatch(r"(?:(\d+)m)?(?:(\d+)s)?", value)
    return int(found[1] or 0) * 60 + int(found[2] or 0)


worker = file["services"]["worker"]
stop = sum(seconds(worker["environment"][f"LONGSHORE_WORKER__{name}"]) for name in ("DRAIN_DEADLINE", "CANCEL_GRACE"))
if seconds(worker["stop_grace_period"]) <= stop:
    faults.append(f"worker: stop_grace_period is not above drain deadline and cancel grace ({stop} s)")
example = pathlib.Path(".env.example").read_text()
for variable in set(re.findall(r"\$\{(\w+)", text)):
    if f"{variable}=" not in example:
        faults.append(f".env.example does not name {variable}")
if faults:
    sys.exit("\n".join(faults))
print(f"{len(file['services'])} services; ports on this machine alone; no secret in the file")
