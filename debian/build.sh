#!/bin/sh
# Builds the Debian package into build/deb, from a copy of what git would take, so that nothing else gets into it.
set -eu
cd "$(dirname "$0")/.."
version="$(debian/version.sh)"

rm -rf build/deb
mkdir -p build/deb/source
git ls-files -z --cached --others --exclude-standard --deduplicate >build/deb/files ||
    { echo "deb: the package is built from a git clone only" >&2; exit 3; }
tar --create --null --files-from=build/deb/files | tar --extract --directory=build/deb/source
cat >build/deb/source/debian/changelog <<END
sbc-filter ($version) unstable; urgency=medium

  * See CHANGELOG.md, installed as changelog.gz.

 -- $(sed -n 's/^Maintainer: //p' debian/control)  $(git log -1 --format=%cD)
END

echo "Building sbc-filter $version, which takes minutes; the log is build/deb/build.log"
if ! (cd build/deb/source && dpkg-buildpackage --build=binary --no-sign) >build/deb/build.log 2>&1; then
    tail -n 40 build/deb/build.log >&2
    exit 1
fi
rm -r build/deb/source build/deb/files
ls build/deb/*.deb
