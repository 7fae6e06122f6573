#!/bin/sh
# Builds the Debian packages: pvc-daemon_VERSION.deb and pvc-client_VERSION.deb in the directory above this one, or in the one that is named.
# It needs dpkg-buildpackage and what debian/control names: apt build-dep . installs that. Usage: build-deb.sh [DIRECTORY]
#
# It builds in a copy: nothing of it is left here, and what lies here without being part of the source stays out of the packages.
set -eu

here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
into=$(cd "${1:-$here/..}" && pwd)

command -v dpkg-buildpackage >/dev/null || {
    echo "dpkg-buildpackage is not installed. Next: apt install dpkg-dev debhelper dh-python" >&2
    exit 1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/pvc"
tar -C "$here" -cf - debian docs etc hooks pvc tools README.md CHANGELOG.md LICENSE | tar -C "$work/pvc" -xf - --exclude=__pycache__
cd "$work/pvc"
# The time of the last change is that of every file, so the same source gives the same packages, whoever builds them, and when.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -S Timestamp) dpkg-buildpackage -us -uc -b

version=$(dpkg-parsechangelog -S Version)
for package in pvc-daemon pvc-client; do
    mv "$work/${package}_${version}_all.deb" "$into/${package}_$version.deb"
    echo "$into/${package}_$version.deb"
done
