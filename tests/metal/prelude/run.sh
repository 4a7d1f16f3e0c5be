#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Tests the prelude by itself, with clang 19 alone: accuracy of the maths, every function on the host with one lane,
# kernels in the styles of public projects (syntax only, Metal's words erased), and the errors that name a feature.
# Exit status 77 means clang 19 is not there.
set -u
here=$(cd "$(dirname "$0")" && pwd)
prelude=$here/../../../src/metalc/prelude
compiler=${CLANG19:-clang++-19}
command -v "$compiler" >/dev/null || { echo "no $compiler: apt-get install clang-19"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
flags="-x c++ -std=c++20 -nostdinc -fdeclspec -fno-math-errno -ffp-contract=off -fwrapv -fno-exceptions -fno-rtti
       -Xclang -ffloat16-excess-precision=none -Xclang -cl-single-precision-constant
       -Wno-user-defined-literals -Wno-missing-exception-spec -I$prelude -I$here"
failed=0
fail() { echo "FAILED: $1"; failed=$((failed + 1)); }

for program in leaf_accuracy functions; do
    # shellcheck disable=SC2086
    "$compiler" $flags -O1 -march=native "$here/$program.cpp" -o "$work/$program" && "$work/$program" || fail "$program"
done

# The same headers must compile for the other machine and in every math mode, without a warning.
# shellcheck disable=SC2086
for options in "" "-DSMELT_MATH_FAST=1 -ffast-math -Wno-nan-infinity-disabled" "-DSMELT_LEAF_NO_VOTE" "--target=aarch64-linux-gnu -fsigned-char"; do
    for header in metal_stdlib mlx_utils.h simd/simd.h; do
        echo "#include <$header>" >"$work/header.cpp"
        "$compiler" $flags $options -Wall -Wextra -Werror -fsyntax-only "$work/header.cpp" || fail "$header with '$options'"
    done
done

# Every header alone.
for header in "$prelude"/metal_* "$prelude"/*.h "$prelude"/simd/*.h; do
    # shellcheck disable=SC2086
    "$compiler" $flags -w -fsyntax-only "$header" || fail "$header alone"
done

kernels=0
for file in "$here"/kernels/*.metal; do
    sed -E 's/\[\[function_constant\([^]]*\]\]/= {}/; s/\[\[[^]]*\]\]//g' "$file" >"$work/kernel.cpp"
    # shellcheck disable=SC2086
    "$compiler" $flags -w -include metal_stdlib -include metal_words.h -fsyntax-only "$work/kernel.cpp" || fail "$file"
    kernels=$((kernels + 1))
done

# Maths leaves must be straight-line code but for the votes; a branch costs the engine a mask for each call.
printf '#include <metal_stdlib>\nusing namespace metal;\nfloat all(float x, int i) { return exp(x) + exp2(x) + exp10(x) + log(x) +
log2(x) + log10(x) + pow(x, x) + tanh(x) + sinh(x) + cosh(x) + asinh(x) + acosh(x) + atanh(x) + asin(x) + acos(x) + atan(x) +
atan2(x, x) + sinpi(x) + cospi(x) + ldexp(x, i) + nextafter(x, x) + fast::exp(x) + fast::log(x) + fast::sin(x) + fast::pow(x, x) +
clamp(x, 0.0f, 1.0f) + sign(x) + fract(x) + step(x, x) + smoothstep(x, x, x) + select(x, x, i > 0) + float(bfloat(x)) +
float(max(i, 3) + abs(i) + clz(i) + ctz(i) + absdiff(i, 2) + madsat(i, i, i) + addsat(i, i) + extract_bits(i, 1u, 2u)); }\n' >"$work/leaves.cpp"
# shellcheck disable=SC2086
branches=$("$compiler" $flags -O1 -Xclang -disable-llvm-passes -S -emit-llvm "$work/leaves.cpp" -o - | grep -c '^  br ')
[ "$branches" = 0 ] || fail "$branches branches in functions that must have none"

# An unsupported feature is an error at the user's line that names it.
errors() {
    printf '#include <metal_stdlib>\nusing namespace metal;\n%s\n' "$1" >"$work/error.cpp"
    # shellcheck disable=SC2086
    "$compiler" $flags -fsyntax-only "$work/error.cpp" 2>"$work/message" && fail "accepted: $1"
    grep -q "error.cpp:3:[0-9]*: error: .*$2" "$work/message" || { fail "no '$2' for: $1"; head -3 "$work/message"; }
}
errors 'void f(texture2d<float, access::read> t) {}' 'textures (texture2d) are not supported'
errors 'void f(depth2d<float> t) {}' 'textures (depth2d) are not supported'
errors 'void f(sampler s) {}' 'samplers are not supported'
errors 'constexpr sampler s(coord::normalized, filter::linear);' 'samplers are not supported'
errors 'void f(visible_function_table<int(int)> t) {}' 'function pointers (visible_function_table) are not supported'
errors 'void f(raytracing::ray r) {}' 'ray tracing (ray) is not supported'
errors 'void f(raytracing::intersector<> i) {}' 'ray tracing (intersector) is not supported'
errors 'void f(tensor<float, int> t) {}' 'Metal 4 tensors are not supported'
errors 'void f(float4 v) { v.xx = float2(1); }' 'put_xx'
errors 'float4 f(half4 v) { return v; }' 'no viable conversion'
errors 'half f(bfloat b) { return b; }' 'no viable conversion'
errors 'bfloat f(float x) { return x; }' 'no viable conversion'
errors 'void f(atomic_int a, atomic_int b) { a = b; }' 'deleted'
errors 'simdgroup_matrix<float, 4, 4> m;' 'undefined\|simdgroup_matrix\|instantiation' 

echo "$kernels kernel files, $failed failures"
[ $failed = 0 ]
