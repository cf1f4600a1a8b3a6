#!/bin/sh
# Builds the Debian package into build/deb, from a copy of what git would take, so that nothing else gets into it.
set -eu
cd "$(dirname "$0")/.."

rm -rf build/deb
mkdir -p build/deb/source
git ls-files -z --cached --others --exclude-standard --deduplicate |
    tar --create --null --files-from=- |
    tar --extract --directory=build/deb/source
echo "Building the package; what is said meanwhile is in build/deb/build.log"
if ! (cd build/deb/source && dpkg-buildpackage --build=binary --no-sign) >build/deb/build.log 2>&1; then
    tail -n 40 build/deb/build.log >&2
    exit 1
fi
rm -r build/deb/source
ls build/deb/*.deb
