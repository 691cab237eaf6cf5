"""The Sentinel manifest: the master's pod is killed, a replica takes over, and clients that ask are told so."""

from pods_case import PodsCase, eventually

SERVERS = ("redis-0", "redis-1", "redis-2")
SENTINELS = ("sentinel-0", "sentinel-1", "sentinel-2")


class SentinelFailover(PodsCase):
    manifest = "sentinel.yaml"

    def ask(self, sentinel):
        """The master that a Sentinel names, by its pod."""
        reply = self.cli(sentinel, "-p", "26379", "--raw", "sentinel", "get-master-addr-by-name", "main").splitlines()
        return reply[0].split(".")[0] if len(reply) == 2 and reply[1] == "6379" else None

    def client(self, *arguments):
        """What a client is answered that knows the Sentinels alone: it asks one, and goes where that one says."""
        said = self.cli("sentinel-2", "-h", "sentinel", "-p", "26379", "--raw", "sentinel", "get-master-addr-by-name",
                        "main").splitlines()
        return self.cli("sentinel-2", "-h", said[0], "-p", said[1], *arguments)

    def known(self, sentinel):
        reply = self.cli(sentinel, "-p", "26379", "--raw", "sentinel", "master", "main").splitlines()
        fields = dict(zip(reply[::2], reply[1::2]))
        return fields.get("num-slaves"), fields.get("num-other-sentinels")

    def wait_acquainted(self):
        for sentinel in SENTINELS:
            eventually(f"{sentinel} to know everybody", lambda name=sentinel: self.known(name) == ("2", "2"), 60)

    def test_failover(self):
        self.wait_acquainted()
        old = self.ask("sentinel-0")
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
        self.assertEqual(self.client("set", "after", "failover"), "OK")
        self.assertEqual(self.cli(new, "get", "after"), "failover")
        (third,) = set(others) - {new}
        self.wait_value(third, "after", "failover", 60)

        self.cluster.create_pod(old)
        self.cluster.wait_ready()
        self.wait_value(old, "after", "failover", 60)
        self.assertEqual(self.info(old)["role"], "slave")
        self.assertIn("READONLY", self.cli(old, "set", "foo", "baz"))
        self.wait_acquainted()
