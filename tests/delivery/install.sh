#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs into an empty folder and builds the example out of the tree there, by find_package and by pkg-config; every
# public header compiles alone as C11 and as C++. usage: install.sh BUILD SOURCE SCRATCH
set -eu
build=$1 source=$2 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch/work"
cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
cp -r "$source/examples/decoder_step" "$scratch/work/"
cmake -S "$scratch/work/decoder_step" -B "$scratch/work/build" -DCMAKE_PREFIX_PATH="$scratch/prefix" >/dev/null
cmake --build "$scratch/work/build" >/dev/null
"$scratch/work/build/decoder_step"

library=$(dirname "$(find "$scratch/prefix" -name 'libsmelt.so' | head -n 1)")
flags=$(PKG_CONFIG_PATH="$library/pkgconfig" pkg-config --define-variable=prefix="$scratch/prefix" --cflags --libs smelt)
# shellcheck disable=SC2086
cc -o "$scratch/work/by_pkg_config" "$scratch/work/decoder_step/decoder_step.c" $flags -lm
LD_LIBRARY_PATH="$library" "$scratch/work/by_pkg_config"

for header in "$scratch"/prefix/include/smelt/*.h; do
    echo "#include \"$header\"" >"$scratch/work/alone.c"
    cc -std=c11 -Wall -Wextra -Wpedantic -Werror -fsyntax-only "$scratch/work/alone.c"
    if command -v c++ >/dev/null; then c++ -x c++ -std=c++11 -Wall -Wextra -Werror -fsyntax-only "$scratch/work/alone.c"; fi
done
test -f "$scratch/prefix/share/man/man1/smelt.1"
"$scratch/prefix/bin/smelt" --version
