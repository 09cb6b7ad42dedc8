"""Renders the chart for every helm/longshore/ci/*-values.yaml, and holds the result equal to ci/golden.

usage: render.py HELM CHART OUT        (LONGSHORE_BLESS=1 writes the golden files anew)
"""

import difflib
import os
import pathlib
import subprocess
import sys

helm, chart, out = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
out.mkdir(parents=True, exist_ok=True)
golden = chart / "ci" / "golden"
golden.mkdir(exist_ok=True)
apis = ["monitoring.coreos.com/v1", "keda.sh/v1alpha1"]
differing = []
for values in sorted(chart.glob("ci/*-values.yaml")):
    name = values.name.removesuffix("-values.yaml")
    lint = subprocess.run([helm, "lint", "--strict", "--quiet", chart, "-f", values], capture_output=True, text=True)
    if lint.returncode:
        sys.exit(f"helm lint --strict -f {values}:\n{lint.stdout}{lint.stderr}")
    rendered = subprocess.run(
        [helm, "template", "try", chart, "-n", "jobs", "-f", values, "--kube-version", "1.34.0", *(f"-a={api}" for api in apis)],
        capture_output=True,
        text=True,
    )
    if rendered.returncode:
        sys.exit(f"helm template -f {values}:\n{rendered.stderr}")
    (out / f"{name}.yaml").write_text(rendered.stdout)
    kept = golden / f"{name}.yaml"
    if os.environ.get("LONGSHORE_BLESS"):
        kept.write_text(rendered.stdout)
    before = kept.read_text() if kept.exists() else ""
    if before != rendered.stdout:
        differing.append(name)
        sys.stderr.writelines(
            difflib.unified_diff(before.splitlines(True), rendered.stdout.splitlines(True), str(kept), "rendered")
        )
if differing:
    sys.exit(f"the chart renders differently for {', '.join(differing)}: if that is meant, run with LONGSHORE_BLESS=1")
print(f"rendered as before: {len(list(out.glob('*.yaml')))} sets of values")
