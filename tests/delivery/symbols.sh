#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The shared library exports exactly the reviewed list. usage: symbols.sh LIBRARY LIST [NM]
set -eu
got=$(mktemp)
trap 'rm -f "$got"' EXIT
"${3:-nm}" -D --defined-only "$1" | awk '{print $NF}' | sed 's/@.*//' | grep -vE '^(_init|_fini|_edata|_end|__bss_start(__)?|__bss_end__|_bss_end__|__end__)$' | LC_ALL=C sort >"$got"
LC_ALL=C sort "$2" | diff -u - "$got"
