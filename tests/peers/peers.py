"""Servers of several makes for matrix.py: started on a port, spoken to by RESP2, and what their data are, compared by
what clients see. Everything lives below one directory and ends with the program."""
import os
import signal
import socket
import subprocess
import time

PATIENCE_S = 20


class ReplyError(Exception):
    pass


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.file = self.socket.makefile("rb")

    def send(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        for word in words:
            word = word if isinstance(word, bytes) else str(word).encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(word), word))
        self.socket.sendall(b"".join(parts))

    def receive(self):
        line = self.file.readline()
        if not line:
            raise ConnectionError("closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return ReplyError(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else self.file.read(size + 2)[:-2]
        if kind == b"*":
            return None if int(rest) < 0 else [self.receive() for _ in range(int(rest))]
        raise ConnectionError("no reply: %r" % line)

    def call(self, *words):
        self.send(*words)
        reply = self.receive()
        if isinstance(reply, ReplyError):
            raise ReplyError("%s: %s" % (" ".join(map(str, words))[:80], reply))
        return reply


class Make:
    """A make of server: its name in the table, and the directory and prefix of its programs."""

    def __init__(self, name, prefix, ours=False):
        self.name, self.prefix, self.ours = name, prefix, ours

    def program(self, what):
        return self.prefix + what

    def is_there(self):
        return os.path.exists(self.program("server"))


class Server:
    count = 0
    running = []

    def __init__(self, make, root, port, **config):
        Server.count += 1
        self.make, self.port = make, port
        self.dir = os.path.join(root, "%d-%s" % (Server.count, make.name))
        os.makedirs(self.dir)
        self.config = {"save": "", "repl-diskless-sync-delay": 0, "repl-ping-replica-period": 1, **config}
        self.start()

    def start(self):
        command = [self.make.program("server"), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.dir]
        for name, value in self.config.items():
            command += ["--" + name, str(value)]
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        Server.running.append(self)
        wait("it answers", self.answers)

    def answers(self):
        try:
            self.connection = Connection(self.port)
            return self.connection.call("PING") == b"PONG"
        except (OSError, ReplyError):
            return False

    def call(self, *words):
        try:
            return self.connection.call(*words)
        except (ConnectionError, OSError):
            self.connection = Connection(self.port)
            return self.connection.call(*words)

    def info(self, field):
        for line in self.call("INFO", "everything").decode().split("\r\n"):
            if line.startswith(field + ":"):
                return line.split(":", 1)[1]
        return ""

    def follow(self, master):
        self.call("REPLICAOF", *(("127.0.0.1", master.port) if master else ("NO", "ONE")))

    def knows(self, command):
        return bool(self.call("COMMAND", "INFO", command)[0])

    def stop(self):
        if self in Server.running:
            Server.running.remove(self)
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    @staticmethod
    def stop_all():
        for server in list(Server.running):
            server.stop()


class Sentinel(Server):
    """Watches "main" with a quorum of two."""

    def __init__(self, make, root, port, master):
        Server.count += 1
        self.make, self.port = make, port
        self.dir = os.path.join(root, "%d-sentinel-%s" % (Server.count, make.name))
        os.makedirs(self.dir)
        self.file = os.path.join(self.dir, "sentinel.conf")
        with open(self.file, "w") as file:
            file.write("port %d\nbind 127.0.0.1\ndir \"%s\"\nsentinel monitor main 127.0.0.1 %d 2\n"
                       "sentinel down-after-milliseconds main 3000\nsentinel failover-timeout main 9000\n"
                       "sentinel parallel-syncs main 2\n" % (port, self.dir, master.port))
        self.start()

    def start(self):
        self.log = open(os.path.join(self.dir, "log"), "ab")
        self.process = subprocess.Popen([self.make.program("sentinel"), self.file], stdout=self.log, stderr=self.log)
        Server.running.append(self)
        wait("the Sentinel answers", self.answers)

    def master_port(self):
        return int(self.call("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main")[1])

    def fields(self):
        words = self.call("SENTINEL", "MASTER", "main")
        return dict(zip(words[::2], words[1::2]))

    def knows(self, replicas, others):
        fields = self.fields()
        return (fields[b"flags"], fields[b"num-slaves"], fields[b"num-other-sentinels"]) == (
            b"master", b"%d" % replicas, b"%d" % others)


def wait(what, condition, patience_s=PATIENCE_S):
    end = time.monotonic() + patience_s
    while True:
        try:
            if condition():
                return
        except (ReplyError, OSError):
            pass
        if time.monotonic() > end:
            raise AssertionError("waited in vain until " + what)
        time.sleep(0.01)


def in_step(replica, master):
    def reached():
        if replica.info("master_link_status") != "up":
            return False
        return int(replica.info("slave_repl_offset")) >= int(master.info("master_repl_offset"))
    wait("the replica is in step (%s of %s)" % (replica.make.name, master.make.name), reached)


def contents(server):
    """{(database, key): (type, value, expiry as a time in seconds or None)}"""
    found = {}
    knows_times = server.knows("hpexpiretime")
    for db in range(3):
        server.call("SELECT", db)
        for key in server.call("KEYS", "*"):
            kind = server.call("TYPE", key)
            if kind == b"string":
                value = server.call("GET", key)
            elif kind == b"list":
                value = server.call("LRANGE", key, 0, -1)
            elif kind == b"set":
                value = sorted(server.call("SMEMBERS", key))
            elif kind == b"zset":
                value = server.call("ZRANGE", key, 0, -1, "WITHSCORES")
                value = [(value[i], float(value[i + 1])) for i in range(0, len(value), 2)]
            elif kind == b"hash":
                value = server.call("HGETALL", key)
                times = field_times(server, key, value[::2]) if knows_times else [-1] * (len(value) // 2)
                value = sorted(zip(value[::2], value[1::2], times))
            else:
                value = [server.call("XRANGE", key, "-", "+"), groups(server, key)]
            left_ms = server.call("PTTL", key)
            found[db, key] = (kind, value, None if left_ms < 0 else time.time() + left_ms / 1000)
    server.call("SELECT", 0)
    return found


def field_times(server, key, fields):
    """When each field expires, in milliseconds; -1: never."""
    return server.call("HPEXPIRETIME", key, "FIELDS", len(fields), *fields)


def groups(server, key):
    told = []
    for group in server.call("XINFO", "GROUPS", key):
        fields = dict(zip(group[::2], group[1::2]))
        pending = server.call("XPENDING", key, fields[b"name"], "-", "+", 1000)
        told.append((fields[b"name"], fields[b"last-delivered-id"], [(p[0], p[1], p[3]) for p in pending]))
    return sorted(told)


def expect_equal(a, b):
    ours, theirs = contents(a), contents(b)
    for key in sorted(set(ours) | set(theirs)):
        x, y = ours.get(key), theirs.get(key)
        same = x is not None and y is not None and x[:2] == y[:2] and (x[2] is None) == (y[2] is None)
        if same and x[2] is not None:
            same = abs(x[2] - y[2]) < 5
        if not same:
            raise AssertionError("%s differs: %s has %.80r, %s has %.80r" % (key, a.make.name, x, b.make.name, y))
    if not ours:
        raise AssertionError("there are no data")
