#!/usr/bin/env bash
# Builds the Dockerfile's image without a registry and without a daemon, as an OCI archive. Needs root on a Debian: the
# base is a Debian root that mmdebstrap makes of packages, and buildah runs the build steps in a chroot. Base and build
# layers stay in build/image, so that only what changed is built again.
# usage: tools/image.sh ARCHIVE [NAME:TAG]
set -euo pipefail

archive=$1 name=${2:-slipstream:latest}
suite=bookworm
work=build/image
base=localhost/debian:$suite-slim

[ "$(id -u)" = 0 ] || { echo "tools/image.sh: building the image needs root" >&2; exit 1; }
mkdir -p "$work" "$(dirname "$archive")"

# Settings of this machine's own registries and storage are left out of it.
export CONTAINERS_CONF=/dev/null TMPDIR=$PWD/$work/tmp
store=(--root "$PWD/$work/storage" --runroot "$PWD/$work/run")
# What an interrupted build leaves, this one or one before: containers, whose mounts would keep `make clean` from
# removing them, and halves of archives.
tidy()
{
    buildah "${store[@]}" rm --all >/dev/null 2>&1 || true
    rm -rf "$TMPDIR"
}
tidy
trap tidy EXIT
mkdir "$TMPDIR"

# make_base: what Docker's debian:bookworm-slim is, with its settings for apt and dpkg. The files that dpkg is told to
# leave out are removed afterwards from the packages of the root itself: filtering each of these takes longer.
make_base()
{
    local container root
    container=$(buildah "${store[@]}" from scratch)
    root=$(buildah "${store[@]}" mount "$container")
    mmdebstrap --quiet --format=directory --variant=minbase --dpkgopt=force-unsafe-io "$suite" "$root"
    echo 'APT::Keep-Downloaded-Packages "false";' >"$root/etc/apt/apt.conf.d/no-downloads"
    cat >"$root/etc/dpkg/dpkg.cfg.d/slim" <<'EOF'
path-exclude /usr/share/doc/*
path-include /usr/share/doc/*/copyright
path-exclude /usr/share/locale/*
path-exclude /usr/share/man/*
EOF
    find "$root/usr/share/doc" ! -type d ! -name copyright -delete
    find "$root/usr/share/locale" "$root/usr/share/man" -mindepth 1 -delete
    buildah "${store[@]}" config --cmd bash "$container"
    buildah "${store[@]}" commit --quiet --rm "$container" "$base" >/dev/null
}

build()
{
    buildah "${store[@]}" bud --isolation chroot --pull-never --layers --format oci --build-arg BASE="$base" "$@" .
}

if ! buildah "${store[@]}" inspect --type image "$base" >/dev/null 2>&1; then
    echo "Making a Debian root of $suite"
    make_base
fi
# The first stage has a name of its own, which keeps its layers when those without one are removed.
build --target build --tag "${name%:*}-build"
build --tag "$name"
rm -f "$archive"
buildah "${store[@]}" push --quiet "$name" "oci-archive:$archive:$name"
buildah "${store[@]}" rmi --prune >/dev/null 2>&1 || true
echo "$archive: $(du -h "$archive" | cut -f 1)"
