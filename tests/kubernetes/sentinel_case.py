"""What tests of the Sentinel manifest share: whom each Sentinel names, and what a client finds that asks one."""

from pods_case import PodsCase, eventually

SERVERS = ("redis-0", "redis-1", "redis-2")
SENTINELS = ("sentinel-0", "sentinel-1", "sentinel-2")


class SentinelCase(PodsCase):
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
        return fields.get("num-slaves"), fields.get("num-other-sentinels"), fields.get("flags")

    def wait_acquainted(self):
        for sentinel in SENTINELS:
            eventually(f"{sentinel} to know everybody",
                       lambda name=sentinel: self.known(name) == ("2", "2", "master"), 60)

    def wait_agreed(self, master, *sentinels):
        for sentinel in sentinels or SENTINELS:
            eventually(f"{sentinel} to name {master}", lambda name=sentinel: self.ask(name) == master, 60)

    def wait_roles(self, master):
        """It is the only master, and the others follow it."""
        eventually(f"{master} to be a master", lambda: self.info(master).get("role") == "master", 60)
        for server in SERVERS:
            if server != master:
                eventually(f"{server} to follow {master}", lambda name=server: self.follows(name) == master, 90)

    def follows(self, server):
        info = self.info(server, "replication")
        return info.get("master_host", "").split(".")[0] if info.get("master_link_status") == "up" else None

    def settle(self):
        """The master, once all agree on it and follow it."""
        self.wait_acquainted()
        master = eventually("a master", lambda: self.ask("sentinel-0"))
        self.wait_agreed(master)
        self.wait_roles(master)
        return master
