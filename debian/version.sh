#!/bin/sh
# Prints the version of the Debian package: the program's, and the release that builds it, which alone can run it.
#   deb-version.sh [OS-RELEASE]    0.1.0+deb12, 0.1.0+ubuntu24.04; 0.2.0~rc1+deb13 for the program's 0.2.0rc1
set -eu
version="$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$(dirname "$0")/../sbc_filter/__init__.py")"

# Debian sorts ~ in front of the end: a pre-release comes before its release.
version="$(echo "$version" | sed -E 's/\.dev/~~dev/; s/([0-9])(a|b|rc)([0-9])/\1~\2\3/')"

. "${1:-/etc/os-release}"
[ "$ID" = debian ] && name=deb || name="$(echo "$ID" | tr -cd a-z0-9)"
# Testing and unstable have no number yet: their code name sorts in front of the number that they get.
echo "$version+$name${VERSION_ID:-~$VERSION_CODENAME}"
