#!/bin/sh
# Makes a Debian tree in the folder given, with what the package depends on and nothing of it; kept for the next time.
set -eu
include=systemd,systemd-sysv,dbus,adduser,python3,iptables,libnetfilter-queue1,ca-certificates,procps
[ "$(cat "$1/wanted" 2>/dev/null)" = "$include" ] && exit 0
suite="$(. /etc/os-release && echo "$VERSION_CODENAME")"
echo "Making a Debian tree ($suite) in $1"
rm -rf "$1"
mkdir -p "$1"
debootstrap --variant=minbase --include="$include" "$suite" "$1/tree" >"$1/log" 2>&1 || { tail "$1/log" >&2; exit 3; }
echo "$include" >"$1/wanted"
