"""A manifest of shapes that ours do not have, in two files: what it says is what its pods find."""

import os

from pods_case import PodsCase, eventually, shared_machine

SERVER, CLIENT = "cache-0", "client"


class Anybodys(PodsCase):
    @classmethod
    def manifest_paths(cls):
        here = os.path.dirname(os.path.abspath(__file__))
        return [os.path.join(here, name) for name in ("anybodys.yaml", "anybodys_client.yaml")]

    @classmethod
    def images(cls):
        return dict.fromkeys(("redis:6.2.6", "redis:6.2.6-alpine"), shared_machine().image)

    def ask(self, *arguments, host="cache"):
        """redis-cli in the client's pod."""
        return self.cli(CLIENT, "-h", host, "--no-auth-warning", *arguments)

    def test_environment_reaches_the_server(self):
        self.assertIn("NOAUTH", self.ask("ping"))
        for name, value in (("maxmemory", "123456789"), ("save", "60 1"), ("maxmemory-policy", "allkeys-lru")):
            self.assertEqual(self.ask("-a", "secret", "config", "get", name).splitlines(), [name, value])

    def test_names_of_the_namespace(self):
        for suffix in ("", ".shop", ".shop.svc", ".shop.svc.cluster.local"):
            self.assertEqual(self.ask("-a", "secret", "ping", host=f"cache{suffix}"), "PONG")

    def test_secret_is_a_file_for_the_group(self):
        script = "cat password; stat --format=' %g %a' password"
        said = self.cluster.pods[SERVER].execute(["sh", "-c", f"cd /etc/secret; {script}"])[1]
        self.assertEqual(said.split(), ["secret", "999", "440"])

    def test_claim_keeps_the_data(self):
        self.assertEqual(self.ask("-a", "secret", "set", "kept", "yes"), "OK")
        old = self.cluster.pods[SERVER].address
        self.assertNotEqual(self.cluster.delete_pod(SERVER).address, old)
        self.cluster.wait_ready()
        self.assertEqual(eventually("the value", lambda: self.ask("-a", "secret", "get", "kept")), "yes")
