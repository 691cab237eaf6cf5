#!/usr/bin/env bash
# An acknowledgement that comes early is forgotten, and a replica that loads quickly waits a second for its first write.
#
# After a full synchronisation without a file (repl-diskless-sync, the default since 7.0) a master sends a replica
# nothing of the stream before that has acknowledged something. Replicas acknowledge as soon as they have loaded the
# snapshot, and then once a second. But the first acknowledgement counts only when the master has noticed by then that
# its child is through, which it looks for ten times a second. A small dataset is loaded sooner than that: the
# acknowledgement is dropped without a word, and what the master writes reaches the replica with the next one, a second
# later, although both call the link up.
#
# Seen with Debian 12's redis-server 5:7.0.15-1~deb12u10, which this script runs;
# the same with Redis 8.0.6 and Valkey 9.1.2.
# usage: findings/early-acknowledgement.sh    (Debian 12, network; installs nothing outside its folder)
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
    root/usr/bin/redis-server --port 0 --unixsocket "$work/socket" --dir "$work/data" --save '' \
    --repl-diskless-sync-delay 0 >log 2>&1 &
server=$!
for _ in $(seq 100); do [ -S socket ] && break || sleep 0.1; done

python3 - "$work/socket" <<'PYTHON'
import socket
import sys
import time


def connect():
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(10)
    client.connect(sys.argv[1])
    return client


def say(client, *words):
    parts = [b"*%d\r\n" % len(words)]
    parts += [b"$%d\r\n%s\r\n" % (len(word), word.encode()) for word in words]
    client.sendall(b"".join(parts))


def hear(client, seconds):
    """What arrives within so long, or sooner; line ends that only say that the master is alive are left out."""
    deadline = time.monotonic() + seconds
    while (left := deadline - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            heard = client.recv(65536).strip(b"\n")
        except TimeoutError:
            break
        if heard:
            return heard
    return b""


replica, writer = connect(), connect()
say(replica, "REPLCONF", "capa", "eof", "capa", "psync2")
replica.recv(64)
say(replica, "PSYNC", "?", "-1")
got = b""
while b"$EOF:" not in got or got.count(mark := got.split(b"$EOF:")[1][:40]) < 2:
    got += replica.recv(65536)
offset = got.split(b"\r\n")[0].split()[2].decode()
say(replica, "REPLCONF", "ACK", offset)
say(writer, "SET", "key", "value")
writer.recv(64)
before = hear(replica, 0.9)
say(replica, "REPLCONF", "ACK", offset)
behind = hear(replica, 5)
print(f"within 0.9 s of an acknowledgement at once: {before!r}")
print(f"behind a second one: {behind[:60]!r}...")
sys.exit(0 if not before and b"SELECT" in behind else "this is no longer what was seen")
PYTHON
