# SPDX-License-Identifier: Apache-2.0
"""One rival as a process of its own: it answers the lines that bench/rivals.h describes.

usage: rival.py ENGINE THREADS, with ENGINE a module beside this one that has

    start(threads) -> its name with its version
    prepare(case)  -> a function that makes one call, or None: it has no such operation
"""
import importlib
import os
import re
import sys
import time

TOO_SLOW = 20.0  # seconds of one call: no median worth waiting for


class Case:
    """What is asked for: `operation` ("glu"), `variant` ({"silu"}), `dtype`, and the numbers of the shape: `rows`,
    `dim` and `top` of "4096 x 128 top 8"; `heads`, `kv_heads`, `tokens`, `keys`, `head_dim` of "H32/8 T2048 D128"."""

    def __init__(self, line):
        operation, shape, self.dtype = line.split("|")
        self.operation, *words = operation.split()
        self.variant = set(words) | set(re.findall(r"[a-z_]{2,}", shape))
        sizes = [int(n) for n in re.findall(r"\d+", re.sub(r"top \d+|[A-Z]+\d+(/\d+)?", "", shape))]
        self.rows, self.dim = sizes if len(sizes) == 2 else (None, None)
        top = re.search(r"top (\d+)", shape)
        self.top = int(top.group(1)) if top else None
        letters = dict(re.findall(r"\b([BHTKD])(\d+(?:/\d+)?)", shape))
        heads = letters.get("H", "0").split("/")
        self.batch = int(letters.get("B", 1))
        self.heads, self.kv_heads = int(heads[0]), int(heads[-1])
        self.tokens = int(letters.get("T", 1))
        self.keys = int(letters.get("K", self.tokens))
        self.head_dim = int(letters.get("D", 0))
        if self.operation.startswith("rope") and len(sizes) == 4:
            self.batch, self.heads, self.tokens, self.head_dim = sizes
            self.tokens_first = "BTHD" in shape
            if self.tokens_first:
                self.heads, self.tokens = self.tokens, self.heads

    @property
    def attention_flops(self):
        half = 2 if "causal" in self.variant else 1
        return 4 * self.batch * self.heads * self.tokens * self.keys * self.head_dim / half


def begin(engine, line):
    call = engine.prepare(Case(line))
    if call is None:
        return None, "no"
    call()  # may compile
    start = time.perf_counter()
    call()
    if time.perf_counter() - start > TOO_SLOW:
        return None, "no: too slow"
    return call, "yes"


def sample(call, seconds):
    start = time.perf_counter()
    call()  # brings its data and code back after the others
    once = time.perf_counter() - start
    if once > 0.3:  # which such a call does in passing
        return [once]
    times, start = [], time.perf_counter()
    while not times or (time.perf_counter() - start < seconds and len(times) < 400):
        at = time.perf_counter()
        call()
        times.append(time.perf_counter() - at)
    return times


def main():
    # Answers go to the pipe; whatever a library prints goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    try:
        engine = importlib.import_module("rival_" + sys.argv[1])
        print("ready", engine.start(int(sys.argv[2])), file=answers)
    except Exception as error:  # not installed, or not for this machine
        print(f"{type(error).__name__}: {error}".replace("\n", " ")[:200], file=answers)
        return
    call = None
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        if word == "case":
            try:
                call, answer = begin(engine, rest)
            except Exception as error:  # it has the operation, but not for this dtype or shape
                call, answer = None, f"no: {error}".replace("\n", " ")[:200]
            print(answer, file=answers)
        elif word == "sample":
            print("times", *(f"{t:.9f}" for t in sample(call, float(rest))), file=answers)
        elif word == "end":
            call = None


main()
