"""Rendered manifests against the schemas of Kubernetes (two versions, strict) and the models of the custom resources.

The models take unknown keys in silence; so each resource goes through its model and back, and must come back whole.

usage: manifests.py OUT VERSION VERSION
"""

import importlib
import pathlib
import sys

import kubernetes_validate
import yaml

MODELS = {
    "keda.sh/v1alpha1": "cloudcoil.models.keda.v1alpha1",
    "monitoring.coreos.com/v1": "cloudcoil.models.prometheus_operator.v1",
}
# No package has the definitions of these with what they refuse. What a chart of ours may write of them is few, and was
# compared with the definitions of cluster-operator and of the Gateway API (August 2026): a key that is not here is a slip,
# or is to be looked up there first.
SHAPES = {
    ("rabbitmq.com/v1beta1", "RabbitmqCluster"): {
        "replicas": int,
        "persistence": {"storage": str, "storageClassName": str},
        "resources": {"requests": dict, "limits": dict},
        "rabbitmq": {"additionalPlugins": [str], "additionalConfig": str},
    },
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): {
        "parentRefs": [{"group": str, "kind": str, "namespace": str, "name": str, "sectionName": str, "port": int}],
        "hostnames": [str],
        "rules": [
            {
                "matches": [{"path": {"type": str, "value": str}}],
                "timeouts": {"request": str, "backendRequest": str},
                "backendRefs": [{"name": str, "port": int}],
            }
        ],
    },
}


def differences(ours, back, path):
    """What was lost or changed on the way through the model."""
    if isinstance(ours, dict) and isinstance(back, dict):
        for key, value in ours.items():
            if key not in back:
                yield f"{path}.{key} is unknown"
            else:
                yield from differences(value, back[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(back, list) and len(ours) == len(back):
        for index, (one, other) in enumerate(zip(ours, back)):
            yield from differences(one, other, f"{path}[{index}]")
    elif ours != back and str(ours) != str(back):
        yield f"{path} is {ours!r}, the model makes {back!r} of it"


def strange(value, shape, path):
    """What has another form than the shape."""
    if isinstance(shape, dict) and isinstance(value, dict):
        for key, below in value.items():
            if key in shape:
                yield from strange(below, shape[key], f"{path}.{key}")
            else:
                yield f"{path}.{key} is unknown"
    elif isinstance(shape, list) and isinstance(value, list):
        for index, below in enumerate(value):
            yield from strange(below, shape[0], f"{path}[{index}]")
    elif not (isinstance(shape, type) and isinstance(value, shape)):
        yield f"{path} is {value!r}"


def through_model(resource):
    module = importlib.import_module(MODELS[resource["apiVersion"]])
    model = getattr(module, resource["kind"])
    checked = model.model_validate(resource)
    return differences(resource, checked.model_dump(mode="json", by_alias=True, exclude_unset=True), resource["kind"])


faults, seen = [], {}
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    for resource in yaml.safe_load_all(path.read_text()):
        if not resource:
            continue
        api, kind = resource["apiVersion"], resource["kind"]
        where = f"{path.name}: {kind} {resource['metadata']['name']}"
        seen[kind] = seen.get(kind, 0) + 1
        if api in MODELS:
            faults += [f"{where}: {text}" for text in through_model(resource)]
        elif (api, kind) in SHAPES:
            faults += [f"{where}: {text}" for text in strange(resource["spec"], SHAPES[api, kind], "spec")]
        else:
            for version in sys.argv[2:]:
                try:
                    kubernetes_validate.validate(resource, version, strict=True)
                except Exception as error:  # noqa: BLE001 - whatever it finds is a fault
                    faults.append(f"{where}, Kubernetes {version}: {str(error).splitlines()[0]}")
if faults:
    sys.exit("\n".join(faults))
for kind in ("ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "RabbitmqCluster", "HTTPRoute"):
    if not seen.get(kind):
        sys.exit(f"no values of ci/ render a {kind}")
print("valid in", ", ".join(sys.argv[2:]), "and their models:", ", ".join(f"{kind} {n}" for kind, n in sorted(seen.items())))
