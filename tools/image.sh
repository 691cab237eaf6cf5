#!/usr/bin/env bash
# Builds the Dockerfile's image without a registry and without a daemon, as an OCI archive. Needs root on a Debian: the
# base is a Debian root that mmdebstrap makes of packages, and buildah runs the build steps in a chroot. Base and build
# layers stay in build/image, so that only what changed is built again; nothing is kept anywhere else.
# usage: tools/image.sh ARCHIVE [NAME:TAG]
set -euo pipefail

archive=$1 name=${2:-slipstream:latest}
suite=bookworm
work=build/image
base=localhost/debian:$suite-slim

[ "$(id -u)" = 0 ] || { echo "tools/image.sh: building the image needs root" >&2; exit 1; }
mkdir -p "$work" "$(dirname "$archive")"

# Settings of this machine's own registries and storage are left out of it.
export CONTAINERS_CONF=/dev/null BUILDAH_ISOLATION=chroot
store=(--root "$PWD/$work/storage" --runroot "$PWD/$work/run")
# Mounts that an interrupted build left behind would keep `make clean` from removing the store.
trap 'buildah "${store[@]}" umount --all >/dev/null 2>&1 || true' EXIT

if ! buildah "${store[@]}" inspect --type image "$base" >/dev/null 2>&1; then
    echo "Making a Debian root of $suite"
    mmdebstrap --quiet --format=tar --variant=minbase --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$work/root.tar"
    root=$(buildah "${store[@]}" from scratch)
    buildah "${store[@]}" add --quiet "$root" "$work/root.tar" / >/dev/null
    buildah "${store[@]}" config --cmd bash "$root"
    buildah "${store[@]}" commit --quiet --rm "$root" "$base" >/dev/null
    rm "$work/root.tar"
fi

buildah "${store[@]}" bud --isolation chroot --pull-never --layers --format oci --build-arg BASE="$base" --tag "$name" .
rm -f "$archive"
buildah "${store[@]}" push --quiet "$name" "oci-archive:$archive:$name"
# What older builds left: untagged images, their layers with them.
buildah "${store[@]}" rmi --prune >/dev/null 2>&1 || true
echo "$archive: $(du -h "$archive" | cut -f 1)"
