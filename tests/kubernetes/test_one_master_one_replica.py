"""The smallest manifest, run as a user's that says redis:6.2.6: replication between pods, and what networks do to
it."""

from pods_case import PodsCase, changed, eventually, shared_machine

MASTER, REPLICA = "redis-master-0", "redis-slave-0"


class OneMasterOneReplica(PodsCase):
    @classmethod
    def manifest_paths(cls):
        """Ours with the image that people have there today: what then maps the name is the tool's --image."""
        return [changed("one-master-one-replica.yaml", ("slipstream:latest", "redis:6.2.6"))]

    @classmethod
    def images(cls):
        return {"redis:6.2.6": shared_machine().image}

    def setUp(self):
        super().setUp()
        self.wait_linked(REPLICA)
        # A peer that went silent is given up after a minute, which is more patience than a test has.
        for pod in (MASTER, REPLICA):
            self.cli(pod, "config", "set", "repl-timeout", "3", "repl-ping-replica-period", "1")

    def test_replication(self):
        self.assertEqual(self.info(MASTER)["connected_slaves"], "1")
        self.assertEqual(self.cli(MASTER, "set", "foo", "bar"), "OK")
        self.wait_value(REPLICA, "foo", "bar")
        self.assertIn("READONLY", self.cli(REPLICA, "set", "foo", "baz"))

    def test_pods_have_names_below_the_service_of_their_set(self):
        for name in (f"{MASTER}.redis-master", f"{REPLICA}.redis-slave", f"{REPLICA}.redis-slave.default.svc"):
            for pod in (MASTER, REPLICA):
                self.assertEqual(self.cli(pod, "-h", name, "ping"), "PONG")

    def cut_replica_off(self):
        """Takes the replica's interface down until both ends know. Returns the master's counters from before."""
        before = self.info(MASTER, "stats")
        self.cluster.pods[REPLICA].set_interface("down")
        self.addCleanup(self.cluster.pods[REPLICA].set_interface, "up")
        eventually("the replica to miss its master", lambda: self.info(REPLICA)["master_link_status"] == "down")
        eventually("the master to give its replica up", lambda: self.info(MASTER)["connected_slaves"] == "0")
        return before

    def test_interface_down_and_up_is_a_partial_resync(self):
        self.cli(MASTER, "set", "before", "1")
        self.wait_value(REPLICA, "before", "1")
        position = self.log_position(REPLICA)
        before = self.cut_replica_off()
        self.cli(MASTER, "set", "meanwhile", "1")
        self.cluster.pods[REPLICA].set_interface("up")
        self.wait_value(REPLICA, "meanwhile", "1")
        after = self.info(MASTER, "stats")
        self.assertEqual(after["sync_full"], before["sync_full"])
        self.assertEqual(int(after["sync_partial_ok"]), int(before["sync_partial_ok"]) + 1)
        self.assertIn("Successful partial resynchronization", self.log_since(REPLICA, position))

    def test_more_than_the_backlog_holds_is_a_full_resync_with_its_reason(self):
        before = self.cut_replica_off()
        position = self.log_position(MASTER)
        size = int(self.info(MASTER)["repl_backlog_size"])
        for key in range(4):
            self.cluster.pods[MASTER].execute(
                ["sh", "-c", f"head -c {size // 2} /dev/zero | tr '\\0' x | redis-cli -x set big:{key}"]
            )
        self.cli(MASTER, "set", "after", "1")
        self.cluster.pods[REPLICA].set_interface("up")
        self.wait_value(REPLICA, "after", "1")
        self.assertEqual(int(self.info(MASTER, "stats")["sync_full"]), int(before["sync_full"]) + 1)
        log = self.log_since(MASTER, position)
        self.assertRegex(log, r"lack of backlog \(Replica request was: \d+, .* \d+ bytes are missing")
        self.assertEqual(self.cli(REPLICA, "strlen", "big:3"), str(size // 2))

    def test_master_comes_back_with_another_address(self):
        old = self.cluster.pods[MASTER].address
        new = self.cluster.delete_pod(MASTER, grace_s=0).address
        self.assertNotEqual(old, new)
        self.cluster.wait_ready()
        eventually("the replica to find it", lambda: self.info(MASTER).get("connected_slaves") == "1")
        self.cli(MASTER, "set", "second-life", "1")
        self.wait_value(REPLICA, "second-life", "1")
