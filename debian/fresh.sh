#!/bin/sh
# Does as a newcomer does, for each release named: `make deb` in a fresh tree that has git and make only, then installs
# the package in another one, which has no compiler, and runs it. Needs root, debootstrap and the network.
#   deb-fresh.sh [SUITE ...]
set -eu
cd "$(dirname "$0")/.."
trees="$PWD/build/fresh"

# Makes a tree: folder, release, options of debootstrap.
make_tree() {
    rm -rf "$1"
    mkdir -p "$1"
    debootstrap --variant=minbase ${3:-} "$2" "$1" >"$1.log" 2>&1 || { tail "$1.log" >&2; exit 3; }
    cp /etc/resolv.conf "$1/etc/resolv.conf"
}

# Runs commands in a tree, in the folder /root.
within() {
    unshare --mount --pid --fork sh -ec 'mount -t proc proc "$1/proc"; exec chroot "$1" sh -ec "cd /root; $2"' sh "$1" "$2"
}

packages() {
    within "$1" "dpkg-query -W" | wc -l
}

for suite in ${@:-"$(. /etc/os-release && echo "$VERSION_CODENAME")"}; do
    echo "$suite: building in a fresh tree"
    make_tree "$trees/$suite-build" "$suite" --include=git,make,ca-certificates
    # What pip uses on this host: a company's own authorities and index.
    cp /etc/ssl/certs/ca-certificates.crt "$trees/$suite-build/etc/ssl/certs/"
    [ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$trees/$suite-build/etc/"
    git clone --quiet . "$trees/$suite-build/root/source"
    before="$(packages "$trees/$suite-build")"
    within "$trees/$suite-build" "cd source; make deb" >"$trees/$suite.log" 2>&1 || { tail "$trees/$suite.log" >&2; exit 1; }
    echo "$suite: $(($(packages "$trees/$suite-build") - before)) packages were installed for it"

    echo "$suite: installing it in another"
    make_tree "$trees/$suite-run" "$suite"
    cp "$trees/$suite-build"/root/source/build/deb/*.deb "$trees/$suite-run/root"
    within "$trees/$suite-run" "
        apt-get update -q
        DEBIAN_FRONTEND=noninteractive apt-get install --yes -q ./sbc-filter_*.deb" >>"$trees/$suite.log" 2>&1 ||
        { tail "$trees/$suite.log" >&2; exit 1; }
    within "$trees/$suite-run" "
        dpkg-query -W sbc-filter
        sbc-filter pki lab
        sbc-filter check --config lab/sbc-filter.toml"
    rm -rf "$trees/$suite-build" "$trees/$suite-run"
done
