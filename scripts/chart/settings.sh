#!/usr/bin/env bash
# The longshore.toml of every part in the rendered manifests is a configuration that the binary takes.
# usage: settings.sh PYTHON BINARY OUT
set -euo pipefail
python=$1 binary=$2 out=$3
mkdir -p "$out/toml"
"$python" - "$out" <<'END'
import pathlib, sys, yaml
out = pathlib.Path(sys.argv[1])
for path in out.glob("*.yaml"):
    for resource in yaml.safe_load_all(path.read_text()):
        if resource and resource["kind"] == "ConfigMap" and "longshore.toml" in resource["data"]:
            name = f"{path.stem}-{resource['metadata']['name']}.toml"
            (out / "toml" / name).write_text(resource["data"]["longshore.toml"])
END
count=0
for file in "$out"/toml/*.toml; do
    if ! answer=$(env -i PATH="$PATH" LONGSHORE_AMQP_URL=amqp://host LONGSHORE_REDIS_URL=redis://host \
        "$binary" --config "$file" config check 2>&1); then
        printf '%s:\n%s\n%s\n' "$file" "$(cat "$file")" "$answer" >&2
        exit 1
    fi
    count=$((count + 1))
done
printf 'taken by the binary: %s configurations\n' "$count"
