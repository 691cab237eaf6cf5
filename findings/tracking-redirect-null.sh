#!/usr/bin/env bash
# A client that speaks RESP2 is sent a RESP3 null.
#
# Client-side caching may redirect invalidations to another connection (CLIENT TRACKING ON REDIRECT id), which listens
# to the channel __redis__:invalidate in RESP2. When all keys go (FLUSHALL), the message has a null instead of a list of
# keys. Which null it is goes by the protocol of the connection that tracks, not by that of the one that is written to:
# if the tracker has said HELLO 3, the RESP2 subscriber gets "_", a type that its protocol does not have, and a strict
# parser gives the connection up. A message that names keys is right in both cases.
#
# Seen with Debian 12's redis-server 5:7.0.15-1~deb12u10, which this script runs;
# the same with Redis 8.0.6 and Valkey 9.1.2.
# usage: findings/tracking-redirect-null.sh    (Debian 12, network; installs nothing outside its folder)
set -euo pipefail

version=5:7.0.15-1~deb12u10
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server" 2>/dev/null || true; rm -rf "$work"' EXIT

cd "$work"
apt-get download -q "redis-server=$version" "redis-tools=$version" \
    libatomic1 libjemalloc2 liblua5.1-0 liblzf1 libssl3 libsystemd0 lua-bitop lua-cjson >/dev/null
for package in *.deb; do dpkg -x "$package" root; done
mkdir data
LD_LIBRARY_PATH=$(find "$work/root" -name '*.so*' -printf '%h\n' | sort -u | paste -sd:) \
    root/usr/bin/redis-server --port 0 --unixsocket "$work/socket" --dir "$work/data" --save '' >log 2>&1 &
server=$!
for _ in $(seq 100); do [ -S socket ] && break || sleep 0.1; done

python3 - "$work/socket" <<'PYTHON'
import socket
import sys


class Client:
    def __init__(self, *first):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(sys.argv[1])
        if first:
            self.ask(*first)

    def ask(self, *words):
        parts = [b"*%d\r\n" % len(words)]
        parts += [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
        self.socket.sendall(b"".join(parts))
        return self.hear()

    def hear(self):
        return self.socket.recv(65536)


head = b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n"
subscriber, writer = Client(), Client()  # both speak RESP2
number = subscriber.ask("CLIENT", "ID").decode().strip()[1:]
subscriber.ask("SUBSCRIBE", "__redis__:invalidate")
seen = {}
for protocol in ("2", "3"):
    tracker = Client("HELLO", protocol)
    tracker.ask("CLIENT", "TRACKING", "ON", "REDIRECT", number)
    tracker.ask("GET", "key")
    writer.ask("SET", "key", "value")
    seen[protocol, "one key"] = subscriber.hear()
    tracker.ask("GET", "key")
    writer.ask("FLUSHALL")
    seen[protocol, "all keys"] = subscriber.hear()
    tracker.ask("CLIENT", "TRACKING", "OFF")
for (protocol, what), message in seen.items():
    print(f"tracker speaks RESP{protocol}, {what}: {message!r}")
keys = head + b"*1\r\n$3\r\nkey\r\n"
expected = {
    ("2", "one key"): keys,
    ("2", "all keys"): head + b"$-1\r\n",
    ("3", "one key"): keys,
    ("3", "all keys"): head + b"_\r\n",
}
sys.exit(0 if seen == expected else "this is no longer what was seen")
PYTHON
