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
# The compiler, where it was built: with what it needs, and found by the library that it is installed beside.
if ls smelt-metalc_*.deb >/dev/null 2>&1; then
    dpkg-deb --contents smelt-metalc_*.deb | grep -q 'usr/lib/smelt/smelt-metalc'
    dpkg-deb --field libsmelt0_*.deb Depends | grep -q smelt-metalc
    dpkg-deb --extract smelt-metalc_*.deb root
    dpkg-deb --extract smelt-tools_*.deb root
    dpkg-deb --field smelt-metalc_*.deb Depends | grep -q libllvm19 ||
        ! ldd root/usr/lib/smelt/smelt-metalc 2>/dev/null | grep -q LLVM
    env -u SMELT_METALC root/usr/bin/smelt info | grep -q 'root/usr/lib/smelt/smelt-metalc$'
elif [ -e "$1/src/metalc/smelt-metalc" ]; then
    echo 'no package of smelt-metalc'
    exit 1
fi
! grep -E ' \./(opt|usr/local|tmp)/' ./*.list
