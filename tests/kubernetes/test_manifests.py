"""Every manifest is valid, broken copies are not, and the tool that plays manifests refuses what it does not know."""

import glob
import os
import shutil
import subprocess
import tempfile
import unittest
from types import SimpleNamespace

from cluster import names_given
from machine import run
from manifest import Manifest, Refused

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
MANIFESTS = sorted(glob.glob(os.path.join(ROOT, "k8s-yaml", "*.yaml")))
PACKAGES = os.path.join(ROOT, "build", "kubernetes", "schema")


def install_packages():
    """The validator's packages, below build/; again when the list of them changed."""
    os.makedirs(PACKAGES, exist_ok=True)
    stale = False
    for name in ("package.json", "package-lock.json"):
        wanted, present = os.path.join(HERE, "schema", name), os.path.join(PACKAGES, name)
        with open(wanted, encoding="utf-8") as file:
            text = file.read()
        if not os.path.exists(present) or open(present, encoding="utf-8").read() != text:
            shutil.copy(wanted, present)
            stale = True
    if stale or not os.path.exists(os.path.join(PACKAGES, "node_modules", ".package-lock.json")):
        run(["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=PACKAGES)


class Changed:
    """A copy of one of our manifests with a piece of text replaced, as a context: its path."""

    def __init__(self, name, old, new):
        with open(os.path.join(ROOT, "k8s-yaml", name), encoding="utf-8") as file:
            text = file.read()
        assert old in text, f"{name} has no {old!r} to break"
        self._file = tempfile.NamedTemporaryFile("w", suffix=".yaml")
        self._file.write(text.replace(old, new, 1))
        self._file.flush()

    def __enter__(self):
        return self._file.name

    def __exit__(self, *_):
        self._file.close()


class Validation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not shutil.which("npm"):
            raise unittest.SkipTest("npm is not installed, so there is no schema to validate against")
        install_packages()

    def validate(self, *paths):
        """(status, what was found)"""
        command = ["node", os.path.join(HERE, "schema", "validate.cjs"), *paths]
        done = subprocess.run(command, cwd=PACKAGES, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    def assert_refused(self, old, new, complaint, name="one-master-one-replica.yaml"):
        with Changed(name, old, new) as path:
            status, found = self.validate(path)
        self.assertEqual(status, 1, found)
        self.assertRegex(found, complaint)

    def test_ours_are_valid(self):
        self.assertEqual(len(MANIFESTS), 5)
        self.assertEqual(self.validate(*MANIFESTS), (0, ""))

    def test_unknown_field(self):
        self.assert_refused("replicas: 1", "replcas: 1", "StatefulSet/redis-master: .*replcas")

    def test_text_for_a_port(self):
        self.assert_refused("containerPort: 6379", "containerPort: redis", "containerPort: must be integer")

    def test_no_selector(self):
        selector = "  selector:\n    matchLabels:\n      app: redis-master\n"
        self.assert_refused(selector, "", "must have required property selector")

    def test_quantity_with_an_unknown_unit(self):
        self.assert_refused("memory: 2304Mi", "memory: 128Mx", 'must match format "quantity"', "production.yaml")

    def test_selector_that_misses_its_labels(self):
        labels = "      labels:\n        app: redis-master\n"
        self.assert_refused(labels, labels.replace("master", "mister"), "its selector misses the labels")

    def test_service_of_another_name(self):
        self.assert_refused("serviceName: redis-slave", "serviceName: redis-slaves", "redis-slaves is no Service")

    def test_service_of_other_pods(self):
        selector = "    app: redis-master\n  ports"
        self.assert_refused(selector, selector.replace("master", "slave"), "Service redis-master selects other pods")

    def test_service_that_selects_nobody(self):
        self.assert_refused("pod-name: redis-0", "pod-name: redis-7", "Service/redis-master: its selector finds no pod",
                            "production.yaml")

    def test_volume_that_is_not_there(self):
        self.assert_refused("        - name: config\n          configMap", "        - name: conf\n          configMap",
                            "mounts config, which is no volume")

    def test_missing_key_of_a_configuration(self):
        self.assert_refused("key: master.conf", "key: main.conf", "ConfigMap redis-config has no main.conf")

    def test_same_field_twice(self):
        self.assert_refused("  replicas: 1\n", "  replicas: 1\n  replicas: 2\n", "unique")


class NamesGiven(unittest.TestCase):
    """Which names pods have: those of the Services that select them, and their own below that of their StatefulSet."""

    SERVICE = "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {%s, selector: {app: db}}\n---\n"

    def given(self, governing, *services, ready=True):
        pod = SimpleNamespace(name="db-0", address="10.0.0.1", labels={"app": "db", "more": "x"}, ready=ready)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("".join(self.SERVICE % each for each in services))
            file.write("apiVersion: v1\nkind: Pod\nmetadata: {name: db-0}\nspec: {containers: [{name: a, image: b}]}\n")
            file.flush()
            names = names_given(Manifest(file.name), [pod], {"db-0": governing})
        self.assertEqual({address for address, _ in names} - {pod.address}, set())
        return [each.split()[0] for _, each in names]

    def test_governing_service_names_its_pods_headless_or_not(self):
        self.assertEqual(self.given("db", ("db", "clusterIP: None")), ["db-0.db", "db"])
        self.assertEqual(self.given("db", ("db", "type: ClusterIP")), ["db-0.db", "db"])

    def test_another_service_names_none(self):
        self.assertEqual(self.given("db", ("read", "clusterIP: None")), ["read"])
        self.assertEqual(self.given(None, ("db", "clusterIP: None")), ["db"])

    def test_pod_that_is_not_ready_has_names_where_they_are_published(self):
        self.assertEqual(self.given("db", ("db", "type: ClusterIP"), ready=False), [])
        published = ("db", "publishNotReadyAddresses: true")
        self.assertEqual(self.given("db", published, ready=False), ["db-0.db", "db"])


class WhatIsPlayed(unittest.TestCase):
    def test_all_of_ours(self):
        for path in MANIFESTS:
            self.assertTrue(Manifest(path).workloads)

    def test_several_files_are_one_manifest(self):
        first, second = (os.path.join(ROOT, "k8s-yaml", name) for name in ("production.yaml", "cascade.yaml"))
        both = Manifest(first, second)
        self.assertEqual(len(both.workloads), len(Manifest(first).workloads) + len(Manifest(second).workloads))
        self.assertIn("redis-read", both.services)
        self.assertIn("redis-relay", both.services)
        with Changed("production.yaml", "replicas: 3", "replicas: 1") as path:
            (only,) = Manifest(first, path).workloads
        self.assertEqual(only["spec"]["replicas"], 1)

    def assert_refused(self, old, new, complaint):
        with Changed("one-master-one-replica.yaml", old, new) as path:
            with self.assertRaisesRegex(Refused, complaint):
                Manifest(path)

    def assert_container_refused(self, field, complaint):
        self.assert_refused("          ports:\n", f"          {field}\n          ports:\n", complaint)

    def test_unknown_field_is_named(self):
        self.assert_refused("      containers:", "      hostNetwork: true\n      containers:",
                            r"StatefulSet/redis-master.spec.template.spec.hostNetwork is not played here")

    def test_unknown_field_of_a_container_is_named(self):
        self.assert_container_refused("securityContext: {privileged: true}", "securityContext.privileged")
        self.assert_container_refused("livenessProbe: {httpGet: {port: 80}}", "livenessProbe.httpGet")
        self.assert_container_refused("lifecycle: {postStart: {exec: {command: [id]}}}", "lifecycle.postStart")
        self.assert_container_refused("securityContext: {runAsNonRoot: true}", "runAsNonRoot without a runAsUser")
        node = "env: [{name: NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]"
        self.assert_container_refused(node, "fieldPath spec.nodeName")

    def test_unknown_kind_is_named(self):
        self.assert_refused("kind: Service\n", "kind: Ingress\n", "kind Ingress is not played here")

    def test_unknown_volume_is_named(self):
        volume = "          configMap:\n            name: redis-config\n"
        host_path = "          hostPath:\n            path: /\n"
        self.assert_refused(volume, host_path, r"volumes\[0\].hostPath is not played here")

    def test_unknown_kind_of_service_is_named(self):
        self.assert_refused("clusterIP: None", "type: NodePort", "Service/redis-master.spec.type NodePort")

    def test_port_that_is_redirected_is_refused(self):
        port = "      port: 6379\n"
        self.assert_refused(port, f"{port}      targetPort: 7000\n", "Service/redis-master: a targetPort")
        # By name, it depends on what the containers call their ports.
        with Changed("cascade.yaml", port, "      port: 7000\n      targetPort: redis\n") as path:
            with self.assertRaisesRegex(Refused, "Service/redis-master: a targetPort"):
                Manifest(path)

    def test_several_namespaces_are_refused(self):
        two = "kind: ServiceAccount\nmetadata:\n  name: {0}\n  namespace: {0}\n---\n"
        self.assert_refused("apiVersion: v1\n", two.format("shop") + two.format("yard") + "apiVersion: v1\n",
                            "several namespaces, shop and yard")

    def test_text_that_is_no_yaml_is_refused(self):
        self.assert_refused("kind: ConfigMap", "kind: [ConfigMap", "is no YAML")
