#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The Debian packages are made, hold what they should, and depend on each other. usage: package.sh BUILD SCRATCH
set -eu
rm -rf "$2"
mkdir -p "$2"
cd "$1"
cpack -B "$2" >/dev/null
cd "$2"
for package in libsmelt0 libsmelt-dev smelt-tools; do
    ls "${package}"_*.deb >/dev/null
    dpkg-deb --contents "${package}"_*.deb >"$package.list"
done
grep -q 'libsmelt.so.0' libsmelt0.list
grep -q 'include/smelt/smelt.h' libsmelt-dev.list
grep -q 'bin/smelt$' smelt-tools.list
grep -q 'man1/smelt.1' smelt-tools.list
dpkg-deb --field libsmelt-dev_*.deb Depends | grep -q libsmelt0
! grep -E ' \./(opt|usr/local|tmp)/' ./*.list
