"""The chain: what is written at its head is read at its end, and a lost link in the middle costs no full resync."""

from pods_case import PodsCase, eventually

MASTER, RELAY, LEAVES = "redis-master-0", "redis-relay-0", ("redis-leaf-0", "redis-leaf-1")


class Cascade(PodsCase):
    manifest = "cascade.yaml"

    def setUp(self):
        super().setUp()
        self.wait_linked(RELAY, *LEAVES)

    def test_every_link_carries_the_stream(self):
        self.assertEqual(self.info(MASTER)["connected_slaves"], "1")
        self.assertEqual(self.info(RELAY)["connected_slaves"], "2")
        self.cli(MASTER, "set", "far", "away")
        for leaf in LEAVES:
            self.wait_value(leaf, "far", "away")
        ids = {self.info(pod)["master_replid"] for pod in (MASTER, RELAY, *LEAVES)}
        self.assertEqual(len(ids), 1)

    def test_relay_that_comes_back_continues_and_so_do_its_replicas(self):
        before = {pod: self.full_resyncs(pod) for pod in (MASTER, *LEAVES)}
        self.cluster.delete_pod(RELAY)
        self.cli(MASTER, "set", "relay", "gone")
        self.cluster.wait_ready()
        for leaf in LEAVES:
            self.wait_value(leaf, "relay", "gone")
        eventually("both leaves", lambda: self.info(RELAY)["connected_slaves"] == "2")
        self.assertEqual({pod: self.full_resyncs(pod) for pod in before}, before)

    def full_resyncs(self, pod):
        """How many it was asked for, or asked for itself."""
        log = self.cluster.pods[pod].log()
        return log.count("Full resync requested by replica") + log.count("Full resync from master")
