#!/bin/sh
# Installs what one target of the Makefile needs and this Debian or Ubuntu host lacks: system packages, then (for demo,
# test, differential, asterisk and deb-test) a virtual environment in .venv. For differential also
# build/judges/node_modules.
#   bootstrap.sh demo | test | differential | asterisk | deb | deb-test | deb-fresh
#   bootstrap.sh list TARGET    prints the packages that the target needs, and installs nothing
set -eu
cd "$(dirname "$0")/.."

fail() {
    echo "bootstrap: $1" >&2
    exit 3
}

# The one list of what the program is built with. Debian's builder wants more around it; pip wants a C compiler.
depends="$(sed -n 's/^Build-Depends: //p' debian/control)"
deb="build-essential, git, $depends"
build="gcc, libc6-dev, $(echo "$depends" | sed 's/debhelper-compat ([^)]*), //')"

run="iptables, iproute2, openssl, ca-certificates"
demo="$build, $run, sip-tester, kamailio"
test="$demo, tshark, procps, curl, strace, util-linux, kamailio-secsipid-modules, softhsm2, opensc-pkcs11, nftables,
 systemd, passwd, chromium"
stacks="pkg-config, libosip2-dev, libsofia-sip-ua-dev, libre-dev, libnet-sip-perl, nodejs, npm"
differential="$test, $stacks"
asterisk="$test, debootstrap, debian-archive-keyring"
deb_test="$test, lintian, debootstrap, systemd-container"
deb_fresh="git, debootstrap"

only_list=""
if [ "${1:-}" = list ]; then
    only_list=yes
    shift
fi
case "${1:-}" in
demo) needs="$demo" extra="" ;;
test) needs="$test" extra="[test]" ;;
differential) needs="$differential" extra="[test]" ;;
asterisk) needs="$asterisk" extra="[test]" ;;
deb) needs="$deb" extra=none ;;
deb-test) needs="$deb_test" extra="[test]" ;;
deb-fresh) needs="$deb_fresh" extra=none ;;
*)
    echo "usage: $0 [list] demo|test|differential|asterisk|deb|deb-test|deb-fresh" >&2
    exit 2
    ;;
esac
needs="$(echo "$needs" | tr -d '\n')"
if [ -n "$only_list" ]; then
    echo "$needs"
    exit
fi

# What apt would do. It upgrades a package only where one of the new packages requires that, and removes none.
plan() {
    LC_ALL=C apt-get --simulate --quiet --no-install-recommends --no-remove satisfy "$needs" 2>&1
}

command -v apt-get >/dev/null || fail "apt-get is missing; this host is neither Debian nor Ubuntu"
if ! planned="$(plan)" || echo "$planned" | grep -q '^Inst '; then
    root=""
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "run 'make $1' as root once, to install what is missing of: $needs"
        root=sudo
    fi
    $root apt-get -q update || true # the plan shows whether the packages are available all the same
    if ! planned="$(plan)"; then
        why="$(echo "$planned" | sed -n 's/.*Depends: //p')"
        [ -n "$why" ] || why="$(echo "$planned" | sed -n 's/^E: //p' | head -n 1)"
        fail "apt cannot install what 'make $1' needs: $(echo "$why" | paste -sd ';' | sed 's/;/; /g')"
    fi
    echo "Installing $(echo "$planned" | grep -c '^Inst [^ ]* (' || true) packages for 'make $1'"
    upgraded="$(echo "$planned" | sed -n 's/^Inst \([^ ]*\) \[.*/\1/p' | paste -sd ' ')"
    [ -z "$upgraded" ] || echo "The new packages require newer versions of: $upgraded"
    # A SIP server that is installed for a demonstration must not begin to listen on this host.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        trap '$root rm -f "$policy"' EXIT
        printf '#!/bin/sh\nexit 101\n' | $root tee "$policy" >/dev/null
        $root chmod +x "$policy"
    fi
    $root env DEBIAN_FRONTEND=noninteractive \
        apt-get --yes --quiet --no-install-recommends --no-remove satisfy "$needs" ||
        fail "apt failed to install what 'make $1' needs; its message is above"
fi

[ "$extra" != none ] || exit 0

wanted="$(cat pyproject.toml setup.py "$0" | cksum) $extra"
if [ ! -x .venv/bin/sbc-filter ] || [ "$(cat .venv/wanted 2>/dev/null)" != "$wanted" ]; then
    echo "Installing Python packages into .venv"
    # The distribution's own interpreter, whatever else is on the path: built for speed, and what a host runs.
    /usr/bin/python3 -m venv --clear .venv
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".$extra"
    echo "$wanted" > .venv/wanted
fi

[ "$1" = differential ] || exit 0

.venv/bin/python -c "import pjsua2" 2>/dev/null ||
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -e ".[differential]"
if ! cmp -s tests/judges/package.json build/judges/package.json; then
    echo "Installing packages of npm into build/judges"
    mkdir -p build/judges
    cp tests/judges/package.json build/judges
    (cd build/judges && npm install --silent --no-audit --no-fund --no-package-lock) || {
        rm build/judges/package.json
        fail "npm failed to install what tests/judges/package.json names"
    }
fi
