#!/usr/bin/env bash
# Brings the peers of tests/peers/ into a folder, without touching the system: Redis 8 and Valkey 9 from Debian
# unstable, whose signed archive apt checks, at pinned versions; Redis 6.2.6 built from its released archive,
# checked by its digest.
#
#   newer_peers.sh DIR    about a minute, 400 MB; as root, with mmdebstrap. A second call does nothing.
#
# Writes DIR/bin/redis8-server, redis8-cli, redis8-check-rdb ..., valkey9-..., and redis62-... where the archive can be
# had. PEERS_MIRROR names another mirror: once unstable has moved on, one of snapshot.debian.org's days
# still has these versions.
set -euo pipefail

mirror=${PEERS_MIRROR:-http://deb.debian.org/debian}
redis=5:8.0.6-3
valkey=9.1.2-1
server_digests="6e8646bf532fb6136bb2b3a6363f3d34f04adb76de855394a4b668193efebf0d  usr/bin/redis-check-rdb
549e8565c4f63447f34764890b80eaeb40e0c70f2008676c6a7da8b3218ee462  usr/bin/valkey-server"
old=redis-6.2.6
old_address=https://download.redis.io/releases/$old.tar.gz
old_digest=5b2b8b7a50111ef395bf1c1d5be11e6e167ac018125055daa8b5c2317ae131ab

[ $# = 1 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1/bin"
dir=$(cd "$1" && pwd)
root=$dir/root

if [ ! -x "$root/usr/bin/valkey-server" ]; then
    mmdebstrap --mode=root --variant=apt --aptopt='Acquire::Check-Valid-Until "false"' \
        --include="redis-server=$redis,redis-tools=$redis,redis-sentinel=$redis" \
        --include="valkey-server=$valkey,valkey-tools=$valkey,valkey-sentinel=$valkey" \
        sid "$root" "$mirror" >"$dir/log" 2>&1 ||
        { tail -5 "$dir/log" >&2; echo "unstable may have moved on: PEERS_MIRROR" >&2; exit 1; }
    (cd "$root" && echo "$server_digests" | sha256sum --check --quiet)
fi

# They run with the loader and the libraries of that root.
for path in "$root"/usr/bin/redis-* "$root"/usr/bin/valkey-*; do
    name=$(basename "$path")
    short=${name/redis-/redis8-}
    short=${short/valkey-/valkey9-}
    cat >"$dir/bin/$short" <<W
#!/bin/sh
l=$root/usr/lib/x86_64-linux-gnu
l=\$l:\$l/systemd:$root/lib/x86_64-linux-gnu
exec $root/lib64/ld-linux-x86-64.so.2 --argv0 $name --library-path "\$l" $path "\$@"
W
    chmod +x "$dir/bin/$short"
done

if [ ! -x "$dir/bin/redis62-server" ] && curl -fsSL --retry 2 -o "$dir/$old.tar.gz" "$old_address"; then
    echo "$old_digest  $dir/$old.tar.gz" | sha256sum --check --quiet
    tar -C "$dir" -xf "$dir/$old.tar.gz"
    make -C "$dir/$old" MALLOC=libc >"$dir/log62" 2>&1
    for name in server cli sentinel check-rdb check-aof; do # no links: they go by the name that they are called by
        rm -f "$dir/bin/redis62-$name"
        printf '#!/bin/sh\nexec %s "$@"\n' "$dir/$old/src/redis-$name" >"$dir/bin/redis62-$name"
        chmod +x "$dir/bin/redis62-$name"
    done
fi
for name in redis62 redis8 valkey9; do
    if [ -x "$dir/bin/$name-server" ]; then "$dir/bin/$name-server" --version; fi
done
