# SPDX-License-Identifier: Apache-2.0
"""Random kernels against their own meaning: the generator keeps the syntax tree of what it writes, and evaluates it
lane by lane under exact masks. usage: random_programs.py [COUNT [FIRST_SEED]]"""
import random
import sys

import numpy as np

import smelt_metal

LANES = 32
U = np.uint32
PRELUDE = """#include <metal_stdlib>
using namespace metal;
static inline uint from_xor(uint v, uint m) {
  uint moved = simd_shuffle_xor(v, ushort(m));
  uint active = uint(static_cast<simd_vote::vote_t>(simd_active_threads_mask()));
  uint lane = simd_prefix_exclusive_sum(0u) + __smelt_lane();
  return ((active >> (lane ^ m)) & 1u) ? moved : 7u;
}
"""


class Frame:
    """Where lanes wait that left a statement early."""

    def __init__(self):
        self.broken = self.continued = np.zeros(LANES, bool)


class Returned:
    def __init__(self):
        self.value = np.zeros(LANES, U)


class Machine:
    def __init__(self, program, lanes, inputs):
        self.program, self.inputs = program, inputs
        self.lane = np.arange(LANES, dtype=U)
        self.stores = {}
        self.exists = lanes

    def call(self, function, arguments, mask):
        scope = dict(zip(function.parameters, (a.copy() for a in arguments)))
        frame = Returned()
        self.block(function.body, mask, scope, None, frame)
        return frame.value

    def block(self, statements, mask, scope, loop, function):
        for s in statements:
            if not mask.any():
                break
            mask = s.run(self, mask, scope, loop, function)
        return mask


def masked(old, new, mask):
    return np.where(mask, new, old)


# Expressions: text and value.
class Constant:
    def __init__(self, n):
        self.n = n

    def text(self):
        return f"{self.n}u"

    def value(self, m, mask, scope):
        return np.full(LANES, self.n, U)


class Variable:
    def __init__(self, name):
        self.name = name

    def text(self):
        return self.name

    def value(self, m, mask, scope):
        return scope[self.name]


class Input:
    def __init__(self, index):
        self.index = index

    def text(self):
        return f"in[({self.index.text()}) & 127u]"

    def value(self, m, mask, scope):
        return m.inputs[self.index.value(m, mask, scope) & U(127)]


class Element:
    def __init__(self, array, index):
        self.array, self.index = array, index

    def text(self):
        return f"{self.array}[({self.index.text()}) & 3u]"

    def value(self, m, mask, scope):
        return scope[self.array][self.index.value(m, mask, scope) & U(3), np.arange(LANES)]


BINARY = {"+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "&": lambda a, b: a & b,
          "|": lambda a, b: a | b, "^": lambda a, b: a ^ b, "<<": lambda a, b: a << (b & U(31)),
          ">>": lambda a, b: a >> (b & U(31)), "/": lambda a, b: a // np.maximum(b, U(1)), "%": lambda a, b: a % np.maximum(b, U(1)),
          "<": lambda a, b: (a < b).astype(U), ">": lambda a, b: (a > b).astype(U), "==": lambda a, b: (a == b).astype(U)}


class Binary:
    def __init__(self, op, a, b):
        self.op, self.a, self.b = op, a, b

    def text(self):
        b = f"max({self.b.text()}, 1u)" if self.op in "/%" else self.b.text()
        return f"uint(({self.a.text()}) {self.op} ({b}))"

    def value(self, m, mask, scope):
        a = self.a.value(m, mask, scope)
        b = self.b.value(m, mask, scope)
        with np.errstate(all="ignore"):
            return BINARY[self.op](a, b).astype(U)


class Choice:
    """a ? b : c, whose arms run under the masks of their lanes."""

    def __init__(self, a, b, c):
        self.a, self.b, self.c = a, b, c

    def text(self):
        return f"((({self.a.text()}) & 1u) ? ({self.b.text()}) : ({self.c.text()}))"

    def value(self, m, mask, scope):
        c = (self.a.value(m, mask, scope) & U(1)).astype(bool)
        r = np.zeros(LANES, U)
        if (mask & c).any():
            r = masked(r, self.b.value(m, mask & c, scope), mask & c)
        if (mask & ~c).any():
            r = masked(r, self.c.value(m, mask & ~c, scope), mask & ~c)
        return r


class Logical:
    """a && b or a || b: b runs only for the lanes that need it."""

    def __init__(self, op, a, b):
        self.op, self.a, self.b = op, a, b

    def text(self):
        return f"uint((({self.a.text()}) & 1u) {self.op} (({self.b.text()}) & 2u))"

    def value(self, m, mask, scope):
        a = (self.a.value(m, mask, scope) & U(1)).astype(bool)
        need = mask & (a if self.op == "&&" else ~a)
        r = a.copy()
        if need.any():
            b = (self.b.value(m, need, scope) & U(2)).astype(bool)
            r = np.where(need, b, r)
        return r.astype(U)


def spread(n):
    return np.full(LANES, n, U)


def exclusive(v, mask):
    v = np.where(mask, v, U(0))
    return (np.cumsum(v, dtype=U) - v).astype(U)


def from_xor(v, mask, by):
    lane = np.arange(LANES) ^ by
    return np.where(mask[lane], v[lane], U(7))


SIMD = {
    "simd_sum": lambda v, m: spread(v[m].sum(dtype=U)),
    "simd_max": lambda v, m: spread(v[m].max()),
    "simd_min": lambda v, m: spread(v[m].min()),
    "simd_xor": lambda v, m: spread(np.bitwise_xor.reduce(v[m])),
    "simd_prefix_exclusive_sum": exclusive,
    "simd_prefix_inclusive_sum": lambda v, m: (exclusive(v, m) + v).astype(U),
    "simd_broadcast_first": lambda v, m: spread(v[m][0]),
    "from_xor_1": lambda v, m: from_xor(v, m, 1),
    "from_xor_8": lambda v, m: from_xor(v, m, 8),
    "ballot": lambda v, m: spread(sum(1 << i for i in range(LANES) if m[i] and v[i] & 1)),
    "simd_is_first": lambda v, m: (np.arange(LANES) == np.flatnonzero(m)[0]).astype(U),
    "simd_any": lambda v, m: spread(int((v[m] & 1).any())),
    "simd_all": lambda v, m: spread(int((v[m] & 1).all())),
    "quad_sum": lambda v, m: np.where(m, v, U(0)).reshape(8, 4).sum(axis=1, dtype=U).repeat(4),
}


class Simd:
    def __init__(self, name, a):
        self.name, self.a = name, a

    def text(self):
        a = self.a.text()
        if self.name.startswith("from_xor"):
            return f"from_xor({a}, {self.name[9:]}u)"
        if self.name == "ballot":
            return f"uint(static_cast<simd_vote::vote_t>(simd_ballot(bool(({a}) & 1u))))"
        if self.name == "simd_is_first":
            return "uint(simd_is_first())"
        if self.name in ("simd_any", "simd_all"):
            return f"uint({self.name}(bool(({a}) & 1u)))"
        return f"{self.name}({a})"

    def value(self, m, mask, scope):
        a = self.a.value(m, mask, scope)
        return SIMD[self.name](a, mask).astype(U)


class Call:
    def __init__(self, function, arguments):
        self.function, self.arguments = function, arguments

    def text(self):
        return f"{self.function.name}(in, {', '.join(a.text() for a in self.arguments)})"

    def value(self, m, mask, scope):
        return m.call(self.function, [a.value(m, mask, scope) for a in self.arguments], mask)


# Statements: text and run, which gives the lanes that go on.
class Assign:
    def __init__(self, name, e, new=False):
        self.name, self.e, self.new = name, e, new

    def text(self, pad):
        return f"{pad}{'uint ' if self.new else ''}{self.name} = {self.e.text()};\n"

    def run(self, m, mask, scope, loop, function):
        v = self.e.value(m, mask, scope)
        scope[self.name] = masked(scope.get(self.name, np.zeros(LANES, U)), v, mask)
        return mask


class AssignElement:
    def __init__(self, array, index, e):
        self.array, self.index, self.e = array, index, e

    def text(self, pad):
        return f"{pad}{self.array}[({self.index.text()}) & 3u] = {self.e.text()};\n"

    def run(self, m, mask, scope, loop, function):
        v = self.e.value(m, mask, scope)
        i = self.index.value(m, mask, scope) & U(3)
        lanes = np.flatnonzero(mask)
        scope[self.array][i[lanes], lanes] = v[lanes]
        return mask


class NewArray:
    def __init__(self, name, e):
        self.name, self.e = name, e

    def text(self, pad):
        e = self.e.text()
        return f"{pad}uint {self.name}[4]; for (uint q = 0; q < 4u; q++) {self.name}[q] = ({e}) + q;\n"

    def run(self, m, mask, scope, loop, function):
        a = np.zeros((4, LANES), U)
        for q in range(4):
            a[q] = masked(a[q], self.e.value(m, mask, scope) + U(q), mask)
        scope[self.name] = a
        return mask


class If:
    def __init__(self, c, yes, no):
        self.c, self.yes, self.no = c, yes, no

    def text(self, pad):
        t = f"{pad}if (({self.c.text()}) & 1u) {{\n{body(self.yes, pad)}{pad}}}"
        return t + (f" else {{\n{body(self.no, pad)}{pad}}}\n" if self.no else "\n")

    def run(self, m, mask, scope, loop, function):
        c = (self.c.value(m, mask, scope) & U(1)).astype(bool)
        yes = m.block(self.yes, mask & c, scope, loop, function)
        no = m.block(self.no, mask & ~c, scope, loop, function)
        return yes | no


class Loop:
    """for, while and do-while over a counter of the lane's own, up to a bound that differs by lane."""

    def __init__(self, kind, counter, bound, inner):
        self.kind, self.counter, self.bound, self.inner = kind, counter, bound, inner

    def text(self, pad):
        n, b, inner = self.counter, f"(({self.bound.text()}) & 3u)", body(self.inner, pad)
        if self.kind == "for":
            return f"{pad}for (uint {n} = 0; {n} < {b}; {n}++) {{\n{inner}{pad}}}\n"
        if self.kind == "endless":
            return f"{pad}{{ uint {n} = 0; for (;;) {{ if ({n}++ >= {b}) break;\n{inner}{pad}}} }}\n"
        if self.kind == "while":
            return f"{pad}{{ uint {n} = 0; while ({n} < {b}) {{ {n}++;\n{inner}{pad}}} }}\n"
        return f"{pad}{{ uint {n} = 0; do {{ {n}++;\n{inner}{pad}}} while ({n} < {b}); }}\n"

    def run(self, m, mask, scope, loop, function):
        scope[self.counter] = np.zeros(LANES, U)
        out, active = np.zeros(LANES, bool), mask
        first = True
        while active.any():
            if not (self.kind == "do" and first):
                n = scope[self.counter]
                if self.kind == "endless":
                    scope[self.counter] = masked(n, n + U(1), active)
                go = active & (n < (self.bound.value(m, active, scope) & U(3)))
                out = out | (active & ~go)
                active = go
            first = False
            if not active.any():
                break
            if self.kind in ("while", "do"):
                scope[self.counter] = masked(scope[self.counter], scope[self.counter] + U(1), active)
            frame = Frame()
            active = m.block(self.inner, active, scope, frame, function) | frame.continued
            out = out | frame.broken
            if self.kind == "for":
                scope[self.counter] = masked(scope[self.counter], scope[self.counter] + U(1), active)
        return out


class Leave:
    def __init__(self, how):
        self.how = how

    def text(self, pad):
        return f"{pad}{self.how};\n"

    def run(self, m, mask, scope, loop, function):
        if self.how == "break":
            loop.broken = loop.broken | mask
        else:
            loop.continued = loop.continued | mask
        return np.zeros(LANES, bool)


class Return:
    def __init__(self, e):
        self.e = e

    def text(self, pad):
        return f"{pad}return {self.e.text()};\n"

    def run(self, m, mask, scope, loop, function):
        function.value = masked(function.value, self.e.value(m, mask, scope), mask)
        return np.zeros(LANES, bool)


class Switch:
    def __init__(self, e, cases):
        self.e, self.cases = e, cases  # (label or None, statements, falls through)

    def text(self, pad):
        t = f"{pad}switch (({self.e.text()}) & 3u) {{\n"
        for label, statements, falls in self.cases:
            t += f"{pad}{'default' if label is None else f'case {label}'}: {{\n{body(statements, pad)}{pad}}}"
            t += "\n" if falls else " break;\n"
        return t + pad + "}\n"

    def run(self, m, mask, scope, loop, function):
        v = self.e.value(m, mask, scope) & U(3)
        named = np.zeros(LANES, bool)
        for label, _, _ in self.cases:
            if label is not None:
                named |= v == label
        out = mask & ~named if all(label is not None for label, _, _ in self.cases) else np.zeros(LANES, bool)
        active = np.zeros(LANES, bool)
        for label, statements, falls in self.cases:
            active = active | (mask & (~named if label is None else v == label))
            frame = Frame()
            active = m.block(statements, active, scope, SwitchFrame(loop, frame), function)
            out = out | frame.broken
            if not falls:
                out = out | active
                active = np.zeros(LANES, bool)
        return out | active


class SwitchFrame:
    """break ends the switch, continue the loop around it."""

    def __init__(self, outer, own):
        object.__setattr__(self, "outer", outer)
        object.__setattr__(self, "own", own)

    @property
    def broken(self):
        return self.own.broken

    @broken.setter
    def broken(self, lanes):
        self.own.broken = lanes

    @property
    def continued(self):
        return self.outer.continued

    @continued.setter
    def continued(self, lanes):
        self.outer.continued = lanes


class Store:
    def __init__(self, slot, e):
        self.slot, self.e = slot, e

    def text(self, pad):
        return f"{pad}out[tid * 4u + {self.slot}u] = {self.e.text()};\n"

    def run(self, m, mask, scope, loop, function):
        v = self.e.value(m, mask, scope)
        m.stores[self.slot] = masked(m.stores.get(self.slot, np.zeros(LANES, U)), v, mask)
        return mask


def body(statements, pad):
    return "".join(s.text(pad + "  ") for s in statements)


class Function:
    def __init__(self, name, parameters, statements):
        self.name, self.parameters, self.body = name, parameters, statements

    def text(self):
        inputs = "".join(f", uint {p}" for p in self.parameters)
        return f"static uint {self.name}(device const uint *in{inputs}) {{\n{body(self.body, '')}}}\n"


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
