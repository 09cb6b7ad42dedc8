"""Every entry of ci/refused.yaml must be refused, in words that say where and what to set.

usage: refusals.py HELM CHART
"""

import pathlib
import subprocess
import sys
import tempfile

import yaml

helm, chart = sys.argv[1], pathlib.Path(sys.argv[2])
cases = yaml.safe_load((chart / "ci/refused.yaml").read_text())
faults = []
for case in cases:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as values:
        yaml.safe_dump(case["values"], values)
        values.flush()
        run = subprocess.run(
            [helm, "template", "try", chart, "-f", chart / "ci/minimal-values.yaml", "-f", values.name],
            capture_output=True,
            text=True,
        )
    if run.returncode == 0:
        faults.append(f"taken: {case['values']}")
        continue
    missing = [word for word in case["says"] if word not in run.stderr]
    told = [word for word in case.get("never", []) if word in run.stderr]
    if missing or told:
        faults.append(f"{case['values']}: says not {missing}, says {told}:\n{run.stderr}")
if faults:
    sys.exit("\n".join(faults))
print(f"refused, and said why: {len(cases)} wrong values")
