#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Builds one of the presets beside this build and runs its tests: the sanitizers, the fuzzer, 64-bit Arm under qemu.
# usage: preset.sh SOURCE PRESET FOLDER TARGET [CTEST-OPTION...]
set -eu
source=$1 preset=$2 folder=$3 target=$4
shift 4
cd "$source"
mkdir -p "$folder"
cmake --preset "$preset" -B "$folder" >"$folder/configure.log" 2>&1 || { cat "$folder/configure.log"; exit 1; }
cmake --build "$folder" --parallel 2 --target "$target" >"$folder/build.log" 2>&1 || { grep -E 'error|warning|undefined' "$folder/build.log" | head -n 40; exit 1; }
exec ctest --test-dir "$folder" --output-on-failure --timeout 900 "$@"
