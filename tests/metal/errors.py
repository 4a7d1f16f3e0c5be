# SPDX-License-Identifier: Apache-2.0
"""Wrong use and bad surroundings: every one an error with a sentence, and the next call works."""
import glob
import multiprocessing
import os
import shutil
import signal
import tempfile

import numpy as np

import smelt_metal
from smelt_metal import COMPILE_ERROR, INTERNAL_ERROR, INVALID_ARGUMENT, OK, UNSUPPORTED, Error, Library

GOOD = """kernel void add(device const float *x [[buffer(0)]], device float *y [[buffer(1)]], constant float &by [[buffer(2)]],
  threadgroup float *room [[threadgroup(0)]], uint i [[thread_position_in_grid]]) { room[0] = by; y[i] = x[i] + by; }"""


def fails(status, words, function):
    try:
        function()
    except Error as error:
        assert error.status == status and words in str(error), (error.status, str(error))
        return
    raise AssertionError("no error: " + words)


def launch(function, **more):
    x, y = np.arange(8, dtype=np.float32), np.zeros(8, np.float32)
    arguments = {"buffers": {0: x, 1: y}, "bytes": {2: np.float32(3)}, "threadgroup_memory": {0: 16}, "grid": (8,),
                 "threadgroup": (8,)}
    function(**{**arguments, **more})
    return y


def text():
    fails(COMPILE_ERROR, "file.metal:2:3: error: use of undeclared identifier 'nothing'",
          lambda: Library("kernel void f() {\n  nothing;\n}", file_name="file.metal"))
    fails(COMPILE_ERROR, "goto", lambda: Library("void f() { x: goto x; }"))
    fails(COMPILE_ERROR, "assembly", lambda: Library("void f() { __asm__(\"nop\"); }"))
    for name in ("/etc/passwd", "../../etc/passwd"):
        fails(COMPILE_ERROR, "not found", lambda: Library(f'#include "{name}"\n'))
    fails(COMPILE_ERROR, "error", lambda: Library('const char a[] = {\n#embed "/etc/passwd"\n};'))
    fails(COMPILE_ERROR, "calls itself", lambda: Library(
        "int f(int n) { return n < 2 ? 1 : f(n - 1) + f(n - 2); }\nkernel void k(device int *o) { o[0] = f(o[1]); }").function("k"))
    fails(COMPILE_ERROR, "differs from another by its address space only", lambda: Library(
        "int f(device const int *p) { return 1; }\nint f(constant int *p) { return 2; }"))
    fails(COMPILE_ERROR, "", lambda: Library("template <int n> struct S { S<n + 1> s; }; S<0> s;"))
    fails(COMPILE_ERROR, "", lambda: Library("{" * 100000))
    assert Library("").functions == []


def folders():
    with tempfile.TemporaryDirectory() as folder:
        open(os.path.join(folder, "mine.h"), "w").write("#define MINE 5\n")
        source = '#include "mine.h"\nkernel void k(device int *o [[buffer(0)]]) { o[0] = MINE + MORE; }'
        out = np.zeros(1, np.int32)
        Library(source, include_dirs=[folder], defines=["MORE=2"]).function("k")(buffers={0: out})
        assert out[0] == 7
        fails(COMPILE_ERROR, "not found", lambda: Library(source))


def bindings():
    f = Library(GOOD).function("add")
    assert np.array_equal(launch(f), np.arange(8) + 3)
    x = np.zeros(8, np.float32)
    fails(INVALID_ARGUMENT, "no kernel called nothing", lambda: Library(GOOD).function("nothing"))
    fails(INVALID_ARGUMENT, "buffer 1 (y) of the kernel add is not bound", lambda: launch(f, buffers={0: x}))
    fails(INVALID_ARGUMENT, "has no buffer 7", lambda: launch(f, buffers={0: x, 1: x, 7: x}))
    fails(INVALID_ARGUMENT, "bound twice", lambda: launch(f, buffers={0: x, 1: x, 2: x}))
    fails(INVALID_ARGUMENT, "at least 4 bytes, got 2", lambda: launch(f, bytes={2: np.int16(1)}))
    fails(INVALID_ARGUMENT, "written to", lambda: launch(f, buffers={0: x}, bytes={1: x, 2: np.float32(1)}))
    fails(INVALID_ARGUMENT, "threadgroup memory 0", lambda: launch(f, threadgroup_memory={}))
    fails(INVALID_ARGUMENT, "32768", lambda: launch(f, threadgroup_memory={0: 40000}))
    fails(INVALID_ARGUMENT, "contiguous", lambda: launch(f, buffers={0: np.zeros(16, np.float32)[::2], 1: x}))
    fails(INVALID_ARGUMENT, "at most 1024 threads, got 2048", lambda: launch(f, threadgroup=(2048,)))
    fails(INVALID_ARGUMENT, "got 0", lambda: launch(f, threadgroup=(0,)))
    launch(f, grid=(0,))


def compiler():
    old = os.environ.get("SMELT_METALC", "")
    unique = lambda n: GOOD.replace("add", f"add{n}")
    assert Library(unique(1)).functions == ["add1"]
    children = [int(p) for p in open(f"/proc/self/task/{os.getpid()}/children").read().split()]
    for child in children:
        if "smelt-metalc" in open(f"/proc/{child}/cmdline").read():
            os.kill(child, signal.SIGKILL)
            os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert Library(unique(2)).functions == ["add2"]  # another has been started
    os.environ["SMELT_METALC"] = "/nowhere/smelt-metalc"
    smelt_metal.lib.smelt_last_error  # the process that runs already still serves
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        assert "smelt-metalc" in pool.apply(without_compiler)
    os.environ["SMELT_METALC"] = old


def without_compiler():
    try:
        Library("kernel void never_seen_before(device int *o) { o[0] = 1; }")
    except Error as error:
        return str(error) if error.status == UNSUPPORTED else ""
    return ""


def with_compiler(script):
    """What a first compilation says with this shell script for a compiler."""
    path = os.path.join(tempfile.mkdtemp(), "smelt-metalc")
    with open(path, "w") as file:
        file.write("#!/bin/sh\n" + script)
    os.chmod(path, 0o755)
    os.environ["SMELT_METALC"] = path
    try:
        Library("kernel void never_seen_either(device int *o) { o[0] = 1; }")
    except Error as error:
        return error.status, str(error)
    finally:
        shutil.rmtree(os.path.dirname(path))
    return OK, ""


def broken_compilers():
    for script, words in [("exit 3", "ran out of memory"), ("kill -9 $$", "ended by signal 9"), ("exit 0", "ended with code 0"),
                          ("head -c 100 /dev/zero", "not one"), ("yes", "Metal compiler")]:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            status, text = pool.apply(with_compiler, (script,))
        assert status in (COMPILE_ERROR, INTERNAL_ERROR) and words in text, (script, status, text)


def large_texts():
    kernel = "kernel void k(device int *o) { o[0] = 7; }"
    out = np.zeros(1, np.int32)
    Library("/*" + "x" * (10 << 20) + "*/ " + kernel).function("k")(buffers={0: out})
    assert out[0] == 7
    fails(COMPILE_ERROR, "<source>:1:", lambda: Library("(" * (10 << 20)))
    fails(COMPILE_ERROR, "<source>:1:", lambda: Library("x " * (5 << 20)))


def both(number):
    return Library(GOOD.replace("add", "raced")).function("raced") is not None


def cache():
    old = os.environ["SMELT_CACHE_DIR"]
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SMELT_CACHE_DIR"] = os.path.join(folder, "a", "b")
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            assert all(pool.map(both, range(2), chunksize=1))
        files = glob.glob(os.path.join(folder, "a", "b", "*.kernel"))
        assert len(files) == 2 and os.stat(os.path.join(folder, "a", "b")).st_mode & 0o777 == 0o700
        for damage in (lambda b: b[:100], lambda b: b[:-1], lambda b: b"x" + b[1:], lambda b: b[:-9] + b"123456789", lambda b: b""):
            for name in files:
                whole = open(name, "rb").read()
                open(name, "wb").write(damage(whole))
            assert np.array_equal(launch(Library(GOOD.replace("add", "raced")).function("raced")), np.arange(8) + 3)
        os.chmod(os.path.join(folder, "a", "b"), 0o777)  # not ours alone: ignored
        assert np.array_equal(launch(Library(GOOD.replace("add", "raced")).function("raced")), np.arange(8) + 3)
        shutil.rmtree(os.path.join(folder, "a"))
        open(os.path.join(folder, "a"), "w").close()  # cannot be made
        assert np.array_equal(launch(Library(GOOD.replace("add", "raced")).function("raced")), np.arange(8) + 3)
    os.environ["SMELT_CACHE_DIR"] = old


TESTS = [text, folders, bindings, compiler, broken_compilers, large_texts, cache]

if __name__ == "__main__":
    smelt_metal.main(TESTS)
