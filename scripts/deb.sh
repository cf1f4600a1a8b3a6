#!/bin/sh
# Builds the Debian package into build/deb, from a copy of what git knows, so that nothing else gets into it.
set -eu
cd "$(dirname "$0")/.."

rm -rf build/deb
mkdir -p build/deb/source
git ls-files -z --cached --others --exclude-standard | xargs -0 sh -c 'for f; do [ ! -e "$f" ] && [ ! -L "$f" ] || printf "%s\0" "$f"; done' - \
    | tar --create --null --files-from=- | tar --extract --directory=build/deb/source
(cd build/deb/source && dpkg-buildpackage --build=binary --no-sign >../build.log 2>&1) || { tail -40 build/deb/build.log >&2; exit 1; }
rm -r build/deb/source
ls build/deb/*.deb
