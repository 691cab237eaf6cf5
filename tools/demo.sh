#!/usr/bin/env bash
# Shows replication at work: a master and its replica, writes, a cut link, and the partial resync that follows.
# usage: tools/demo.sh REDIS_SERVER REDIS_CLI SLIPSTREAM_LAB
set -euo pipefail

server=$(realpath -s "$1") cli=$(realpath -s "$2") lab=$(realpath -s "$3")
work=$(mktemp -d)
pids=()
end()
{
    [ ${#pids[@]} = 0 ] || kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$work"
}
trap end EXIT

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
free_port()
{
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
    echo "$port"
}
# start NAME PORT [directive...]
start()
{
    local name=$1 port=$2
    shift 2
    mkdir "$work/$name"
    (cd "$work/$name" && exec "$server" --port "$port" --save "" --repl-diskless-sync-delay 0 "$@" >log 2>&1) &
    pids+=($!)
    until_true "$name to answer" "[ \"\$('$cli' -p $port PING 2>/dev/null)\" = PONG ]"
}
# until_true WHAT CONDITION: at most ten seconds
until_true()
{
    for _ in $(seq 500); do
        if eval "$2"; then return; fi
        sleep 0.02
    done
    echo "waited in vain for $1" >&2
    tail -n 20 "$work"/*/log >&2
    exit 1
}
field() { "$cli" -p "$1" INFO "$2" | tr -d '\r' | sed -n "s/^$3://p"; }
in_step()
{
    [ "$(field "$replica" replication master_link_status)" = up ] &&
        [ "$(field "$replica" replication slave_repl_offset)" = "$(field "$master" replication master_repl_offset)" ]
}
write() { for i in $(seq "$1" "$2"); do echo "SET key:$i value-$i"; done | "$cli" -p "$master" >/dev/null; }

master=$(free_port 7301)
start master "$master"
replica=$(free_port $((master + 1)))
line=$(free_port $((replica + 1)))
say "A master on port $master, a replica on port $replica that follows it through a proxy on port $line, and 1000 keys"
"$lab" proxy --listen "$line" --to "$master" --control "$work/line" >/dev/null &
pids+=($!)
until_true "the proxy" "[ -S '$work/line' ]"
start replica "$replica" --replicaof "127.0.0.1 $line"
until_true "the first sync" in_step
write 1 1000
until_true "the replica to follow" in_step

say "INFO replication of the master"
"$cli" -p "$master" INFO replication
say "INFO replication of the replica"
"$cli" -p "$replica" INFO replication

say "The line is cut, 1000 more keys are written, and it is healed"
"$lab" tell "$work/line" cut >/dev/null
write 1001 2000
echo "while it was cut: offset of the master $(field "$master" replication master_repl_offset)," \
    "of the replica $(field "$replica" replication slave_repl_offset)"
"$lab" tell "$work/line" heal >/dev/null
until_true "the resync" in_step
echo "full resyncs granted:    $(field "$master" stats sync_full)"
echo "partial resyncs granted: $(field "$master" stats sync_partial_ok)"
echo "keys: master $("$cli" -p "$master" DBSIZE), replica $("$cli" -p "$replica" DBSIZE)"

say "What the two logged of it"
grep -h 'Partial resynchronization request' "$work/master/log"
grep -h 'Successful partial resynchronization' "$work/replica/log"
