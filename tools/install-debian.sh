#!/bin/sh
# Installs the Debian packages that setting up and testing need: only missing ones, so it is quick when run again.
# Without root or without apt it says loudly what is missing and goes on: the tests then name what could not run.
# Usage: install-debian.sh [lab|deb|demo]. With "lab" also what the lab needs, and whatever is tried on real libvirt and QEMU; with "deb"
# also what builds and tries the Debian packages; with "demo" only what a virtual environment needs.
set -eu

packages="
python3-venv
git
make
graphviz
zookeeper
default-jre-headless
procps
iproute2
chromium
chromium-driver
tmux
"
# Headers and compiler are for libvirt-python, which exists on PyPI as source only. The kernel is the guests'.
lab_packages="
libvirt-daemon
libvirt-daemon-driver-qemu
libvirt-clients
libvirt-dev
python3-dev
pkg-config
gcc
libc6-dev
qemu-system-x86
qemu-utils
linux-image-cloud-amd64
busybox-static
cpio
nftables
openipmi
fence-agents
ipmitool
util-linux
"
# Python's modules are for the manual pages, which the commands write of themselves.
deb_packages="
dpkg-dev
debhelper
dh-python
python3-click
python3-kazoo
python3-transitions
lintian
man-db
debootstrap
systemd
systemd-container
util-linux
"
[ "${1:-}" != demo ] || packages="python3-venv"
[ "${1:-}" != lab ] || packages="$packages $lab_packages"
[ "${1:-}" != deb ] || packages="$packages $deb_packages"

say() {
    printf '\n*** %s\n\n' "$*" >&2
}

installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

if ! command -v dpkg-query >/dev/null; then
    say "This is no Debian: please see to these yourself:" $packages
    exit 0
fi

# What libvirt-daemon-system would do: without this user libvirtd starts no guest, and without these directories, and without
# an /etc/hosts, a host of the lab has no place to put its own over.
prepare_libvirt() {
    [ "$1" = lab ] && [ "$(id -u)" -eq 0 ] || return 0
    getent group libvirt-qemu >/dev/null || groupadd --system libvirt-qemu
    getent passwd libvirt-qemu >/dev/null ||
        useradd --system --gid libvirt-qemu --home-dir /var/lib/libvirt --no-create-home --shell /usr/sbin/nologin libvirt-qemu
    [ -e /etc/hosts ] || echo "127.0.0.1 localhost" >/etc/hosts
    mkdir -p /etc/libvirt /var/lib/libvirt /var/log/libvirt /var/cache/libvirt
}

missing=""
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
if [ -z "$missing" ]; then
    prepare_libvirt "${1:-}"
    exit 0
fi

if [ "$(id -u)" -ne 0 ]; then
    say "Missing packages, and only root may install them. Tests that need them will not run. Next: sudo apt install$missing"
    exit 0
fi

echo "installing$missing"
export DEBIAN_FRONTEND=noninteractive
# shellcheck disable=SC2086  # one word per package is meant
{
    apt-get update -qq && apt-get install -y -qq -o DPkg::Lock::Timeout=300 --no-install-recommends $missing
} || say "apt could not install$missing. Tests that need them will not run."
prepare_libvirt "${1:-}"
