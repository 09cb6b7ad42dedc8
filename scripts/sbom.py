#!/usr/bin/env python3
"""The crates in the binary `longshore`, as CycloneDX 1.5 on stdout: what Cargo.lock resolves for its normal and build
dependencies on this platform, with licences and checksums. Build dependencies count because they write code.

usage: scripts/sbom.py [--offline]
"""

import json
import pathlib
import re
import subprocess
import sys

root = pathlib.Path(__file__).resolve().parent.parent
host = re.search(r"host: (\S+)", subprocess.check_output(["rustc", "-vV"], text=True))[1]
command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", host, *sys.argv[1:]]
metadata = json.loads(subprocess.check_output(command, cwd=root))
packages = {package["id"]: package for package in metadata["packages"]}
nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
checksums = {
    (name, version): checksum
    for name, version, checksum in re.findall(
        r'\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"\nsource = ".+"\nchecksum = "(.+)"',
        (root / "Cargo.lock").read_text(),
    )
}
start = next(id for id, package in packages.items() if package["name"] == "longshore-cli")


def uses(node):
    kinds = lambda dep: {kind["kind"] for kind in dep["dep_kinds"]}
    return sorted({dep["pkg"] for dep in nodes[node]["deps"] if kinds(dep) & {None, "build"}})


reached, open_ids = set(), [start]
while open_ids:
    id = open_ids.pop()
    if id not in reached:
        reached.add(id)
        open_ids += uses(id)


def reference(id):
    return f"pkg:cargo/{packages[id]['name']}@{packages[id]['version']}"


def component(id):
    package = packages[id]
    told = {
        "type": "application" if id == start else "library",
        "bom-ref": reference(id),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(id),
    }
    if package["license"]:
        told["licenses"] = [{"expression": package["license"].replace("/", " OR ")}]
    checksum = checksums.get((package["name"], package["version"]))
    if checksum:
        told["hashes"] = [{"alg": "SHA-256", "content": checksum}]
    return told


ordered = sorted(reached - {start}, key=reference)
json.dump(
    {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(start)},
        "components": [component(id) for id in ordered],
        "dependencies": [
            {"ref": reference(id), "dependsOn": [reference(used) for used in uses(id)]} for id in [start, *ordered]
        ],
    },
    sys.stdout,
    indent=1,
)
print()
