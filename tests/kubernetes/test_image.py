"""The image by itself: what people rely on in the official one, and which event loop a seccomp profile leaves it."""

import json
import unittest

from machine import DEFAULT_SECCOMP
from pods_case import REASON, shared_machine

# Waits for the server of this container, asks it for its event loop, and ends it.
ASK_EVENT_LOOP = """
redis-server --save '' >/dev/null &
until redis-cli ping >/dev/null 2>&1; do sleep 0.05; done
redis-cli set key value
redis-cli info everything | grep ^event_loop:
"""


@unittest.skipIf(REASON, f"this machine cannot run containers: {REASON}")
class Image(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.machine = shared_machine()

    def run_image(self, *arguments, options=()):
        """Runs a container to its end, on a network that is only a loopback; returns what it said."""
        namespace, _ = self.machine.add_pod_network()
        try:
            return self.machine.podman(
                "run", "--rm", *self.machine.run_options, "--network", f"ns:/run/netns/{namespace}", *options,
                self.machine.image, *arguments,
            )
        finally:
            self.machine.remove_pod_network(namespace)

    def serve(self, *arguments, options=()):
        """Starts the image with these arguments. Returns (the fields of /proc/1/status, the container's name) once the
        server answers."""
        namespace, _ = self.machine.add_pod_network()
        self.addCleanup(self.machine.remove_pod_network, namespace)
        name = f"{namespace}-image"
        self.machine.podman(
            "run", "--detach", "--name", name, *self.machine.run_options, "--network", f"ns:/run/netns/{namespace}",
            *options, self.machine.image, *arguments,
        )
        self.addCleanup(self.machine.podman, "rm", "--force", "--volumes", "--time", "0", name)
        port = "7000" if "7000" in arguments else "6379"
        script = f"until redis-cli -p {port} ping 2>/dev/null | grep -q PONG; do sleep 0.05; done; cat /proc/1/status"
        status = self.machine.podman("exec", name, "timeout", "10", "sh", "-c", script)
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        return {key: value.split() for key, value in fields.items()}, name

    def test_configuration_of_the_image(self):
        config = json.loads(self.machine.podman("inspect", "--type", "image", self.machine.image))[0]["Config"]
        self.assertEqual(config["Entrypoint"], ["docker-entrypoint.sh"])
        self.assertEqual(config["Cmd"], ["redis-server"])
        self.assertEqual(config["WorkingDir"], "/data")
        self.assertEqual(list(config["Volumes"]), ["/data"])
        self.assertEqual(list(config["ExposedPorts"]), ["6379/tcp"])

    def test_root_steps_down_and_keeps_its_files_to_itself(self):
        status, name = self.serve()
        self.assertEqual(status["Name"], ["redis-server"])
        self.assertEqual(status["Uid"], ["999"] * 4)
        self.assertEqual(status["Gid"], ["999"] * 4)
        self.assertEqual(status["Umask"], ["0077"])
        # Without asking: the port of a container is published on purpose.
        self.assertIn("no", self.machine.podman("exec", name, "redis-cli", "config", "get", "protected-mode").split())

    def test_arguments_alone_are_the_servers(self):
        status, _ = self.serve("--port", "7000")
        self.assertEqual(status["Uid"][0], "999")

    def test_configuration_file_alone_is_the_servers(self):
        path = self.machine.path("own.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write("maxmemory 123456789\n")
        _, name = self.serve("/etc/own.conf", options=["--volume", f"{path}:/etc/own.conf:ro"])
        self.assertIn("123456789", self.machine.podman("exec", name, "redis-cli", "config", "get", "maxmemory"))

    def test_other_commands_run_as_they_are(self):
        self.assertEqual(self.run_image("id", "-u").strip(), "0")
        self.assertIn("redis-cli", self.run_image("redis-cli", "--version"))
        self.assertIn("redis-benchmark", self.run_image("redis-benchmark", "--version"))
        self.assertIn("slipstream", self.run_image("redis-server", "--version"))
        self.assertEqual(self.run_image("bash", "-c", "echo $((6 * 7))").strip(), "42")
        self.assertEqual(self.run_image("gosu", "redis", "id", "-u").strip(), "999")
        self.assertIn("redis-sentinel", self.run_image("sh", "-c", "command -v redis-sentinel"))
        for tool in ("benchmark", "check-aof", "check-rdb", "cli", "sentinel", "server"):
            self.assertIn("/", self.run_image("sh", "-c", f"command -v /usr/local/bin/redis-{tool}"), tool)
        self.assertIn("redis-cli", self.run_image("/usr/local/bin/redis-cli", "--version"))
        for tool in ("check-aof", "sentinel"):
            program = self.run_image("sh", "-c", f"readlink -f $(command -v redis-{tool})").strip()
            self.assertEqual(program, "/usr/local/bin/redis-server", tool)
        self.assertIn("CET", self.run_image("sh", "-c", "TZ=Europe/Berlin date --date=2024-01-01"))

    def test_sentinel_by_option(self):
        """The file must be the server's to write: in /data it becomes so."""
        start = "echo port 26379 >s.conf; docker-entrypoint.sh redis-server s.conf --sentinel >/dev/null &"
        wait = "until redis-cli -p 26379 ping 2>/dev/null | grep -q PONG; do sleep 0.05; done"
        said = self.run_image("timeout", "30", "sh", "-c", f"{start} {wait}; redis-cli -p 26379 info server")
        self.assertIn("redis_mode:sentinel", said)

    def test_umask_that_somebody_chose_stays(self):
        status, _ = self.serve(options=["--umask", "0027"])
        self.assertEqual(status["Umask"], ["0027"])

    def test_snapshot_is_the_servers_own_and_the_checker_reads_it(self):
        _, name = self.serve()
        script = "redis-cli set key value; redis-cli save; stat -c '%u %a' dump.rdb; redis-check-rdb dump.rdb"
        said = self.machine.podman("exec", name, "sh", "-c", script)
        self.assertIn("999 600", said)
        self.assertIn("RDB looks OK", said)
        checker = self.machine.podman("exec", name, "sh", "-c", "readlink -f $(command -v redis-check-rdb)").strip()
        self.assertEqual(checker, "/usr/local/bin/redis-server")

    def test_data_becomes_the_servers(self):
        script = "touch theirs; docker-entrypoint.sh redis-server --version >/dev/null; stat -c %u theirs"
        self.assertEqual(self.run_image("sh", "-c", script).strip(), "999")

    def test_any_user(self):
        status, _ = self.serve(options=["--user", "1234:1234"])
        self.assertEqual(status["Uid"][0], "1234")

    def test_read_only_root(self):
        status, _ = self.serve(options=["--read-only", "--read-only-tmpfs=false"])
        self.assertEqual(status["Uid"][0], "999")

    def test_no_capabilities(self):
        """Without the capability to step down root stays what it is, powerless as it is."""
        status, _ = self.serve(options=["--cap-drop=all", "--read-only"])
        self.assertEqual(status["Uid"][0], "0")
        self.assertEqual(int(status["CapEff"][0], 16), 0)
        status, _ = self.serve("redis-server", options=["--cap-drop=all", "--user", "redis"])
        self.assertEqual(status["Uid"][0], "999")

    def event_loop(self, profile):
        said = self.run_image("sh", "-c", ASK_EVENT_LOOP, options=["--security-opt", f"seccomp={profile}"])
        self.assertIn("OK\n", said)
        return said.strip().splitlines()[-1].strip()

    def io_uring_rule(self, **rule):
        """podman's default profile with its answer to io_uring replaced. Returns the new profile's path."""
        calls = ["io_uring_setup", "io_uring_enter", "io_uring_register"]

        def change(profile):
            for each in profile["syscalls"]:
                each["names"] = [name for name in each["names"] if name not in calls]
            profile["syscalls"].append({"names": calls, **rule})

        return self.machine.seccomp_profile(f"{self.id()}.json", change)

    def test_seccomp_that_knows_no_io_uring_means_epoll(self):
        """podman's default profile answers ENOSYS."""
        self.assertEqual(self.event_loop(DEFAULT_SECCOMP), "event_loop:epoll")

    def test_seccomp_that_forbids_io_uring_means_epoll(self):
        profile = self.io_uring_rule(action="SCMP_ACT_ERRNO", errnoRet=1)  # EPERM
        self.assertEqual(self.event_loop(profile), "event_loop:epoll")

    def test_seccomp_that_allows_io_uring_means_io_uring(self):
        profile = self.io_uring_rule(action="SCMP_ACT_ALLOW")
        with open("/proc/sys/kernel/io_uring_disabled", encoding="ascii") as file:
            if file.read().strip() != "0":
                self.skipTest("the kernel of this machine has io_uring switched off")
        self.assertEqual(self.event_loop(profile), "event_loop:io_uring")
