#!/bin/sh
# Makes the corpora that the fuzz targets start from: values of every type and encoding as our server and Debian's
# Redis dump them, the files that both save, the forms that neither writes any more (old_forms.txt), append-only files,
# whose oddities stand in aof_forms.txt, ACL files (acl_forms.txt), and function libraries and what scripts unpack
# (script_forms.txt).
# usage: tests/fuzz/seeds.sh DIRECTORY REDIS_CLI REDIS_SERVER...
set -eu

here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
out=$(cd "$1" && pwd)
(cd "$out" && mkdir -p restore rdb_file aof_scan aof_manifest acl_file function_restore script_values)
cli=$2
shift 2
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$work"' EXIT

ask() { "$cli" -s "$work/socket" "$@"; }

# Database 0 keeps its values packed, database 1 does not, database 2 has what keys have beside their values.
fill()
{
    thresholds="hash-max-listpack-entries set-max-intset-entries zset-max-listpack-entries list-max-listpack-size
        stream-node-max-entries"
    ask <"$here/values.txt" >/dev/null
    for directive in $thresholds; do ask config set "$directive" 3; done >/dev/null
    ask config set set-max-listpack-entries 3 >/dev/null || true # since 7.2
    { echo "select 1"; cat "$here/values.txt"; } | ask >/dev/null
    ask -n 2 mset expiring 1 idle 2 >/dev/null
    ask -n 2 pexpireat expiring 99999999999999 >/dev/null
    ask function load "#!lua name=lib
redis.register_function('f', function() return 1 end)" >/dev/null 2>&1 || true
}

# dump_keys NAME: a payload ends in a version of 2 bytes and a checksum of 8, and redis-cli adds a newline.
dump_keys()
{
    for db in 0 1; do
        for key in $(ask -n "$db" keys '*'); do
            ask -n "$db" --raw dump "$key" | head -c -11 >"$out/restore/$1-$db-$key"
        done
    done
}

# dump_functions NAME: the payload as above.
dump_functions()
{
    ask --raw function dump | head -c -11 >"$out/function_restore/$1"
}

# save_files NAME: a file ends in an opcode of 1 byte and a checksum of 8.
save_files()
{
    for policy in noeviction allkeys-lru allkeys-lfu; do
        ask config set maxmemory-policy "$policy" >/dev/null
        ask save >/dev/null
        head -c -9 "$work/dump.rdb" >"$out/rdb_file/$1-$policy"
    done
    for db in 0 1; do ask -n "$db" flushdb >/dev/null; done
    ask save >/dev/null
    head -c -9 "$work/dump.rdb" >"$out/rdb_file/$1-small"
}

# keep_append_only_files NAME
keep_append_only_files()
{
    for file in "$work"/appendonlydir/*; do
        case $file in
        *.incr.aof) head -c 4096 "$file" >"$out/aof_scan/$1" ;;
        *.manifest) cp "$file" "$out/aof_manifest/$1" ;;
        esac
    done
}

number=0
for program in "$@"; do
    number=$((number + 1))
    name=server-$number
    "$program" --port 0 --unixsocket "$work/socket" --dir "$work" --save "" --appendonly yes \
        --aof-timestamp-enabled yes >"$work/log" 2>&1 &
    server=$!
    tries=100
    until ask ping >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$work/log" >&2; exit 1; }
        sleep 0.1
    done
    fill
    dump_keys "$name"
    dump_functions "$name"
    save_files "$name"
    keep_append_only_files "$name"
    ask shutdown nosave 2>/dev/null || true
    wait "$server" || true
    server=
    rm -rf "$work/socket" "$work/dump.rdb" "$work/appendonlydir"
done

number=0
cd "$here"
grep -hv '^#' old_forms.txt aof_forms.txt acl_forms.txt script_forms.txt | while read -r target form; do
    number=$((number + 1))
    printf '%b' "$form" >"$out/$target/form-$number"
done
