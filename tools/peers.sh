#!/bin/sh
# Unpacks Debian's Redis (server, tools, sentinel) as the peer of tests and benchmarks, and its exporter for Prometheus.
# Unpacked, not installed: the packages would start a service on port 6379.
# usage: tools/peers.sh DIRECTORY
set -eu

peers=$1
packages="redis-server redis-tools redis-sentinel"

# Asked for once, for one test, which is skipped where it could not be had.
fetch_exporter()
{
    [ ! -e "$peers/exporter-tried" ] || return 0
    touch "$peers/exporter-tried"
    scratch=$(mktemp -d)
    (cd "$scratch" && apt-get download -q -o APT::Sandbox::User=root prometheus-redis-exporter >/dev/null 2>&1 &&
        dpkg -x ./*.deb unpacked) && cp "$scratch/unpacked/usr/bin/prometheus-redis-exporter" "$peers/usr/bin/"
    rm -rf "$scratch"
}

if [ -e "$peers/ready" ]; then
    fetch_exporter || true
    exit 0
fi
start=$(pwd)

command -v apt-get >/dev/null || { echo "The peers are Debian packages, and there is no apt-get here." >&2; exit 1; }
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo

rm -rf "$peers"
mkdir -p "$peers/packages"
cd "$peers/packages"
echo "Fetching Debian's $packages into $peers"
# As root, apt would first try to download as a user who may not write here, and warn.
fetch="apt-get download -q -o APT::Sandbox::User=root $packages"
$fetch >/dev/null 2>&1 || { $as_root apt-get update -q && $fetch; }
for package in *.deb; do dpkg -x "$package" ..; done
cd ..
rm -r packages
usr/bin/redis-server --version
touch ready
cd "$start"
fetch_exporter || true
