"""The reconnect lab in pods: a word to the proxy cuts the line, another heals it, and the resync is partial."""

from pods_case import PodsCase, eventually

MASTER, REPLICA = "redis-master-0", "redis-replica-0"


class ReconnectLab(PodsCase):
    manifest = "reconnect-lab.yaml"

    def setUp(self):
        super().setUp()
        self.wait_linked(REPLICA)

    def tell(self, *words):
        line = next(pod for name, pod in self.cluster.pods.items() if name.startswith("redis-line"))
        self.assertEqual(line.execute(["slipstream-lab", "tell", "/tmp/line", *words]), (0, "ok\n"))

    def test_a_cut_line_is_a_partial_resync(self):
        before = self.info(MASTER, "stats")
        self.tell("cut")
        eventually("the replica to miss its master", lambda: self.info(REPLICA)["master_link_status"] == "down")
        self.cli(MASTER, "set", "meanwhile", "1")
        self.tell("heal")
        self.wait_value(REPLICA, "meanwhile", "1")
        after = self.info(MASTER, "stats")
        self.assertEqual(after["sync_full"], before["sync_full"])
        self.assertEqual(int(after["sync_partial_ok"]), int(before["sync_partial_ok"]) + 1)
