"""Values and Dockerfiles that the guide shows: the chart takes the values, hadolint the Dockerfiles.

usage: snippets.py HELM HADOLINT CHART PAGE...
"""

import pathlib
import re
import subprocess
import sys
import tempfile

helm, hadolint, chart, *pages = sys.argv[1:]
# What a snippet leaves out because it is about something else.
SERVERS = ["--set", "servers.amqp.existingSecret=a", "--set", "servers.redis.existingSecret=r"]
# Versions of Debian's packages are not the guide's matter, and `latest` is not used.
IGNORED = ["--ignore", "DL3008"]
faults, tried = [], 0
for page in pages:
    text = pathlib.Path(page).read_text()
    for kind, block in re.findall(r"^```(yaml|dockerfile)\n(.*?)^```", text, re.M | re.S):
        with tempfile.NamedTemporaryFile("w", suffix=f".{kind}") as file:
            file.write(block)
            file.flush()
            if kind == "yaml":
                servers = [] if "servers:" in block else SERVERS
                command = [helm, "template", "guide", chart, "-f", file.name, *servers]
            else:
                command = [hadolint, *IGNORED, file.name]
            said = subprocess.run(command, capture_output=True, text=True, check=False)
        tried += 1
        if said.returncode:
            faults.append(f"{page}:\n{block}\n{said.stdout[-500:]}{said.stderr}")
if tried < 3:
    faults.append(f"only {tried} snippets were found")
if faults:
    sys.exit("\n".join(faults))
print(f"taken by helm or hadolint: {tried} snippets of the guide")
