#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The smelt command: exit codes, what goes to standard output and to standard error, JSON that parses.
# usage: command.sh SMELT
set -u
smelt=$1 failed=0 scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# expect CODE PATTERN ARGUMENTS...: the exit code, and a pattern in standard output (0) or standard error (1, 2).
expect() {
    code=$1 pattern=$2
    shift 2
    "$smelt" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null
    got=$?
    stream=$scratch/out
    [ "$code" = 0 ] || stream=$scratch/err
    if [ "$got" != "$code" ] || ! grep -q -- "$pattern" "$stream"; then
        echo "smelt $*: expected exit code $code and \"$pattern\", got $got:"
        cat "$scratch/out" "$scratch/err"
        failed=1
    fi
    if [ "$code" = 2 ] && [ -s "$scratch/out" ]; then echo "smelt $*: wrong use wrote to standard output" && failed=1; fi
    if [ "$code" = 0 ] && [ -s "$scratch/err" ]; then
        echo "smelt $*: standard error is not empty:" && cat "$scratch/err" && failed=1
    fi
}
json() {
    command -v python3 >/dev/null || return 0
    python3 -m json.tool "$scratch/out" >/dev/null || { echo "not JSON:" && cat "$scratch/out" && failed=1; }
}

expect 2 'usage: smelt COMMAND'
expect 0 'usage: smelt COMMAND' --help
expect 0 '^smelt [0-9]*\.[0-9]*\.[0-9]*$' --version
expect 2 'unknown command "forge"' forge
for command in info check bench run demo; do
    expect 0 "usage: smelt $command" $command --help
    expect 2 'unknown option "--nonsense"' $command --nonsense
done
expect 0 '^version: ' info
expect 0 '"back_ends"' info --json && json
expect 2 'unknown argument "more"' info more
expect 2 'unknown operation "smelting"' check smelting
expect 2 'expected float32, float16 or bfloat16, got "int8"' check --dtype int8
expect 2 'expected a number, 0 or more, got "-1"' check --seed -1
expect 2 'expected a value after it' check --isa
expect 2 'expected an ISA of this processor' check --isa=sve
expect 0 '0 failed$' check glu --isa scalar --dtype f32 --cases 3 --seed 7
expect 0 '"failed": 0}' check glu --isa scalar --cases 2 --json && json
expect 2 'cannot write' bench --json "$scratch/none/file"
expect 2 'unknown operation "smelting"' bench smelting
expect 0 '"schema": "smelt-bench/1"' bench glu --dtype float32 --quick --json - && json
expect 2 'expected one file' run --function f
expect 2 'No such file' run kernel.metal --function f
SMELT_ISA=quantum expect 2 'SMELT_ISA: expected' info
exit $failed
