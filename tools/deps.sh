#!/bin/sh
# Installs the Debian packages that the named groups need and that are not there yet. Quick when nothing is missing.
# usage: tools/deps.sh build|test|peers|lint|fuzz|image|schemas|pods|browser|machine ...
set -eu

build="gcc libc6-dev make liburing-dev liblz4-dev liblzf-dev libjemalloc-dev libxxhash-dev libmd-dev libbsd-dev
       libhiredis-dev libjansson-dev libluajit-5.1-dev libssl-dev"
# What the unpacked peers (tools/peers.sh) are linked with.
peers="libatomic1 libjemalloc2 liblzf1 libssl3 libstdc++6 libsystemd0"
test="libcriterion-dev $peers"
lint="clang-format cppcheck pyflakes3 python3"
fuzz="clang libclang-rt-dev"
image="mmdebstrap buildah"
schemas="python3 python3-yaml"
# Node.js from elsewhere does as well; Debian's npm would want Debian's Node.js.
command -v npm >/dev/null || schemas="$schemas nodejs npm ca-certificates"
pods="podman runc iproute2 python3 python3-yaml"
machine="qemu-system-x86 busybox-static cpio kmod"
# One test wants it, and is skipped where there is no such package.
browser=$(apt-cache search --names-only '^chromium-headless-shell$' 2>/dev/null | cut -d' ' -f1)

wanted=
for group in "$@"; do
    case $group in
    build) wanted="$wanted $build" ;;
    test) wanted="$wanted $test" ;;
    peers) wanted="$wanted $peers" ;;
    lint) wanted="$wanted $lint" ;;
    fuzz) wanted="$wanted $fuzz" ;;
    image) wanted="$wanted $image" ;;
    schemas) wanted="$wanted $schemas" ;;
    pods) wanted="$wanted $pods" ;;
    browser) wanted="$wanted $browser" ;;
    machine) wanted="$wanted $machine" ;;
    *) echo "tools/deps.sh: unknown group '$group'" >&2; exit 2 ;;
    esac
done

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    echo "Not a Debian: please see to the equivalents of these packages:" $wanted >&2
    exit 0
fi

missing=
for package in $wanted; do
    status=$(dpkg-query -W -f='${Status}' "$package" 2>/dev/null || true)
    [ "$status" = "install ok installed" ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
    as_root=sudo
    command -v sudo >/dev/null || { echo "Missing packages, and no sudo to install them:$missing" >&2; exit 1; }
fi
echo "Installing with ${as_root:+sudo }apt-get:$missing"
install="$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends"
# Package lists may be absent (a fresh image) or stale; only then are they fetched.
$install $missing >/dev/null 2>&1 || { $as_root apt-get update -q && $install $missing; }
