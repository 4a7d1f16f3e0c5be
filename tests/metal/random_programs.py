# SPDX-License-Identifier: Apache-2.0
"""Random kernels against their own meaning: the generator keeps the syntax tree of what it writes (program_tree.py), and
the engine must agree with its evaluation. usage: random_programs.py [COUNT [FIRST_SEED]]"""
import random
import sys

import numpy as np

import smelt_metal
from program_tree import (
    Assign,
    AssignElement,
    BINARY,
    Binary,
    Call,
    Choice,
    Constant,
    Element,
    Function,
    If,
    Input,
    LANES,
    Leave,
    Logical,
    Loop,
    Machine,
    NewArray,
    Return,
    Returned,
    SIMD,
    Simd,
    Store,
    Switch,
    U,
    Variable,
    body,
)

PRELUDE = """#include <metal_stdlib>
using namespace metal;
static inline uint from_xor(uint v, uint m) {
  uint moved = simd_shuffle_xor(v, ushort(m));
  uint active = uint(static_cast<simd_vote::vote_t>(simd_active_threads_mask()));
  uint lane = simd_prefix_exclusive_sum(0u) + __smelt_lane();
  return ((active >> (lane ^ m)) & 1u) ? moved : 7u;
}
"""


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.functions, self.counters = [], 0

    def expression(self, scope, arrays, depth):
        r = self.r
        if depth <= 0 or r.random() < 0.25:
            return r.choice([Constant(r.randrange(8)), Variable(r.choice(scope)), Variable(r.choice(scope)),
                             Element(r.choice(arrays), Variable(r.choice(scope))) if arrays else Constant(1)])
        sub = lambda: self.expression(scope, arrays, depth - 1)
        kind = r.random()
        if kind < 0.5:
            return Binary(r.choice(list(BINARY)), sub(), sub())
        if kind < 0.72:
            return Simd(r.choice(list(SIMD)), sub())
        if kind < 0.80:
            return Choice(sub(), sub(), sub())
        if kind < 0.88:
            return Logical(r.choice(["&&", "||"]), sub(), sub())
        if kind < 0.94 and self.functions:
            f = r.choice(self.functions)
            return Call(f, [sub() for _ in f.parameters])
        return Input(sub())

    def name(self, prefix):
        self.counters += 1
        return f"{prefix}{self.counters}"

    def statements(self, scope, arrays, depth, loop, stores):
        r, made = self.r, []
        scope, arrays = list(scope), list(arrays)
        for _ in range(r.randrange(1, 4)):
            e = lambda d=2: self.expression(scope, arrays, d)
            kind = r.random()
            if kind < 0.3:
                made.append(Assign(r.choice(scope), e()))
            elif kind < 0.38:
                n = self.name("v")
                made.append(Assign(n, e(), True))
                scope.append(n)
            elif kind < 0.42 and arrays:
                made.append(AssignElement(r.choice(arrays), e(1), e()))
            elif kind < 0.46 and depth > 1:
                n = self.name("a")
                made.append(NewArray(n, Variable(r.choice(scope))))
                arrays.append(n)
            elif kind < 0.6 and depth > 0:
                yes = self.statements(scope, arrays, depth - 1, loop, stores)
                no = self.statements(scope, arrays, depth - 1, loop, stores) if r.random() < 0.5 else []
                made.append(If(e(1), yes, no))
            elif kind < 0.74 and depth > 0:
                n = self.name("n")
                inner = self.statements(scope + [n], arrays, depth - 1, True, stores)
                # the counter is the loop's own: nothing inside may write it
                made.append(Loop(r.choice(["for", "endless", "while", "do"]), n, Variable(r.choice(scope)), without(inner, n)))
            elif kind < 0.82 and depth > 0:
                labels = r.sample([0, 1, 2, 3], r.randrange(1, 4)) + ([None] if r.random() < 0.5 else [])
                r.shuffle(labels)
                made.append(Switch(e(1), [(label, self.statements(scope, arrays, depth - 1, loop, stores), r.random() < 0.4)
                                          for label in labels]))
            elif kind < 0.9 and loop:
                made.append(If(e(1), [Leave(r.choice(["break", "continue"]))] if r.random() < 0.7 else [Return(e(1))], []))
            elif kind < 0.93:
                made.append(If(e(1), [Return(e(1))], []))
            elif stores:
                made.append(Store(r.randrange(4), e()))
        return made

    def program(self):
        for k in range(self.r.randrange(3)):
            parameters = ["p", "q"][: self.r.randrange(1, 3)]
            statements = self.statements(parameters, [], 2, False, False) + [Return(self.expression(parameters, [], 1))]
            self.functions.append(Function(f"f{k}", parameters, statements))
        main = [Assign("x", Variable("tid"), True), Assign("y", Input(Variable("tid")), True), Assign("z", Constant(3), True)]
        main += self.statements(["x", "y", "z", "tid"][:3], [], 3, False, True)
        main += [Store(k, Variable(n)) for k, n in enumerate("xyz")]
        return main


def without(statements, name):
    """The statements with assignments to `name` taken out."""
    kept = []
    for s in statements:
        if isinstance(s, Assign) and s.name == name:
            continue
        for part in ("yes", "no", "inner"):
            if hasattr(s, part):
                setattr(s, part, without(getattr(s, part), name))
        if isinstance(s, Switch):
            s.cases = [(label, without(inner, name), falls) for label, inner, falls in s.cases]
        kept.append(s)
    return kept


def kernel_text(functions, main):
    """`return e` in the kernel stores e: its own form of return."""
    inner = body(main, "")
    return (PRELUDE + "".join(f.text() for f in functions) +
            "static uint run(device const uint *in, device uint *out, uint tid) {\n" + inner + "  return 0u;\n}\n"
            "kernel void k(device const uint *in [[buffer(0)]], device uint *out [[buffer(1)]],\n"
            "  uint tid [[thread_index_in_threadgroup]]) { out[tid * 4u + 3u] ^= run(in, out, tid); }\n")


def expected(functions, main, threads, inputs):
    out = np.zeros((threads, 4), U)
    for first in range(0, threads, LANES):
        live = np.arange(LANES) + first < threads
        m = Machine(None, live, inputs)
        frame = Returned()
        scope = {"tid": (np.arange(LANES) + first).astype(U)}
        m.block(main, live.copy(), scope, None, frame)
        rows = np.zeros((LANES, 4), U)
        for slot, v in m.stores.items():
            rows[:, slot] = v
        rows[:, 3] ^= frame.value
        out[first:first + LANES] = rows[live[: LANES]]
    return out


def run(seed):
    g = Generator(seed)
    main = g.program()
    text = kernel_text(g.functions, main)
    r = np.random.default_rng(seed)
    inputs = r.integers(0, 16, 128, dtype=U)
    threads, shape = g.r.choice([(32, (32, 1)), (20, (20, 1)), (45, (5, 9)), (64, (64, 1)), (33, (3, 11)), (1, (1, 1)), (96, (32, 3))])
    try:
        function = smelt_metal.Library(text).function("k")
        out = np.zeros((threads, 4), U)
        function(buffers={0: inputs, 1: out}, grid=shape, threadgroup=shape)
    except smelt_metal.Error as error:
        print(f"seed {seed}: {error}\n{text}")
        return False
    want = expected(g.functions, main, threads, inputs)
    if np.array_equal(out, want):
        return True
    bad = np.argwhere(out != want)
    print(f"seed {seed}: thread {bad[0][0]} slot {bad[0][1]}: got {out[tuple(bad[0])]}, expected {want[tuple(bad[0])]} "
          f"({len(bad)} of {out.size} differ, {threads} threads)\n{text}")
    return False


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    first = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    failed = sum(not run(seed) for seed in range(first, first + count))
    print(f"{count - failed} of {count} random programs agree")
    sys.exit(failed != 0)
