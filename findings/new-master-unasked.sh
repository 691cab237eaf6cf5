#!/usr/bin/env bash
# A Sentinel that hears of a new master closes its connections to that server, and does not ask it anything meanwhile.
#
# A Sentinel that is not the leader of a fail-over learns the new master's address from another Sentinel's hello. It has
# watched that server all along, as a replica, but it closes those connections; and new ones it makes only a second
# after its last attempt to reach the master before, which is down and was tried once a second. The patience of
# down-after-milliseconds runs from the news on. With 500 ms about half of such Sentinels call a new master down that
# answers within milliseconds and that they have not asked once; with 1000 ms a few in a hundred do, those whose last
# attempt was just before the news. As Sentinels still count each other's word on the master before, one of them can be
# enough for a second fail-over at once.
#
# Seen with Debian 12's redis-server 5:7.0.15-1~deb12u10, which this script runs;
# the same with Redis 8.0.6 and Valkey 9.1.2.
# usage: findings/new-master-unasked.sh    (Debian 12, network; installs nothing outside its folder)
set -euo pipefail

version=5:7.0.15-1~deb12u10
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
apt-get download -q "redis-server=$version" "redis-tools=$version" \
    libatomic1 libjemalloc2 liblua5.1-0 liblzf1 libssl3 libsystemd0 lua-bitop lua-cjson >/dev/null
for package in *.deb; do dpkg -x "$package" root; done
LD_LIBRARY_PATH=$(find "$work/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:)
export LD_LIBRARY_PATH

python3 - root/usr/bin/redis-server <<'PYTHON'
import socket
import subprocess
import sys
import time

TRIES, DOWN_AFTER_MS = 8, 500
running = []


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, condition):
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            sys.exit("waited in vain until " + what)
        time.sleep(0.002)


def connect(port):
    for _ in range(400):
        try:
            return socket.create_connection(("127.0.0.1", port), 10)
        except OSError:
            time.sleep(0.02)
    sys.exit("nobody listens")


def call(client, *words):
    parts = [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
    client.sendall(b"*%d\r\n" % len(words) + b"".join(parts))
    return client.recv(65536)


class Program:
    def __init__(self, name, *lines, sentinel=False):
        self.port = free_port()
        with open(name + ".conf", "w") as file:
            file.write("\n".join(("port %d" % self.port, "bind 127.0.0.1", "logfile " + name + ".log") + lines) + "\n")
        self.process = subprocess.Popen([sys.argv[1], name + ".conf"] + ["--sentinel"] * sentinel)
        running.append(self.process)
        self.client = connect(self.port)

    def ask(self, *words):
        return call(self.client, *words)

    def watchers(self):
        lines = self.ask("CLIENT", "LIST").split(b"\n")
        return {line.split()[0] for line in lines if b"name=sentinel-" in line and b"-cmd" in line}

    def end(self):
        self.process.kill()
        self.process.wait()


def attempt(number):
    """Whether the Sentinel calls the new master down before it has come to it."""
    old = Program("old%d" % number, 'save ""')
    new = Program("new%d" % number, 'save ""', "replicaof 127.0.0.1 %d" % old.port)
    until("it replicates", lambda: b"master_link_status:up" in new.ask("INFO", "replication"))
    sentinel = Program("sentinel%d" % number, "sentinel monitor m 127.0.0.1 %d 2" % old.port,
                       "sentinel down-after-milliseconds m %d" % DOWN_AFTER_MS, sentinel=True)
    until("it watches", lambda: new.watchers())
    old.end()
    new.ask("REPLICAOF", "NO", "ONE")
    until("it knows", lambda: b"s_down" in sentinel.ask("SENTINEL", "MASTER", "m"))
    time.sleep(number * 0.13)  # its attempts to reach the old one have a rhythm: each try meets another place in it
    listener = connect(sentinel.port)
    call(listener, "SUBSCRIBE", "+switch-master", "+sdown")
    before, heard = new.watchers(), b""
    new.ask("PUBLISH", "__sentinel__:hello",
            "127.0.0.1,%d,%s,5,m,127.0.0.1,%d,5" % (free_port(), "f" * 40, new.port))
    while b"+switch-master" not in heard:
        heard += listener.recv(65536)
    began, longest, came, down = time.monotonic(), 0, None, None
    listener.settimeout(0.001)
    while came is None and time.monotonic() - began < 3:
        asked = time.monotonic()
        if new.watchers() - before:
            came = time.monotonic() - began
        longest = max(longest, time.monotonic() - asked)
        try:
            heard += listener.recv(65536)
        except TimeoutError:
            pass
        if down is None and b"master m 127.0.0.1 %d" % new.port in heard:
            down = time.monotonic() - began
    sentinel.end()
    new.end()
    if came is None:
        return False
    print("asked the new master after %3.0f ms, called it down %s; it answers within %.0f ms" % (
        came * 1000, "never" if down is None else "after %.0f ms" % (down * 1000), longest * 1000 + 1))
    return down is not None


try:
    seen = sum(attempt(number) for number in range(1, TRIES + 1))
finally:
    for process in running:
        process.kill()
print("called down unasked: %d of %d" % (seen, TRIES))
sys.exit(0 if seen else "this is no longer what was seen")
PYTHON
