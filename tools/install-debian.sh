#!/bin/sh
# Installs the Debian packages that setting up and testing need: only missing ones, so it is quick when run again.
# Without root or without apt it says loudly what is missing and goes on: the tests then name what could not run.
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
"

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

missing=""
for package in $packages; do
    installed "$package" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

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
