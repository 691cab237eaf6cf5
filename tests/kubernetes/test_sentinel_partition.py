"""A network that comes apart, by network namespaces: the master with a minority of the Sentinels, and with the
majority."""

from pods_case import eventually
from sentinel_case import SENTINELS, SERVERS, SentinelCase

MAX_LAG_S = 2  # of min-replicas-max-lag: the manifest's 10 is more patience than a test has


class SentinelPartition(SentinelCase):
    def setUp(self):
        super().setUp()
        self.master = self.settle()
        self.replicas = [server for server in SERVERS if server != self.master]
        for server in SERVERS:
            self.assertEqual(self.cli(server, "config", "set", "min-replicas-max-lag", str(MAX_LAG_S)), "OK")
            self.cli(server, "config", "set", "repl-timeout", "3", "repl-ping-replica-period", "1")
        eventually("writes", lambda: self.cli(self.master, "del", "cut", "mine", "theirs").isdigit())

    def cut_off(self, *names):
        heal = self.cluster.cut_off(*names)
        healed = []

        def once():
            if not healed:
                healed.append(True)
                heal()

        self.addCleanup(once)
        return once

    def test_a_master_with_a_minority_is_replaced_and_stops(self):
        heal = self.cut_off(self.master, "sentinel-0")
        accepted = 0
        while "NOREPLICAS" not in (said := self.cli(self.master, "incr", "mine")):
            self.assertTrue(said.isdigit(), said)
            accepted += 1
            self.assertLess(accepted, 1000, "it goes on taking writes that are lost")
        # The documented window is over: what was taken in it is all that can be lost.
        new = eventually("the majority to choose another",
                         lambda: next((m for m in [self.ask("sentinel-1")] if m not in (None, self.master)), None), 60)
        self.wait_agreed(new, "sentinel-1", "sentinel-2")
        eventually("the new master to take writes", lambda: self.cli(new, "incr", "theirs").isdigit(), 60)
        self.assertEqual(self.ask("sentinel-0"), self.master, "a minority changes nothing")
        self.assertIn("NOQUORUM", self.cli("sentinel-0", "-p", "26379", "sentinel", "ckquorum", "main"))
        self.assertIn("NOREPLICAS", self.cli(self.master, "incr", "mine"))
        self.assertEqual(self.info(self.master)["role"], "master")
        self.assertEqual(self.cli(self.master, "get", "mine"), str(accepted))

        heal()
        self.wait_agreed(new)
        self.wait_roles(new)
        for server in SERVERS:
            self.wait_value(server, "theirs", self.cli(new, "get", "theirs"))
            self.wait_value(server, "mine", "")
        print(f"{accepted} writes were accepted by the master that was cut off, and are lost", end=" ")
        self.wait_acquainted()

    def test_a_master_with_the_majority_stays(self):
        away = self.replicas[0]
        before = self.info(self.master, "stats")
        heal = self.cut_off(away, "sentinel-0")
        eventually("the Sentinel that is alone to miss the master",
                   lambda: "s_down" in self.known("sentinel-0")[2], 60)
        eventually("the master to miss its replica", lambda: self.info(self.master)["connected_slaves"] == "1", 60)
        self.assertEqual(self.cli(self.master, "set", "cut", "1"), "OK")
        for sentinel in SENTINELS:
            self.assertEqual(self.ask(sentinel), self.master)
        self.assertEqual(self.info(away)["role"], "slave")
        heal()
        self.wait_value(away, "cut", "1")
        self.wait_acquainted()
        self.wait_agreed(self.master)
        after = self.info(self.master, "stats")
        self.assertEqual(after["sync_full"], before["sync_full"])
        self.assertNotEqual(after["sync_partial_ok"], before["sync_partial_ok"])
