#!/bin/sh
# Installs what is missing on a Debian or Ubuntu machine: system packages, then (not for deb) a virtual environment in
# .venv.
#   bootstrap.sh demo | test | deb
set -eu
cd "$(dirname "$0")/.."

units="systemd passwd"
deb="dpkg-dev debhelper lintian debootstrap systemd-container"
build="python3 python3-venv python3-dev gcc libc6-dev libnetfilter-queue-dev libnfnetlink-dev"
run="iptables iproute2 openssl ca-certificates"
demo="sip-tester kamailio"
test="tshark procps curl strace util-linux kamailio-secsipid-modules softhsm2 opensc-pkcs11 nftables"

case "${1:-}" in
demo) packages="$build $run $demo" extra="" ;;
test) packages="$build $run $demo $test $units" extra="[test]" ;;
deb) packages="$build $deb" extra="" ;;
*) echo "usage: $0 demo|test|deb" >&2; exit 2 ;;
esac

missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q '^install ok installed' || missing="$missing $package"
done

if [ -n "$missing" ]; then
    echo "Installing:$missing"
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || { echo "bootstrap: run as root to install:$missing" >&2; exit 3; }
        root=sudo
    fi
    # A SIP server that is installed for a demonstration must not begin to listen on this machine.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '$root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
        $root chmod +x "$policy"
    fi
    $root apt-get update -q
    $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing
fi

[ "$1" != deb ] || exit 0

wanted="$(cat pyproject.toml setup.py "$0" | cksum) $extra"
if [ ! -x .venv/bin/sbc-filter ] || [ "$(cat .venv/wanted 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Python packages into .venv"
    # The distribution's own interpreter, whatever else is on the path: built for speed, and what a host runs.
    /usr/bin/python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$extra"
    echo "$wanted" > .venv/wanted
fi
