#!/usr/bin/env python3
"""Slipstream among other makes: each as master and as replica of ours. By hand, and by `make test-peers`.

    matrix.py BUILD PEERS     BUILD/redis-server is ours, BUILD/peers Debian's; PEERS/bin is what tools/newer_peers.sh
                              brought

Prints a table: a row is a thing tried, a column the other make. `ok` is equal data (values, groups, expiries) on both
sides, and for a resync the kind that was to be expected. `healed` names what ours refused of the other's stream; the
full resync that followed brought equal data. `refused` is the refusal that docs/mixed-fleets.md describes.
Whatever else happens is printed below the table, and the program ends with 1. What a make does not know is `-`.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import peers
from peers import Make, ReplyError, Server, expect_equal, in_step, wait

FIRST_PORT = int(os.environ.get("PEERS_PORT", "22700"))
SENTINEL_PATIENCE_S = 60
HUGE = b"x" * (3 << 20)


class Field:
    """One row for one make: its servers, and ports that nobody else has."""
    ports = FIRST_PORT

    def __init__(self, ours, other, third, root):
        self.ours, self.other, self.third, self.root = ours, other, third, root

    def start(self, make, **config):
        Field.ports += 1
        return Server(make, self.root, Field.ports, **config)

    def our(self, **config):
        return self.start(self.ours, **config)

    def our_writer(self, **config):
        """Whose files and payloads the other make is to read; in streams and snapshots it is learnt who reads them."""
        if self.other.name == "redis 6.2":  # as docs/mixed-fleets.md says
            config["rdb-write-for"] = "6.2"
        return self.our(**config)

    def sentinel(self, make, master):
        Field.ports += 1
        return peers.Sentinel(make, self.root, Field.ports, master)

    def their(self, **config):
        return self.start(self.other, **config)


# --- data and writes ---

def fill(server):
    call = server.call
    for db in range(3):
        call("SELECT", db)
        call("SET", "string:%d" % db, "value")
    call("SELECT", 0)
    call("SET", "integer", 12345)
    call("SET", "huge", HUGE)
    call("SET", "expires", "v", "PX", 1000000)
    call("SETBIT", "bits", 1000, 1)
    call("PFADD", "hll", *range(500))
    call("RPUSH", "list", *range(20))
    call("RPUSH", "list:long", *["element %d" % i for i in range(2000)])
    call("RPUSH", "list:huge", HUGE, "after")
    call("SADD", "set:int", *range(100))
    call("SADD", "set:long", *["member %d" % i for i in range(1000)])
    call("HSET", "hash", "f", 1, "g", "text")
    call("HSET", "hash:long", *[word for i in range(1000) for word in ("field %d" % i, i)])
    call("ZADD", "zset", 1.5, "a", "-inf", "b", "inf", "c")
    call("ZADD", "zset:long", *[word for i in range(1000) for word in (i / 3, "member %d" % i)])
    call("GEOADD", "geo", 13.36, 38.11, "Palermo", 15.08, 37.5, "Catania")
    for i in range(1, 300):
        call("XADD", "stream", "%d-1" % i, "f", i)
    call("XGROUP", "CREATE", "stream", "group", 0)
    call("XREADGROUP", "GROUP", "group", "consumer", "COUNT", 10, "STREAMS", "stream", ">")
    call("XACK", "stream", "group", "3-1")
    call("XDEL", "stream", "5-1")
    call("XADD", "empty", "1-1", "f", "v")
    call("XDEL", "empty", "1-1")


WRITES = [
    "SET w:a 1", "SET w:a 2 XX EX 1000", "SET w:b 1 NX PX 100000", "SETEX w:c 1000 v", "PSETEX w:d 1000000 v",
    "SETNX w:e v", "MSET w:f 1 w:g 2", "MSETNX w:h 1 w:i 2", "APPEND w:e more", "SETRANGE w:e 1 xy", "GETSET w:e other",
    "GETDEL w:i", "GETEX w:h EX 1000", "INCR w:f", "DECRBY w:f 5", "INCRBYFLOAT w:f 1.5", "SETBIT w:bit 9 1",
    "BITOP OR w:bits w:bit w:f", "BITFIELD w:bf INCRBY u8 0 200", "PFADD w:hll a b c", "PFMERGE w:hll2 w:hll hll",
    "EXPIRE w:g 1000", "PEXPIREAT w:f 9999999999999", "PERSIST w:c", "RENAME w:g w:gg", "COPY w:gg w:copy",
    "MOVE w:copy 1", "RPUSH w:l a b c d e", "LPUSH w:l z", "LINSERT w:l BEFORE c x", "LSET w:l 0 y", "LREM w:l 1 d",
    "LTRIM w:l 0 4", "LPOP w:l", "RPOPLPUSH w:l w:l2", "LMOVE w:l w:l2 LEFT RIGHT", "SADD w:s a b c d", "SREM w:s a",
    "SPOP w:s", "SMOVE w:s w:s2 nothing", "SUNIONSTORE w:s3 w:s set:int", "SDIFFSTORE w:s4 set:int w:s",
    "HSET w:h1 a 1 b 2", "HSETNX w:h1 c 3", "HDEL w:h1 b", "HINCRBY w:h1 a 5", "HINCRBYFLOAT w:h1 a 1.5",
    "HMSET w:h1 d 4", "ZADD w:z 1 a 2 b 3 c", "ZADD w:z GT CH 5 a", "ZINCRBY w:z 1.5 b", "ZREM w:z c", "ZPOPMIN w:z",
    "ZUNIONSTORE w:z2 2 w:z zset", "ZRANGESTORE w:z3 zset:long 0 9", "ZREMRANGEBYRANK w:z3 0 2",
    "GEOADD w:geo 13.3 38.1 p", "GEOSEARCHSTORE w:geo2 geo FROMLONLAT 15 37 BYRADIUS 200 km",
    "SORT set:int STORE w:sorted", "XADD w:x 1-1 a b", "XADD w:x * a b", "XADD w:x MAXLEN ~ 100 * a b",
    "XTRIM w:x MAXLEN 2", "XGROUP CREATE w:x g 0", "XREADGROUP GROUP g c COUNT 1 STREAMS w:x >",
    "XREADGROUP GROUP g c NOACK COUNT 1 STREAMS w:x >", "XGROUP CREATECONSUMER w:x g d", "XAUTOCLAIM w:x g d 0 0",
    "XSETID w:x 9999999999999-1", "XGROUP SETID w:x g 0",
    "EVAL redis.call('set',KEYS[1],ARGV[1]);return(redis.call('incr',KEYS[2])) 2 w:script w:counter v",
    "RESTORE w:restored 0 {dump} ", "SWAPDB 1 2", "DEL w:a nothing", "UNLINK w:d", "PUBLISH channel message",
]
LATER = {  # writes that a make may not know: it is asked for the command in front of each group
    "lmpop": ["LMPOP 2 nothing w:l2 LEFT COUNT 2", "ZADD w:z 1 d 2 e 3 f", "ZMPOP 1 w:z MIN COUNT 2",
              "EXPIRE w:f 5000 GT", "PEXPIRE w:e 5000000 NX", "SET w:nxget v NX GET", "SET w:nxget x NX GET",
              "XADD w:x 9999999999999-2 a b", "XADD w:x 9999999999999-* a b", "XGROUP CREATE w:x late 0 ENTRIESREAD 1",
              "XGROUP SETID w:x g 1-1 ENTRIESREAD 1", "XREADGROUP GROUP g d COUNT 2 STREAMS w:x >",
              "XDEL w:x 9999999999999-2", "XAUTOCLAIM w:x g e 0 0",
              "XREADGROUP GROUP late c NOACK COUNT 1 STREAMS w:x >",
              "XSETID w:x 9999999999999-9 ENTRIESADDED 20 MAXDELETEDID 9999999999999-2", "RESTORE w:late 0 {late}"],
    "msetex": ["MSETEX 2 w:m1 1 w:m2 2 EX 1000", "SET w:m2 3 IFEQ 2", "SET w:m2 4 IFEQ 2"],
    "delifeq": ["DELIFEQ w:m1 1"],
    "delex": ["SET w:ifne v IFNE w", "DELEX w:ifne IFEQ v", "BITOP DIFF w:diff w:bits w:f"],
}


def write(server, tag):
    """All forms; some twice, under another name, so that the second time finds what the first has left."""
    dump, late = server.call("DUMP", "list"), server.call("DUMP", "stream")

    def say(line):
        payloads = {"{dump}": dump, "{late}": late}
        server.call(*[payloads.get(word) or word.replace("w:", tag + ":") for word in line.split()])

    for line in WRITES:
        say(line)
    server.call("MULTI")
    server.call("INCR", tag + ":multi")
    server.call("RPUSH", tag + ":multilist", 1)
    server.call("EXEC")
    for command, lines in LATER.items():
        for line in lines if server.knows(command) else []:
            say(line)


def syncs(master):
    return int(master.info("sync_full")), int(master.info("sync_partial_ok"))


def pair(field, master_is_ours):
    master, replica = (field.our(), field.their()) if master_is_ours else (field.their(), field.our())
    fill(master)
    replica.follow(master)
    in_step(replica, master)
    return master, replica


# --- the rows ---

def full_sync(field, master_is_ours):
    master, replica = pair(field, master_is_ours)
    expect_equal(replica, master)


def stream(field, master_is_ours):
    master, replica = pair(field, master_is_ours)
    write(master, "w")
    in_step(replica, master)
    expect_equal(replica, master)
    errors = replica.info("unexpected_error_replies")
    if errors not in ("", "0"):
        raise AssertionError("resyncs: %s error replies to the stream" % errors)


def cut(field, master_is_ours):
    master, replica = pair(field, master_is_ours)
    before = syncs(master)
    replica.call("CLIENT", "KILL", "TYPE", "master")
    write(master, "w")
    in_step(replica, master)
    expect_equal(replica, master)
    after = syncs(master)
    if (after[0] - before[0], after[1] > before[1]) != (0, True):
        raise AssertionError("resyncs: full and partial %s, then %s" % (before, after))


def promotion(field, master_is_ours):
    """The replica takes over, the old master follows it, and both go back: no full resync in either direction."""
    master, replica = pair(field, master_is_ours)
    for server in (master, replica):  # a ping to nobody is history, too, which the other one does not have
        server.call("CONFIG", "SET", "repl-ping-replica-period", 3600)
    write(master, "w")
    in_step(replica, master)
    replica.follow(None)
    before = syncs(replica)
    write(replica, "promoted")
    master.follow(replica)
    in_step(master, replica)
    expect_equal(master, replica)
    if syncs(replica)[0] != before[0]:
        raise AssertionError("resyncs: the old master took a full one")
    before = syncs(master)
    master.follow(None)
    replica.follow(master)
    write(master, "back")
    in_step(replica, master)
    expect_equal(master, replica)
    if syncs(master)[0] != before[0]:
        raise AssertionError("resyncs: the way back took a full one")


def failover(field, master_is_ours):
    master, replica = pair(field, master_is_ours)
    write(master, "w")
    in_step(replica, master)
    master.call("FAILOVER", "TO", "127.0.0.1", replica.port, "TIMEOUT", 10000)
    wait("the replica is the master", lambda: replica.info("role") == "master")
    wait("the master is a replica", lambda: master.info("role") == "slave")
    write(replica, "after")
    in_step(master, replica)
    expect_equal(master, replica)


def chain(field, first_is_ours):
    """Theirs, ours in the middle, theirs; or ours, theirs, ours."""
    first, middle, last = ((field.our(), field.their(), field.our()) if first_is_ours else
                           (field.their(), field.our(), field.their()))
    fill(first)
    middle.follow(first)
    last.follow(middle)
    in_step(middle, first)
    in_step(last, middle)
    write(first, "w")
    in_step(middle, first)
    in_step(last, first)
    expect_equal(last, first)


def mixed_chain(field, theirs_is_last):
    """Ours between theirs and Debian's: what one says and the other does not know differs nowhere."""
    middle, third = field.our_writer(), field.start(field.third)  # a 6.2 behind a 7.0: we have to be told
    first, last = (third, field.their()) if theirs_is_last else (field.their(), third)
    fill(first)
    middle.follow(first)
    in_step(middle, first)
    last.follow(middle)
    in_step(last, middle)
    write(first, "w")
    in_step(middle, first)
    in_step(last, first)
    expect_equal(last, first)


def file_across(field, written_by_us):
    writer = field.our_writer() if written_by_us else field.their()
    fill(writer)
    writer.call("SAVE")
    reader = field.their() if written_by_us else field.our()
    reader.stop()
    shutil.copy(os.path.join(writer.dir, "dump.rdb"), reader.dir)
    reader.start()
    expect_equal(reader, writer)


def payloads(field, from_us):
    a = field.our_writer() if from_us else field.their()
    b = field.their() if from_us else field.our()
    fill(a)
    for key in a.call("KEYS", "*"):
        left_ms = a.call("PTTL", key)
        b.call("RESTORE", key, max(left_ms, 0), a.call("DUMP", key))
    for db in (1, 2):
        a.call("SELECT", db)
        a.call("FLUSHDB")
    a.call("SELECT", 0)
    expect_equal(b, a)


def cli_rdb(field, at_us):
    """Their redis-cli takes our data as a file, ours takes theirs; each checks the other's."""
    server = field.our_writer() if at_us else field.their()
    tools = field.other if at_us else field.ours
    fill(server)
    path = os.path.join(field.root, "taken-%d.rdb" % server.port)
    run = lambda *words: subprocess.run(words, capture_output=True, text=True, errors="replace", timeout=60)
    taken = run(field.other.program("cli"), "-p", str(server.port), "--rdb", path)
    checked = run(tools.program("check-rdb"), path)
    if taken.returncode or checked.returncode:
        raise AssertionError((taken.stderr + checked.stdout)[-200:])


def cli_keys(field, at_us):
    if not at_us:
        return "-"
    server = field.our(**{"maxmemory-policy": "allkeys-lfu"})
    fill(server)
    for option in ("--bigkeys", "--memkeys", "--hotkeys"):
        command = [field.other.program("cli"), "-p", str(server.port), option]
        done = subprocess.run(command, capture_output=True, timeout=60)
        if done.returncode and not (option == "--memkeys" and b"Unrecognized" in done.stderr):
            raise AssertionError("%s ends with %d" % (option, done.returncode))
    return None


def unknown_command(field, master_is_ours):
    """What a newer master says in a way that we do not know ends the link, with the reason; nothing differs in
    silence."""
    if master_is_ours:
        return "-"
    master = field.their()
    if not master.knows("vadd"):
        return "-"
    replica = field.our()
    fill(master)
    replica.follow(master)
    in_step(replica, master)
    master.call("VADD", "vector", "VALUES", 2, 1, 1, "element")
    wait("the stream is refused", lambda: "VADD" in replica.info("master_stream_refusal"))
    if master.call("WAIT", 1, 200) != 0:
        raise AssertionError("WAIT counts who has refused")
    return "refused"


# --- fields that expire ---

FIELD_TIME_MS = 40000000000000


def fill_fields(server):
    call = server.call
    call("HSET", "timed", "a", 1, "b", "text", "c", HUGE, "n", "12345678901")
    call("HPEXPIREAT", "timed", FIELD_TIME_MS, "FIELDS", 2, "a", "c")
    call("HSET", "timed:long", *[word for i in range(1000) for word in ("field %d" % i, i)])
    for i in range(0, 1000, 3):
        call("HPEXPIREAT", "timed:long", FIELD_TIME_MS + i * 7919 % 1000, "FIELDS", 1, "field %d" % i)
    call("HSET", "untimed", "a", 1)
    call("HPEXPIREAT", "untimed", FIELD_TIME_MS, "FIELDS", 1, "a")
    call("HPERSIST", "untimed", "FIELDS", 1, "a")
    call("SELECT", 2)
    call("HSET", "timed:short", "f", "v")
    call("HPEXPIREAT", "timed:short", FIELD_TIME_MS + 1, "FIELDS", 1, "f")
    call("SELECT", 0)


FIELD_WRITES = [  # in words that all who know field TTLs share; the last ones leave dead fields behind
    "HSET w:t a 1 b 2 c 3 d 4 e 5 f 6 g 7", "HEXPIRE w:t 1000 FIELDS 3 a b c", "HPEXPIRE w:t 2000000 GT FIELDS 2 a d",
    "HEXPIREAT w:t 40000000000 FIELDS 1 b", "HPEXPIREAT w:t 40000000000123 LT FIELDS 1 e", "HPERSIST w:t FIELDS 1 c",
    "HGETEX w:t EX 500 FIELDS 2 d e", "HGETEX w:t PERSIST FIELDS 1 d", "HINCRBY w:t a 5", "HINCRBYFLOAT w:t a 0.5",
    "HSET w:t b new", "HSETEX w:t EX 600 FIELDS 1 n 1", "HSETEX w:t KEEPTTL FIELDS 1 n 2",
    "HSETEX w:t FNX PX 600000 FIELDS 1 m 1", "HSETEX w:t PXAT 40000000000321 FIELDS 2 x 1 y 2",
    "HEXPIRE w:t 0 FIELDS 1 f", "HDEL w:t y", "HSETEX w:t EXAT 1 FIELDS 1 g 2", "COPY w:t w:t2", "RENAME w:t2 w:t3",
    "HPEXPIRE w:t3 1 FIELDS 2 a b", "HSETEX w:gone PX 1 FIELDS 1 a 1",
]


def write_fields(server, tag):
    for line in FIELD_WRITES:
        server.call(*line.replace("w:", tag + ":").split())
    wait("dead fields are gone",
         lambda: server.call("HLEN", tag + ":t3") == 6 and not server.call("EXISTS", tag + ":gone"))


def field_pair(field, master_is_ours):
    master, replica = (field.our(), field.their()) if master_is_ours else (field.their(), field.our())
    if not master.knows("hpexpire"):
        return None, None
    fill_fields(master)
    replica.follow(master)
    return master, replica


def field_sync(field, master_is_ours):
    """A full sync; to who has no form for it, the refusal in words, and a sync once there is nothing more to refuse."""
    master, replica = field_pair(field, master_is_ours)
    if not master:
        return "-"
    if replica.knows("hpexpire"):
        in_step(replica, master)
        expect_equal(replica, master)
        return None
    wait("it is refused in words", lambda: "with fields that expire" in log_of(master))
    for db, key in ((0, "timed"), (0, "timed:long"), (2, "timed:short")):
        master.call("SELECT", db)
        master.call("DEL", key)
    in_step(replica, master)
    expect_equal(replica, master)
    return "refused"


def field_stream(field, master_is_ours):
    """Writes, a cut with more of them, and the replica's own after it has taken over."""
    master, replica = field_pair(field, master_is_ours)
    if not master or not replica.knows("hpexpire"):
        return "-"
    in_step(replica, master)
    write_fields(master, "w")
    if master_is_ours:  # theirs send their own payload, which we take
        for key in ("timed", "timed:long"):
            master.call("RESTORE", "restored:" + key, 1000000, master.call("DUMP", key))
    in_step(replica, master)
    expect_equal(replica, master)
    before = syncs(master)
    replica.call("CLIENT", "KILL", "TYPE", "master")
    write_fields(master, "cut")
    in_step(replica, master)
    expect_equal(replica, master)
    after = syncs(master)
    if (after[0] - before[0], after[1] > before[1]) != (0, True):
        raise AssertionError("resyncs: full and partial %s, then %s" % (before, after))
    replica.follow(None)
    write_fields(replica, "promoted")
    master.follow(replica)
    in_step(master, replica)
    expect_equal(master, replica)
    return None


def field_files(field, written_by_us):
    """dump.rdb and payloads; ours for Valkey by rdb-write-for."""
    writer = field.our() if written_by_us else field.their()
    reader = field.their() if written_by_us else field.our()
    if not writer.knows("hpexpire") or not reader.knows("hpexpire"):
        return "-"
    if written_by_us and "valkey" in reader.make.name:
        writer.call("CONFIG", "SET", "rdb-write-for", "valkey9")
    fill_fields(writer)
    for key in (b"timed", b"timed:long", b"untimed"):
        payload = writer.call("DUMP", key)
        reader.call("RESTORE", key, 0, payload)
        if field_of(reader, key) != field_of(writer, key):
            raise AssertionError("the payload of %s differs" % key)
    writer.call("SAVE")
    reader.stop()
    shutil.copy(os.path.join(writer.dir, "dump.rdb"), reader.dir)
    reader.start()
    expect_equal(reader, writer)
    checker = field.other if written_by_us else field.ours
    command = [checker.program("check-rdb"), os.path.join(writer.dir, "dump.rdb")]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise AssertionError(done.stdout[-200:])
    return None


def sentinels(field, ours_are_more):
    """Three Sentinels and three servers of both makes: a master dies, and comes back; then one Sentinel of each make is
    asked for a fail-over. `leads`: the other make's Sentinels are two of the three, and its server is the first
    master."""
    more, fewer = (field.ours, field.other) if ours_are_more else (field.other, field.ours)
    makers = [field.our, field.their, field.our] if ours_are_more else [field.their, field.our, field.their]
    servers = [make() for make in makers]
    master = servers[0]
    master.call("MSET", *[word for i in range(1000) for word in ("key:%d" % i, i)])
    for server in servers[1:]:
        server.follow(master)
    for server in servers[1:]:
        in_step(server, master)
    watchers = [field.sentinel(make, master) for make in (more, more, fewer)]
    wait("the Sentinels know everybody", lambda: all(w.knows(2, 2) for w in watchers))
    master.stop()
    new = named(watchers, servers, {server.port for server in servers if server is not master})
    wait("it is one", lambda: new.info("role") == "master", SENTINEL_PATIENCE_S)
    new.call("SET", "after", 1)
    master.start()
    new = settled(watchers, servers)
    for asked in (watchers[0], watchers[2]):
        others = {server.port for server in servers if server is not new}
        wait("a fail-over is begun", lambda: asked.call("SENTINEL", "FAILOVER", "main") == b"OK", SENTINEL_PATIENCE_S)
        named(watchers, servers, others)
        new = settled(watchers, servers)
    for server in servers:
        if server is not new:
            expect_equal(server, new)


def named(watchers, servers, ports):
    """The master that all Sentinels name, once that is one of these."""
    def they_do():
        said = {watcher.master_port() for watcher in watchers}
        return len(said) == 1 and said <= ports
    wait("all Sentinels name another master", they_do, SENTINEL_PATIENCE_S)
    return next(server for server in servers if server.port == watchers[0].master_port())


def settled(watchers, servers):
    """The master, once all are at rest: whoever it is then, if on a busy machine another election came between."""
    found = []

    def they_are():
        ports = {watcher.master_port() for watcher in watchers}
        if len(ports) != 1 or not all(watcher.knows(2, 2) for watcher in watchers):
            return False
        found[:] = [server for server in servers if server.port in ports]
        return found[0].info("role") == "master" and all(
            server.info("master_port") == str(found[0].port) and server.info("master_link_status") == "up"
            for server in servers if server is not found[0])
    wait("one master, two replicas, all at rest", they_are, SENTINEL_PATIENCE_S)
    for server in servers:
        if server is not found[0]:
            in_step(server, found[0])
    return found[0]


def field_of(server, key):
    fields = sorted(server.call("HKEYS", key))
    return list(zip(fields, server.call("HMGET", key, *fields), peers.field_times(server, key, fields)))


def log_of(server):
    with open(os.path.join(server.dir, "log"), errors="replace") as log:
        return log.read()


ROWS = [
    ("full sync", full_sync), ("stream of writes", stream), ("cut, partial resync", cut),
    ("promotion and back", promotion), ("FAILOVER", failover), ("chain", chain),
    ("chain, Redis 7.0 at the other end", mixed_chain), ("dump.rdb across", file_across),
    ("DUMP payloads across", payloads), ("--rdb, check-rdb", cli_rdb), ("--bigkeys and kin", cli_keys),
    ("unknown command", unknown_command), ("field TTLs: full sync", field_sync),
    ("field TTLs: stream, cut, promotion", field_stream), ("field TTLs: files, payloads", field_files),
    ("Sentinels", sentinels),
]


def refusals():
    """By name, of ours that run: what the other one said and we did not know."""
    names = set()
    for server in Server.running:
        if server.make.ours:
            with open(os.path.join(server.dir, "log"), errors="replace") as log:
                for line in log:
                    if "cannot be followed behind offset" in line:
                        names.add(line.split("' by ", 1)[1].split(" ", 1)[0])
    return names


def try_row(row, field, ours_first, failures, name):
    try:
        said = row(field, ours_first) or "ok"
        return said if said != "ok" or not refusals() else "ok, healed: " + ", ".join(sorted(refusals()))
    except AssertionError as error:
        if str(error).startswith("resyncs: ") and refusals():
            return "ok, healed: " + ", ".join(sorted(refusals()))
        failures.append("%s, %s: %s" % (name, field.other.name, error))
        return "FAILED"
    except (ReplyError, OSError, subprocess.SubprocessError) as error:
        failures.append("%s, %s: %s" % (name, field.other.name, error))
        return "FAILED"
    finally:
        Server.stop_all()


def main():
    build, where = sys.argv[1], sys.argv[2]
    ours = Make("ours", os.path.join(os.path.abspath(build), "redis-"), ours=True)
    debian = Make("redis 7.0", os.path.join(os.path.abspath(build), "peers/usr/bin/redis-"))
    newer = os.path.join(os.path.abspath(where), "bin")
    others = [Make("redis 6.2", newer + "/redis62-"), debian, Make("redis 8.0", newer + "/redis8-"),
              Make("valkey 9.1", newer + "/valkey9-")]
    others = [make for make in others if make.is_there()]
    only = sys.argv[3] if len(sys.argv) > 3 else ""
    root = tempfile.mkdtemp(prefix="peers-", dir=os.environ.get("PEERS_DIR"))
    failures = []
    print("| | " + " | ".join("%s leads | %s follows" % (make.name, make.name) for make in others) + " |")
    print("|---" * (1 + 2 * len(others)) + "|")
    for name, row in ROWS:
        if only not in name:
            continue
        cells = [try_row(row, Field(ours, make, debian, root), ours_first, failures, name)
                 for make in others for ours_first in (False, True)]
        print("| " + name + " | " + " | ".join(cells) + " |", flush=True)
    for failure in failures:
        print(failure)
    if failures:
        print("the servers' directories are kept in " + root)
    else:
        shutil.rmtree(root)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
