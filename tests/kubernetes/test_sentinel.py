"""The Sentinel manifest: the master's pod is killed, a replica takes over, and clients that ask are told so."""

from pods_case import eventually
from sentinel_case import SENTINELS, SERVERS, SentinelCase


class SentinelFailover(SentinelCase):
    def test_failover(self):
        old = self.settle()
        others = [server for server in SERVERS if server != old]
        self.wait_linked(*others)
        self.assertEqual(self.client("set", "foo", "bar"), "OK")
        self.assertEqual(self.cli(old, "get", "foo"), "bar")
        for server in others:
            self.wait_value(server, "foo", "bar")

        self.cluster.delete_pod(old, grace_s=0, back=False)
        new = eventually("another master", lambda: next((m for m in [self.ask("sentinel-1")] if m != old), None), 60)
        self.assertIn(new, others)
        for sentinel in SENTINELS:
            eventually(f"{sentinel} to agree", lambda name=sentinel: self.ask(name) == new)
        eventually("the promotion", lambda: self.info(new)["role"] == "master")
        self.assertEqual(self.cli(new, "get", "foo"), "bar")
        # Its first write waits for the other replica, which min-replicas-to-write wants.
        eventually("the new master to take writes", lambda: self.client("set", "after", "failover") == "OK")
        self.assertEqual(self.cli(new, "get", "after"), "failover")
        (third,) = set(others) - {new}
        self.wait_value(third, "after", "failover", 60)

        self.cluster.create_pod(old)
        self.cluster.wait_ready()
        self.wait_value(old, "after", "failover", 60)
        self.assertEqual(self.info(old)["role"], "slave")
        self.assertIn("READONLY", self.cli(old, "set", "foo", "baz"))
        self.wait_acquainted()
