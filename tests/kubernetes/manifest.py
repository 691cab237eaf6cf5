"""Reads a Kubernetes manifest into the objects that the stand-in for a cluster (cluster.py) plays.

Everything a manifest may say is written down here, as one table of fields per kind of object. A field in the table is
played, or is one that cannot matter on a single machine (marked so); any other is refused by its name, since a manifest
that runs here with half of it overlooked would prove nothing.
"""

import base64
import re

import yaml


class Refused(Exception):
    """The manifest asks for something that is not played here. The message names it."""


ANY = object()  # played, whatever the value
MOOT = object()  # means nothing on a single machine that runs one manifest

METADATA = {"name": ANY, "labels": ANY, "annotations": MOOT, "namespace": ANY, "creationTimestamp": MOOT}
SELECTOR = {"matchLabels": ANY}
KEY_ITEMS = [{"key": ANY, "path": ANY}]
KEY_REFERENCE = {"name": ANY, "key": ANY}
SECCOMP = {"type": ANY, "localhostProfile": ANY}
PROBE = {
    "exec": {"command": ANY},
    "tcpSocket": {"port": ANY},
    "initialDelaySeconds": ANY,
    "periodSeconds": ANY,
    "timeoutSeconds": ANY,
    "failureThreshold": ANY,
    "successThreshold": ANY,
}
CONTAINER = {
    "name": ANY,
    "image": ANY,
    "imagePullPolicy": MOOT,
    "command": ANY,
    "args": ANY,
    "workingDir": ANY,
    "envFrom": [{"prefix": ANY, "configMapRef": {"name": ANY}, "secretRef": {"name": ANY}}],
    "env": [
        {
            "name": ANY,
            "value": ANY,
            "valueFrom": {
                "fieldRef": {"fieldPath": ANY, "apiVersion": MOOT},
                "configMapKeyRef": KEY_REFERENCE,
                "secretKeyRef": KEY_REFERENCE,
            },
        }
    ],
    "ports": [{"name": ANY, "containerPort": ANY, "protocol": MOOT}],
    "volumeMounts": [{"name": ANY, "mountPath": ANY, "subPath": ANY, "readOnly": ANY}],
    "resources": {"requests": MOOT, "limits": {"memory": ANY, "cpu": ANY, "ephemeral-storage": MOOT}},
    "startupProbe": PROBE,
    "livenessProbe": PROBE,
    "readinessProbe": PROBE,
    "lifecycle": {"preStop": {"exec": {"command": ANY}}},
    "securityContext": {
        "runAsUser": ANY,
        "runAsGroup": ANY,
        "runAsNonRoot": ANY,
        "readOnlyRootFilesystem": ANY,
        "allowPrivilegeEscalation": ANY,
        "capabilities": {"add": ANY, "drop": ANY},
        "seccompProfile": SECCOMP,
    },
}
POD_SPEC = {
    "containers": [CONTAINER],
    "initContainers": [CONTAINER],
    "volumes": [
        {
            "name": ANY,
            "configMap": {"name": ANY, "items": KEY_ITEMS, "defaultMode": ANY},
            "secret": {"secretName": ANY, "items": KEY_ITEMS, "defaultMode": ANY},
            "emptyDir": {"medium": ANY, "sizeLimit": ANY},
            "persistentVolumeClaim": {"claimName": ANY},
        }
    ],
    "securityContext": {
        "runAsUser": ANY,
        "runAsGroup": ANY,
        "runAsNonRoot": ANY,
        "fsGroup": ANY,
        "fsGroupChangePolicy": MOOT,
        "seccompProfile": SECCOMP,
    },
    "terminationGracePeriodSeconds": ANY,
    "restartPolicy": ANY,
    "affinity": MOOT,
    "topologySpreadConstraints": MOOT,
    "tolerations": MOOT,
    "nodeSelector": MOOT,
    "priorityClassName": MOOT,
    "automountServiceAccountToken": MOOT,
    "serviceAccountName": MOOT,
    "enableServiceLinks": MOOT,
}
TEMPLATE = {"metadata": METADATA, "spec": POD_SPEC}
CLAIM_SPEC = {"accessModes": MOOT, "resources": MOOT, "storageClassName": MOOT, "volumeMode": MOOT}
OBJECT = {"apiVersion": ANY, "kind": ANY, "metadata": METADATA, "status": MOOT}
FIELD_PATHS = ("metadata.name", "metadata.namespace", "status.podIP")
KINDS = {
    "ConfigMap": {**OBJECT, "data": ANY, "immutable": MOOT},
    "Secret": {**OBJECT, "data": ANY, "stringData": ANY, "type": MOOT, "immutable": MOOT},
    "Service": {
        **OBJECT,
        "spec": {
            "clusterIP": ANY,
            "type": ANY,
            "selector": ANY,
            "publishNotReadyAddresses": ANY,
            "ports": [{"name": ANY, "port": ANY, "targetPort": ANY, "protocol": MOOT}],
        },
    },
    "StatefulSet": {
        **OBJECT,
        "spec": {
            "serviceName": ANY,
            "replicas": ANY,
            "selector": SELECTOR,
            "template": TEMPLATE,
            "podManagementPolicy": ANY,
            "updateStrategy": MOOT,
            "revisionHistoryLimit": MOOT,
            "volumeClaimTemplates": [{"apiVersion": MOOT, "kind": MOOT, "metadata": METADATA, "spec": CLAIM_SPEC}],
        },
    },
    "Deployment": {
        **OBJECT,
        "spec": {
            "replicas": ANY,
            "selector": SELECTOR,
            "template": TEMPLATE,
            "strategy": MOOT,
            "revisionHistoryLimit": MOOT,
        },
    },
    "Pod": {**OBJECT, "spec": POD_SPEC},
    "PersistentVolumeClaim": {**OBJECT, "spec": CLAIM_SPEC},
    "PodDisruptionBudget": {**OBJECT, "spec": MOOT},
    "Namespace": {**OBJECT, "spec": MOOT},
    "ServiceAccount": {**OBJECT, "automountServiceAccountToken": MOOT},
}


def refuse_unknown(where, value, known):
    """Raises Refused for the first field below `value` that the table `known` does not have."""
    if known is ANY or known is MOOT or value is None:
        return
    if isinstance(known, list):
        for i, element in enumerate(value):
            refuse_unknown(f"{where}[{i}]", element, known[0])
        return
    if not isinstance(value, dict):
        raise Refused(f"{where}: expected fields, found {value!r}")
    for name, inner in value.items():
        if name not in known:
            raise Refused(f"{where}.{name} is not played here")
        refuse_unknown(f"{where}.{name}", inner, known[name])


class Manifest:
    """The objects of one file or several: `workloads` in their order, the others by name; of two of the same name the
    later one counts. All are of one namespace."""

    def __init__(self, *paths):
        self.workloads = []
        self.services = {}
        self.namespace = None
        self._holders = {"ConfigMap": {}, "Secret": {}}
        for path in paths:
            self._read(path)
        if not self.workloads:
            raise Refused(f"{', '.join(paths)}: nothing that runs")
        self.namespace = self.namespace or "default"
        for each in self.workloads:
            self._check_pods(f"{each['kind']}/{each['metadata']['name']}", pod_template(each)["spec"])
        for name, spec in self.services.items():
            self._check_ports(f"Service/{name}", spec)

    def _read(self, path):
        with open(path, encoding="utf-8") as file:
            try:
                documents = list(yaml.safe_load_all(file))
            except yaml.YAMLError as fault:
                raise Refused(f"{path} is no YAML: {fault}") from fault
        for each in documents:
            if each is not None:
                self._take(each)

    def _take(self, each):
        if not isinstance(each, dict):
            raise Refused(f"{each!r} is no object")
        kind, name = each.get("kind"), (each.get("metadata") or {}).get("name")
        if kind == "List":
            for item in each.get("items") or []:
                self._take(item)
            return
        if kind not in KINDS:
            raise Refused(f"kind {kind} is not played here")
        if not name:
            raise Refused(f"a {kind} without a name")
        refuse_unknown(f"{kind}/{name}", each, KINDS[kind])
        self._take_namespace(name if kind == "Namespace" else each["metadata"].get("namespace"))
        if kind in ("StatefulSet", "Deployment", "Pod"):
            others = [other for other in self.workloads if (other["kind"], other["metadata"]["name"]) != (kind, name)]
            self.workloads = [*others, each]
        elif kind == "Service":
            self.services[name] = each.get("spec") or {}
        elif kind in self._holders:
            entries = {key: str(text).encode() for key, text in (each.get("data") or {}).items()}
            if kind == "Secret":
                entries = {key: base64.b64decode(text) for key, text in entries.items()}
            entries.update({key: text.encode() for key, text in (each.get("stringData") or {}).items()})
            self._holders[kind][name] = entries

    def _take_namespace(self, name):
        if name and self.namespace not in (None, name):
            raise Refused(f"objects of several namespaces, {self.namespace} and {name}, are not played here")
        self.namespace = name or self.namespace

    def entries(self, kind, name):
        """All that a ConfigMap or Secret holds, as bytes by key. `kind` may be any field that refers to one."""
        kind = "ConfigMap" if kind.startswith("configMap") else "Secret"
        if name not in self._holders[kind]:
            raise Refused(f"{kind} {name} is not in the manifest")
        return self._holders[kind][name]

    def entry(self, kind, name, key):
        entries = self.entries(kind, name)
        if key not in entries:
            raise Refused(f"{name} has no {key}")
        return entries[key]

    def _check_pods(self, where, spec):
        """Refuses what the table of fields lets pass and a pod could not be made of."""
        for volume in spec.get("volumes") or []:
            if len(volume) != 2:
                raise Refused(f"{where}: volume {volume['name']} is of no kind that is played here")
        for container in [*(spec.get("initContainers") or []), *spec["containers"]]:
            here = f"{where}: container {container['name']}"
            security = {**(spec.get("securityContext") or {}), **(container.get("securityContext") or {})}
            if security.get("runAsNonRoot") and not security.get("runAsUser"):
                raise Refused(f"{here}: runAsNonRoot without a runAsUser is not played here")
            for each in container.get("env") or []:
                field = (each.get("valueFrom") or {}).get("fieldRef")
                if field and field["fieldPath"] not in FIELD_PATHS:
                    raise Refused(f"{here}: fieldPath {field['fieldPath']} is not played here")

    def _check_ports(self, where, spec):
        """A Service is played as a name for its pods' addresses, which is all there is to it while ports stay what they
        are."""
        if spec.get("type", "ClusterIP") != "ClusterIP":
            raise Refused(f"{where}.spec.type {spec['type']} is not played here")
        for port in spec.get("ports") or []:
            target = port.get("targetPort", port["port"])
            if any(number != port["port"] for number in self._numbers(target)):
                raise Refused(f"{where}: a targetPort that differs from its port is not played here")

    def _numbers(self, port):
        """What a port of containers, given by number or name, is by number."""
        if isinstance(port, int):
            return [port]
        containers = [each for workload in self.workloads for each in pod_template(workload)["spec"]["containers"]]
        ports = [each for container in containers for each in container.get("ports") or []]
        return [each["containerPort"] for each in ports if each.get("name") == port]


def pod_template(workload):
    return workload if workload["kind"] == "Pod" else workload["spec"]["template"]


def quantity_bytes(text):
    """A memory quantity ("128Mi", "1G", 1000) in bytes."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    powers = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(float(number) * powers[unit])


def quantity_cores(text):
    """A CPU quantity ("500m", 2) in cores."""
    text = str(text)
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
