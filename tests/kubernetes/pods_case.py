"""What the tests that run containers share: the machine, made once for all of them, and a user's view of a pod."""

import os
import time
import unittest

from cluster import Cluster
from machine import Machine, cannot_run_containers

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
MANIFESTS = os.path.join(ROOT, "k8s-yaml")
REASON = cannot_run_containers()

_machines = []


def shared_machine():
    """The one machine of this run; it is removed when the program ends."""
    if not _machines:
        _machines.append(Machine(os.environ.get("IMAGE", os.path.join(ROOT, "build/slipstream.tar"))))
    return _machines[0]


def changed(manifest, *replacements):
    """A copy of one of our manifests with pieces of text replaced, (old, new) each, wherever they stand: its path."""
    with open(os.path.join(MANIFESTS, manifest), encoding="utf-8") as ours:
        text = ours.read()
    for old, new in replacements:
        assert old in text, f"{manifest} has no {old!r}"
        text = text.replace(old, new)
    path = shared_machine().path(f"changed-{manifest}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def eventually(what, condition, timeout_s=30):
    """Waits until condition() is true, and returns its value."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout_s} s in vain for {what}")
        time.sleep(0.1)


@unittest.skipIf(REASON, f"this machine cannot run pods: {REASON}")
class PodsCase(unittest.TestCase):
    """A class of tests around one running manifest: all of them find every pod ready, and no other state to rely on."""

    manifest = None  # a file of k8s-yaml, where manifest_paths() does not name others
    cluster = None

    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster(shared_machine(), *cls.manifest_paths(), images=cls.images())
        cls.addClassCleanup(cls.cluster.__exit__)
        cls.cluster.start()

    @classmethod
    def manifest_paths(cls):
        return [os.path.join(MANIFESTS, cls.manifest)]

    @classmethod
    def images(cls):
        return {}

    def setUp(self):
        self.cluster.wait_ready()

    def run(self, result=None):
        """A failed test shows the end of every pod's log."""
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before and self.cluster:
            for name, pod in self.cluster.pods.items():
                print(f"--- {name}\n{pod.log()[-3000:]}")

    def cli(self, pod, *arguments):
        """redis-cli in a pod: its output without the last newline."""
        return self.cluster.pods[pod].execute(["redis-cli", *arguments])[1].rstrip("\n")

    def info(self, pod, section="everything"):
        lines = self.cli(pod, "info", section).splitlines()
        return dict(line.rstrip("\r").split(":", 1) for line in lines if ":" in line)

    def log_since(self, pod, position):
        return self.cluster.pods[pod].log()[position:]

    def log_position(self, pod):
        return len(self.cluster.pods[pod].log())

    def wait_linked(self, *replicas, timeout_s=30):
        for replica in replicas:
            eventually(
                f"{replica} to have its master",
                lambda name=replica: self.info(name, "replication").get("master_link_status") == "up",
                timeout_s,
            )

    def wait_value(self, pod, key, value, timeout_s=30):
        eventually(f"{key} on {pod}", lambda: self.cli(pod, "get", key) == value, timeout_s)
