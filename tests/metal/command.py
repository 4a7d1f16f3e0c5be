# SPDX-License-Identifier: Apache-2.0
"""smelt run: files in and out, values, structs, shared memory, exit codes. SMELT_TOOL is the command."""
import os
import subprocess
import sys
import tempfile

import numpy as np

TOOL = os.environ["SMELT_TOOL"]
TEXT = """#include <metal_stdlib>
using namespace metal;
struct Options { char shift; float scale; ushort count; bool on; };
constant int offset [[function_constant(2)]];
kernel void apply(device const float *x [[buffer(0)]], device float *y [[buffer(1)]], constant Options &o [[buffer(2)]],
                  uint i [[thread_position_in_grid]]) { if (o.on && i < o.count) y[i] = x[i] * o.scale + o.shift + offset; }
kernel void sums(device const int *x, device int *y, threadgroup int *t [[threadgroup(0)]], uint l [[thread_position_in_threadgroup]],
                 uint g [[threadgroup_position_in_grid]], uint n [[threads_per_threadgroup]], uint i [[thread_position_in_grid]]) {
    t[l] = x[i];
    threadgroup_barrier(mem_flags::mem_threadgroup);
    if (l == 0) { int s = 0; for (uint k = 0; k < n; k++) s += t[k]; y[g] = s; }
}
kernel void twice(device const half *x, device half *y, uint2 p [[thread_position_in_grid]], uint2 n [[threads_per_grid]]) {
    uint i = p.y * n.x + p.x;
    y[i] = x[i] * 2.0h;
}
kernel void brain(device bfloat *x, uint i [[thread_position_in_grid]]) { x[i] = bfloat(float(x[i]) + VALUE); }
kernel void kinds(constant bool &a, constant char &b, constant ushort &c, constant int &d, constant ulong &e, constant half &f,
                  constant bfloat &g, device float *y) {
    y[0] = a; y[1] = b; y[2] = c; y[3] = d; y[4] = e; y[5] = f; y[6] = g; y[7] = isnan(y[7]);
}
"""
ALL = "--grid 40 --threadgroup 32 --define VALUE=1".split()


def run(code, words, *options):
    result = subprocess.run([TOOL, "run", "k.metal", *options], capture_output=True, text=True)
    assert result.returncode == code and words in result.stdout + result.stderr, (options, result)
    return result.stdout


def structs():
    x = np.arange(40, dtype="f4")
    np.save("x.npy", x)
    common = [*ALL, "--function", "apply", "--buffer", "0=x.npy", "--out", "1=float:40:y.npy", "--bytes"]
    run(0, "", *common, "2=char:-3,float:0.5,ushort:30,bool:true", "--constant", "2=int:7")
    assert np.array_equal(np.load("y.npy"), np.where(np.arange(40) < 30, x * 0.5 + 4, 0)) and np.load("y.npy").dtype == "f4"
    run(0, "", *common, "2=int8:3,float32:2,uint16:0x28,bool:1", "--constant=2=int32:-3")
    assert np.array_equal(np.load("y.npy"), x * 2)
    run(1, "at least 12 bytes, got 8", *common, "2=char:-3,float:0.5", "--constant", "2=int:7")
    run(1, "function constant 2 (offset)", *common, "2=char:-3,float:0.5,ushort:30,bool:true")
    # an output begins with zeros, or with its file
    np.save("start.npy", np.full(40, 9, "f4"))
    run(0, "", *common, "2=char:0,float:1,ushort:5,bool:true", "--constant", "2=int:0", "--buffer", "1=start.npy")
    assert np.array_equal(np.load("y.npy"), np.where(np.arange(40) < 5, x, 9))


def memory():
    x = np.arange(64, dtype=np.int32)
    np.save("x.npy", x)
    run(0, "", "--function", "sums", "--grid", "4,1,1", "--grid-unit", "threadgroups", "--threadgroup", "16,1,1", "--define",
        "VALUE=1", "--threadgroup-memory", "0=64", "--buffer", "0=x.npy", "--out", "1=int:4:y.npy")
    assert np.array_equal(np.load("y.npy"), x.reshape(4, 16).sum(1))
    # one memory at two indices, seen as another shape, of a file in Fortran's order
    h = np.asfortranarray(np.arange(40, dtype="f2").reshape(8, 5))
    np.save("h.npy", h)
    run(0, "", "--function", "twice", "--grid", "5,8", "--threadgroup", "5,2", "--define", "VALUE=1", "--buffer", "0,1=h.npy",
        "--out", "1=half:8,5:y.npy")
    assert np.array_equal(np.load("y.npy"), h * 2)
    run(0, "", *ALL, "--function", "brain", "--buffer", "0=", "--out", "0=bfloat16:2,20:y.npy")
    y = np.load("y.npy")
    assert y.dtype == "u2" and y.shape == (2, 20) and (y == 0x3F80).all()


def values():
    run(0, "", *ALL, "--function", "kinds", "--out", "7=f4:8:y.npy", *[f"--bytes={i}={v}" for i, v in enumerate(
        ["bool:1", "int8_t:-128", "u2:65535", "int32:-2147483648", "uint64:1099511627776", "float16:0.5", "bfloat:-1.5"])])
    assert list(np.load("y.npy")) == [1, -128, 65535, -(2**31), 2**40, 0.5, -1.5, 0]
    run(0, "", *ALL, "--function", "kinds", "--out", "7=f4:8:y.npy", "--bytes", "0=bool:false", *[f"--bytes={i}={v}" for i, v in [
        (1, "char:0"), (2, "ushort:0"), (3, "int:0"), (4, "ulong:0"), (5, "half:inf"), (6, "bfloat16:nan")]])
    assert np.isinf(np.load("y.npy")[5]) and np.isnan(np.load("y.npy")[6])
    run(0, "", *ALL, "--function", "brain", "--out", "0=bfloat16:40:y.npy", "--math-mode", "fast", "--time", "5")
    assert "median" in run(0, "GB/s", *ALL, "--function", "brain", "--out", "0=bfloat16:40:y.npy", "--time=3")
    assert (np.load("y.npy") == 0x3F80).all()  # of the first run


def wrong():
    np.save("x.npy", np.zeros(40, "f4"))
    np.save("big.npy", np.zeros(40, ">f4"))
    open("not.npy", "w").write("text")
    good = [*ALL, "--function", "brain", "--out", "0=bfloat16:40:y.npy"]
    for words, options in [
        ("name of a kernel", ALL),
        ("X,Y or X,Y,Z", [*good, "--grid", "1,2,3,4"]),
        ("X,Y or X,Y,Z", [*good, "--threadgroup", "-1"]),
        ("threads threadgroups", [*good, "--grid-unit", "lanes"]),
        ("safe relaxed fast", [*good, "--math-mode", "exact"]),
        ("cpu cuda", [*good, "--device", "tpu"]),
        ("No such file", [*good, "--buffer", "1=nothing.npy"]),
        ("not a .npy file", [*good, "--buffer", "1=not.npy"]),
        ("little-endian", [*good, "--buffer", "1=big.npy"]),
        ("INDEX=FILE.npy", [*good, "--buffer", "x.npy"]),
        ("bound already", [*good, "--buffer", "1=x.npy", "--buffer", "1=x.npy"]),
        ("written already", [*good, "--out", "0=float:40:y.npy"]),
        ("expected the 160 bytes of its --buffer, got 80", [*good, "--buffer", "0=x.npy"]),
        ("expected a file", [*good, "--buffer", "3="]),
        ("INDEX=TYPE:SHAPE:FILE.npy", [*good, "--out", "1=float99:40:y.npy"]),
        ("INDEX=TYPE:SHAPE:FILE.npy", [*good, "--out", "1=float:x:y.npy"]),
        ("INDEX=TYPE:VALUE", [*good, "--bytes", "1"]),
        ("a type such as", [*good, "--bytes", "1=floot:3"]),
        ("a value that its type holds", [*good, "--bytes", "1=uchar:256"]),
        ("a value that its type holds", [*good, "--bytes", "1=uint:-1"]),
        ("a value that its type holds", [*good, "--constant", "1=bool:2"]),
        ("INDEX=BYTES", [*good, "--threadgroup-memory", "0"]),
        ("unknown option", [*good, "--nonsense"]),
        ("expected one file", [*good, "another.metal"]),
    ]:
        run(2, words, *options)
    run(1, "no kernel called nothing", *ALL, "--function", "nothing")
    run(1, "k.metal:17:103: error: use of undeclared identifier 'VALUE'", *good[:4], *good[6:])
    run(1, "at most 1024 threads", *good, "--threadgroup", "2048")
    run(1, "has no buffer 5", *good, "--buffer", "5=x.npy")
    run(1, "device_type", *good, "--device", "cuda")
    run(1, "checker", *good, "--check")
    result = subprocess.run([TOOL, "run", "missing.metal", *good], capture_output=True, text=True)
    assert result.returncode == 2 and "No such file" in result.stderr
    os.mkdir("folder")
    open("folder/mine.h", "w").write("#define MINE 4\n")
    open("k.metal", "w").write('#include "mine.h"\nkernel void k(device int *y) { y[0] = MINE; }')
    run(0, "", "--function", "k", "--grid=1", "--threadgroup=1", "--include", "folder", "--out", "0=int:scalar:y.npy")
    assert np.load("y.npy").shape == () and np.load("y.npy") == 4
    run(1, "k.metal:1:10", "--function", "k", "--grid=1", "--threadgroup=1", "--out", "0=int:scalar:y.npy")


if __name__ == "__main__":
    failed = 0
    for test in [structs, memory, values, wrong]:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            open("k.metal", "w").write(TEXT)
            try:
                test()
                print(f"ok   {test.__name__}")
            except Exception as error:  # every test reports
                failed += 1
                print(f"FAIL {test.__name__}: {type(error).__name__}: {str(error)[:1500]}")
            os.chdir("/")
    sys.exit(failed != 0)
