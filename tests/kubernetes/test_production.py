"""The manifest for production: volumes, a confined server, probes, and a pod that takes its data along."""

from pods_case import PodsCase, changed, eventually


class Production(PodsCase):
    manifest = "production.yaml"

    def setUp(self):
        super().setUp()
        self.wait_linked("redis-1", "redis-2")

    def test_replicas_are_known_by_host_name(self):
        replication = self.info("redis-0", "replication")
        self.assertEqual(replication["connected_slaves"], "2")
        names = {replication[f"slave{i}"].split(",")[0] for i in range(2)}
        self.assertEqual(names, {"ip=redis-1.redis", "ip=redis-2.redis"})

    def test_confined_as_the_manifest_says(self):
        pod = self.cluster.pods["redis-0"]
        self.assertEqual(pod.execute(["id", "-u"])[1].strip(), "999")
        self.assertNotEqual(pod.execute(["touch", "/somewhere"])[0], 0)
        status = pod.execute(["cat", "/proc/1/status"])[1]
        self.assertRegex(status, r"CapEff:\s*0+\n")
        self.assertRegex(status, r"NoNewPrivs:\s*1\n")
        self.assertRegex(status, r"Name:\s*redis-server\n")
        self.assertEqual(self.info("redis-0")["event_loop"], "epoll")

    def test_deleted_master_saves_its_data_and_finds_it_again(self):
        self.cli("redis-0", "set", "kept", "yes")
        self.wait_value("redis-1", "kept", "yes")
        full_syncs = self.cluster.pods["redis-1"].log().count("Full resync from master")
        log_path = self.cluster.pods["redis-0"].containers[0].log_path
        self.cluster.delete_pod("redis-0")
        with open(log_path, encoding="utf-8") as log:
            self.assertIn("Redis is now ready to exit, bye bye...", log.read())
        self.cluster.wait_ready()
        self.assertEqual(self.cli("redis-0", "get", "kept"), "yes")
        self.cli("redis-0", "set", "later", "1")
        for replica in ("redis-1", "redis-2"):
            self.wait_value(replica, "later", "1")
        # The history is in the snapshot: nobody had to start over.
        self.assertEqual(self.cluster.pods["redis-1"].log().count("Full resync from master"), full_syncs)

    def test_deleted_replica_continues_from_its_snapshot(self):
        before = self.info("redis-0", "stats")
        self.cluster.delete_pod("redis-2")
        self.cli("redis-0", "set", "while-away", "1")
        self.cluster.wait_ready()
        self.wait_value("redis-2", "while-away", "1")
        after = self.info("redis-0", "stats")
        self.assertEqual(after["sync_full"], before["sync_full"])

    def test_backlog_is_in_the_pods_own_shared_memory(self):
        self.assertIn("256M", self.cluster.pods["redis-0"].execute(["df", "-h", "/dev/shm"])[1])

    def test_a_killed_server_loses_nothing_that_it_had_acknowledged(self):
        container = self.cluster.pods["redis-0"].containers[0]
        restarts, before = container.restarts, self.info("redis-0", "replication")
        position = self.log_position("redis-0")
        self.cli("redis-0", "set", "acknowledged", "yes")
        container.stop(0)  # as the kernel does that is out of memory; the pod and its /dev/shm stay
        eventually("another start", lambda: container.restarts > restarts)
        self.cluster.wait_ready()
        self.assertEqual(self.cli("redis-0", "get", "acknowledged"), "yes")
        self.assertIn("Adopted the stream that a killed server", self.log_since("redis-0", position))
        self.assertEqual(self.info("redis-0", "replication")["master_replid"], before["master_replid"])
        for replica in ("redis-1", "redis-2"):
            self.wait_value(replica, "acknowledged", "yes")
        self.assertEqual(self.info("redis-0", "stats")["sync_full"], "0")

    def test_a_server_that_does_not_answer_is_started_again(self):
        container = self.cluster.pods["redis-2"].containers[0]
        restarts = container.restarts
        self.cli("redis-2", "shutdown", "nosave")
        eventually("another start", lambda: container.restarts > restarts)
        self.cluster.wait_ready()
        self.wait_linked("redis-2")


class Loading(PodsCase):
    """One pod of the same manifest, with a server that takes its time over every key it loads."""

    KEYS, DELAY_US = 300, 20000

    @classmethod
    def manifest_paths(cls):
        slow = f"  redis.conf: |\n    key-load-delay {cls.DELAY_US}\n"
        return [changed("production.yaml", ("replicas: 3", "replicas: 1"), ("  redis.conf: |\n", slow))]

    def passes(self, pod, probe):
        """Would the probe pass now? Asked directly, since the stand-in for a kubelet asks at its own times."""
        return pod.execute(pod.spec["containers"][0][probe]["exec"]["command"])[0] == 0

    def test_pod_that_loads_is_alive_and_not_ready(self):
        fill = f"i=0; while [ $i -lt {self.KEYS} ]; do echo set key:$i value; i=$((i + 1)); done | redis-cli >/dev/null"
        self.assertEqual(self.cluster.pods["redis-0"].execute(["sh", "-c", fill])[0], 0)
        pod = self.cluster.delete_pod("redis-0")
        eventually("the load", lambda: self.info("redis-0", "persistence").get("loading") == "1")
        verdicts = {probe: self.passes(pod, probe) for probe in ("startupProbe", "livenessProbe", "readinessProbe")}
        self.assertEqual(self.info("redis-0", "persistence")["loading"], "1", "loaded before the probes were through")
        self.assertEqual(verdicts, {"startupProbe": True, "livenessProbe": True, "readinessProbe": False})
        self.cluster.wait_ready()
        self.assertEqual(self.cli("redis-0", "dbsize"), str(self.KEYS))
        self.assertEqual(pod.containers[0].restarts, 0)


class OutOfMemory(PodsCase):
    """One pod of the same manifest with less memory than one value takes: the kernel kills the server that makes it."""

    VALUE_BYTES = 500_000_000

    @classmethod
    def manifest_paths(cls):
        return [changed("production.yaml", ("replicas: 3", "replicas: 1"), ("memory: 2304Mi", "memory: 160Mi"))]

    def test_what_was_acknowledged_before_is_there_afterwards(self):
        container = self.cluster.pods["redis-0"].containers[0]
        restarts, before = container.restarts, self.info("redis-0", "replication")
        self.assertEqual(self.cli("redis-0", "set", "acknowledged", "yes"), "OK")
        position = self.log_position("redis-0")
        self.cli("redis-0", "setrange", "greedy", str(self.VALUE_BYTES), "x")
        eventually("another start", lambda: container.restarts > restarts)
        self.cluster.wait_ready()
        self.assertEqual(self.cli("redis-0", "get", "acknowledged"), "yes")
        self.assertIn("Adopted the stream that a killed server", self.log_since("redis-0", position))
        self.assertNotIn("bye bye", self.log_since("redis-0", position))
        self.assertEqual(self.info("redis-0", "replication")["master_replid"], before["master_replid"])
