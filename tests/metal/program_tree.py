# SPDX-License-Identifier: Apache-2.0
"""The syntax tree of a random kernel: each node writes its text, and evaluates itself lane by lane under exact masks."""
import numpy as np

LANES = 32
U = np.uint32


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
