"""Renders helm/longshore/README.md: its head from ci/readme-head.txt, its table from values.yaml and the comments there.

usage: readme.py CHART        (LONGSHORE_BLESS=1 writes it anew)
"""

import os
import pathlib
import re
import sys

import json

import yaml

chart = pathlib.Path(sys.argv[1])


def rows(text):
    """Key, default and meaning of every value whose line follows a `# -- ` comment."""
    values = yaml.safe_load(text)
    path, meaning = [], None
    for line in text.splitlines():
        bare = line.strip()
        if bare.startswith("# -- "):
            meaning = bare.removeprefix("# -- ")
            continue
        found = re.match(r"^( *)([A-Za-z]\w*):", line)
        if not found:
            meaning = None if not bare.startswith("#") else meaning
            continue
        depth = len(found[1]) // 2
        path[depth:] = [found[2]]
        if meaning:
            value = values
            for key in path:
                value = value[key]
            yield ".".join(path), json.dumps(value), meaning
        meaning = None


table = "| value | default | meaning |\n|---|---|---|\n"
for key, default, meaning in rows((chart / "values.yaml").read_text()):
    default = default.replace("|", "\\|")
    table += f"| `{key}` | `{default}` | {meaning.replace('|', chr(92) + '|')} |\n"
rendered = (chart / "ci/readme-head.txt").read_text() + table
readme = chart / "README.md"
if os.environ.get("LONGSHORE_BLESS"):
    readme.write_text(rendered)
elif not readme.exists() or readme.read_text() != rendered:
    sys.exit(f"{readme} is not that of values.yaml: run with LONGSHORE_BLESS=1")
print(f"README.md is that of values.yaml: {table.count(chr(10)) - 2} values")
