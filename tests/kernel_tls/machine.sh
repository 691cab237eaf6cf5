#!/usr/bin/env bash
# Runs the tests of TLS under a kernel that has TLS of its own, in a virtual machine without network or disk: Debian's
# cloud kernel with the module `tls`, and beside the tests nothing but busybox and the libraries that they need. The
# same tests run everywhere else with our own encryption.
#
#   machine.sh BUILD PEERS [COMMAND]    COMMAND runs inside instead of tests/kernel_tls/inside.sh
#
# ENGINES and TEST are as for `make test`; JOBS is how many processors the machine has. It is emulated, which takes some
# minutes; ACCEL=kvm where that works. The kernel comes by apt, whose signatures say whose it is, and stays in
# BUILD/kernel-tls. Where it or qemu cannot be had, nothing is tested, and the last line says so.
set -euo pipefail

build=$1 peers=$2 inside=${3:-tests/kernel_tls/inside.sh}
cache=$build/kernel-tls
modules="tls aesni-intel ghash-clmulni-intel gcm ctr seqiv chacha20poly1305 chacha-x86_64 poly1305-x86_64"
bound_s=${BOUND_S:-2400}

skip() { echo "kernel TLS: not tested: $1"; exit 0; }

tools/deps.sh machine >/dev/null 2>&1 || true
for tool in qemu-system-x86_64 busybox cpio depmod dpkg-deb apt-get; do
    command -v $tool >/dev/null || skip "no $tool"
done
[ "$(uname -m)" = x86_64 ] || skip "this is no x86_64"

mkdir -p "$cache"
if ! ls "$cache"/kernel/boot/vmlinuz-* >/dev/null 2>&1; then
    package=$(apt-cache depends linux-image-cloud-amd64 2>/dev/null |
        sed -n 's/.*Depends: \(linux-image-[0-9].*\)/\1/p' | head -n 1)
    [ -n "$package" ] || skip "apt knows no linux-image-cloud-amd64"
    (cd "$cache" && apt-get download -q "$package" >/dev/null 2>&1) || skip "$package cannot be had"
    dpkg-deb -x "$cache"/linux-image-*.deb "$cache/kernel"
    rm "$cache"/linux-image-*.deb
    depmod -b "$cache/kernel" "$(ls "$cache/kernel/lib/modules")"
fi
version=$(ls "$cache/kernel/lib/modules")

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root"/{bin,dev,proc,sys,tmp,etc,modules,slipstream,lib64}
cp "$(command -v busybox)" "$root/bin/busybox"
cp --parents "$build/redis-server" "$build"/tests/integration \
    "$build"/tests/unit/test_{kernel_tls,tls_keys,net_tls_detach} tests/kernel_tls/*.sh "$root/slipstream"
cp -r --parents "$peers/usr/bin" "$peers/ready" "$root/slipstream"
ln -s redis-server "$root/slipstream/$build/redis-sentinel"
for library in $(ldd "$root/slipstream/$build"/{redis-server,tests/integration} \
    "$root/slipstream/$peers/usr/bin/redis-server" |
    sed -n 's/.*\(=> \|^\t\)\(\/[^ ]*\) (.*/\2/p' | sort -u); do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
echo root:x:0:0:root:/:/bin/sh >"$root/etc/passwd"
number=100
for module in $(for m in $modules; do modprobe -d "$cache/kernel" -S "$version" --show-depends "$m"; done 2>/dev/null |
    sed -n 's/^insmod \([^ ]*\).*/\1/p'); do
    name=$(basename "$module" .ko)
    ls "$root/modules" | grep -q -- "-$name.ko$" && continue
    cp "$module" "$root/modules/$((number++))-$name.ko"
done
ls "$root/modules" | grep -q -- -tls.ko || skip "the kernel $version has no module tls"
cat >"$root/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/tmp
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev
mkdir -p /dev/shm; mount -t tmpfs tmpfs /dev/shm; mount -t tmpfs tmpfs /tmp
ip link set lo up
for module in /modules/*; do insmod \$module; done 2>/dev/null
cd /slipstream
export BUILD=$build PEERS=$peers ENGINES="${ENGINES:-auto epoll}" TEST="${TEST:-}" JOBS=${JOBS:-2}
sh $inside
echo "status inside: \$?"
poweroff -f
INIT
chmod +x "$root/init"
(cd "$root" && find . | cpio --quiet -o -H newc | gzip -1) >"$cache/root.gz"

echo "== kernel $version"
timeout --kill-after=10 "$bound_s" qemu-system-x86_64 -accel "${ACCEL:-tcg}" -cpu max -smp "${JOBS:-2}" -m 3072 \
    -nodefaults -nographic -serial stdio -no-reboot -kernel "$cache/kernel/boot/vmlinuz-$version" \
    -initrd "$cache/root.gz" -append "console=ttyS0 quiet panic=-1 tsc=reliable" </dev/null 2>/dev/null |
    stdbuf -oL tr -d '\r' | tee "$cache/output"
tail -n 5 "$cache/output" | grep -q '^status inside: 0$'
