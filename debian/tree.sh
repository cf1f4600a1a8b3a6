#!/bin/sh
# Makes a Debian tree in the folder given; kept for the next time.
#   tree.sh FOLDER                  of this host's release, with what the package depends on and nothing of it
#   tree.sh FOLDER SUITE PACKAGES   of another release, with these packages (a,b,c) and what they depend on
set -eu
suite="${2:-"$(. /etc/os-release && echo "$VERSION_CODENAME")"}"
include="${3:-systemd,systemd-sysv,dbus,adduser,python3,iptables,libnetfilter-queue1,ca-certificates,procps}"
[ "$(cat "$1/wanted" 2>/dev/null)" = "$suite $include" ] && exit 0
echo "Making a Debian tree ($suite) in $1"
rm -rf "$1"
mkdir -p "$1"
debootstrap --variant=minbase --include="$include" "$suite" "$1/tree" >"$1/log" 2>&1 || { tail "$1/log" >&2; exit 3; }
echo "$suite $include" >"$1/wanted"
