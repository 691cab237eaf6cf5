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

METADATA = {"name": ANY, "labels": ANY, "annotations": MOOT, "namespace": MOOT}
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
    "resources": {"requests": MOOT, "limits": {"memory": ANY, "cpu": ANY}},
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
OBJECT = {"apiVersion": ANY, "kind": ANY, "metadata": METADATA}
KINDS = {
    "ConfigMap": {**OBJECT, "data": ANY},
    "Secret": {**OBJECT, "data": ANY, "stringData": ANY, "type": MOOT},
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
    """The objects of one file: `workloads` in the file's order, the others by name."""

    def __init__(self, path):
        self.workloads = []
        self.services = {}
        self.config_maps = {}
        self.secrets = {}
        with open(path, encoding="utf-8") as file:
            for each in yaml.safe_load_all(file):
                if each is not None:
                    self._take(each)
        if not self.workloads:
            raise Refused(f"{path} holds nothing that runs")

    def _take(self, each):
        kind, name = each.get("kind"), each.get("metadata", {}).get("name")
        if kind not in KINDS:
            raise Refused(f"kind {kind} is not played here")
        refuse_unknown(f"{kind}/{name}", each, KINDS[kind])
        if kind in ("StatefulSet", "Deployment", "Pod"):
            self.workloads.append(each)
        elif kind == "Service":
            refuse_redirection(name, each["spec"])
            self.services[name] = each["spec"]
        elif kind == "ConfigMap":
            self.config_maps[name] = {key: text.encode() for key, text in (each.get("data") or {}).items()}
        elif kind == "Secret":
            entries = {key: base64.b64decode(text) for key, text in (each.get("data") or {}).items()}
            entries.update({key: text.encode() for key, text in (each.get("stringData") or {}).items()})
            self.secrets[name] = entries


def refuse_redirection(name, spec):
    """A Service is played as a name for its pods' addresses, which is all there is to it while ports stay what they
    are."""
    if spec.get("type", "ClusterIP") != "ClusterIP":
        raise Refused(f"Service/{name}.spec.type {spec['type']} is not played here")
    for port in spec.get("ports") or []:
        target = port.get("targetPort", port["port"])
        if isinstance(target, int) and target != port["port"]:
            raise Refused(f"Service/{name}: a targetPort that differs from its port is not played here")


def quantity_bytes(text):
    """A memory quantity ("128Mi", "1G", 1000) in bytes."""
    number, unit = re.fullmatch(r"([0-9.]+)([A-Za-z]*)", str(text)).groups()
    powers = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
    return int(float(number) * powers[unit])


def quantity_cores(text):
    """A CPU quantity ("500m", 2) in cores."""
    text = str(text)
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)
