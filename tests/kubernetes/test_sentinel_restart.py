"""Everything is killed at once and comes back under other addresses: one master, and it is the one with the most
data."""

from pods_case import eventually
from sentinel_case import SERVERS, SentinelCase


class SentinelRestart(SentinelCase):
    def setUp(self):
        super().setUp()
        self.master = self.settle()
        for server in SERVERS:
            self.assertEqual(self.cli(server, "config", "set", "save", ""), "OK")

    def write(self, key, value):
        eventually("writes", lambda: self.cli(self.master, "set", key, value) == "OK")
        for server in SERVERS:
            self.wait_value(server, key, value)

    def save(self, *servers):
        """The master last: a PING is a part of its stream, and would make a replica with the same data one that
        is ahead."""
        for server in sorted(servers, key=lambda server: server == self.master):
            self.assertEqual(self.cli(server, "save"), "OK")

    def restart_all(self):
        addresses = {pod.address for pod in self.cluster.pods.values()}
        self.cluster.restart_all()
        self.assertFalse(addresses & {pod.address for pod in self.cluster.pods.values()})
        self.cluster.wait_ready(timeout_s=120)

    def test_the_master_stays_it_whichever_it_was(self):
        eventually("a hand-over", lambda: self.cli("sentinel-1", "-p", "26379", "sentinel", "failover", "main") == "OK")
        old = self.master
        self.master = eventually("another master",
                                 lambda: next((m for m in [self.ask("sentinel-1")] if m not in (None, old)), None), 60)
        self.wait_agreed(self.master)
        self.wait_roles(self.master)
        self.write("latest", "1")
        self.save(*SERVERS)
        self.restart_all()
        self.wait_agreed(self.master)
        self.wait_roles(self.master)
        for server in SERVERS:
            self.wait_value(server, "latest", "1")
        self.wait_acquainted()

    def test_the_one_with_the_most_data_becomes_the_master(self):
        self.write("both", "1")
        self.save(*SERVERS)
        self.write("lost-by-the-master", "1")
        best = next(server for server in SERVERS if server != self.master)
        self.save(best)
        self.restart_all()
        self.wait_agreed(best)
        self.wait_roles(best)
        for server in SERVERS:
            self.wait_value(server, "both", "1")
            self.wait_value(server, "lost-by-the-master", "1")
        self.wait_acquainted()
