# SPDX-License-Identifier: Apache-2.0
"""The way from traced JAX arrays into the C library: XLA's foreign-function interface, and how ``jax.vmap`` goes through it."""

import jax
import jax.numpy as jnp
import numpy as np

from smelt import _smelt

for _platform, _targets in _smelt.xla_targets().items():
    for _name, _target in _targets.items():
        jax.ffi.register_ffi_target(_name, _target, platform=_platform)


def blank(array):
    """Zeros that nobody touches, with the shape and dtype of a JAX array; what is none stays itself, and is refused in C."""
    if isinstance(array, jax.Array):
        return _smelt.blank(str(array.dtype), tuple(array.shape))
    return array


def check(operation, arrays, *rest):
    """What ``_smelt.operation(*arrays, *rest)`` would give, as shapes and dtypes, or its exception; nothing is computed."""
    results = getattr(_smelt, operation)(*map(blank, arrays), *rest, _smelt.check_only)
    if isinstance(results, tuple):
        return tuple(map(_described, results))
    return _described(results)


def _described(result):
    if result is None or result is NotImplemented:
        return result
    return jax.ShapeDtypeStruct(result.shape, result.dtype_name)


def call(operation, arrays, results, floats=(), integers=(), batching=None):
    """The operation within the trace. ``arrays`` and ``results`` have None where a tensor is absent.

    ``results`` have shape and dtype; ``batching(size, batched, arrays)`` gives ``(arrays, unfold)`` where one call can do the
    work of a whole vmap, else None: then there is one call for each.
    """
    kept = [r for r in results if r is not None]
    outputs = sum(1 << i for i, r in enumerate(results) if r is not None)
    attributes = {
        "inputs": np.int64(sum(1 << i for i, a in enumerate(arrays) if a is not None)),
        "outputs": np.int64(outputs),
        "floats": np.array([*floats, 0], np.float32),
        "integers": np.array([*integers, 0], np.int64),
    }

    @jax.custom_batching.custom_vmap
    def run(*arrays):
        target = jax.ffi.ffi_call("smelt_" + operation, kept, vmap_method="sequential")
        return tuple(target(*[a for a in arrays if a is not None], **attributes))

    @run.def_vmap
    def run_batch(size, batched, *arrays):
        together = batching and batching(size, batched, arrays)
        if together:
            wide, unfold = together
            stretched = [None if r is None else unfold.shape(r) for r in results]
            whole = call(operation, wide, stretched, floats, integers, batching)
            return tuple(unfold(r) for r in whole if r is not None), (True,) * len(kept)
        one = lambda mapped: run(*[m if b else a for m, a, b in zip(mapped, arrays, batched)])  # noqa: E731
        mapped = tuple(a if b else None for a, b in zip(arrays, batched))
        return jax.lax.map(one, mapped), (True,) * len(kept)

    found = iter(run(*arrays))
    return tuple(None if r is None else next(found) for r in results)


class _Unfold:
    """Back from the wide call: its results' shapes from those of one call, and its results as a batch."""

    def __init__(self, size, folded):
        self.size, self.folded = size, folded

    def shape(self, result):
        first = (self.size * result.shape[0], *result.shape[1:]) if self.folded else (self.size, *result.shape)
        return jax.ShapeDtypeStruct(first, result.dtype)

    def __call__(self, result):
        return result.reshape(self.size, -1, *result.shape[1:]) if self.folded and self.size else result


def _spread(array, is_batched, size):
    return array if is_batched else jnp.broadcast_to(array, (size, *array.shape))


def _fold(array):
    return array.reshape(-1, *array.shape[2:])


def rows(*positions):
    """Every leading axis is a row of work for the arrays at these positions: a batch is one axis more. The rest is shared."""

    def batching(size, batched, arrays):
        if size == 0 or any(b for i, b in enumerate(batched) if i not in positions and arrays[i] is not None):
            return None
        if any(a is not None and a.ndim > 31 for a in arrays):
            return None
        wide = [_spread(a, batched[i], size) if i in positions and a is not None else a for i, a in enumerate(arrays)]
        return wide, _Unfold(size, False)

    return batching


def sequences(size, batched, arrays):
    """rope ``(x, offsets, positions, freqs, inverse)``: the batch joins the first axis of x."""
    x, offsets, positions, freqs, inverse = arrays
    if size == 0 or batched[3] is True or batched[4] is True or x.size == 0:
        return None
    count = x.shape[1] if batched[0] else x.shape[0]

    def per_sequence(a, is_batched, rank):
        """An array with an entry for each sequence, or one for all."""
        if a is None or (not is_batched and (a.ndim < rank or a.shape[0] != count)):
            return a
        a = _spread(a, is_batched, size)
        a = a if a.ndim == rank + 1 else a[:, None]
        return _fold(jnp.broadcast_to(a, (size, count, *a.shape[2:])))

    wide = _fold(_spread(x, batched[0], size)), per_sequence(offsets, batched[1], 1), per_sequence(positions, batched[2], 2)
    return (*wide, freqs, inverse), _Unfold(size, True)


def attention(size, batched, arrays):
    """sdpa and its gradient: the batch joins B. Sinks, which all share, and the gradient of a mask must not be batched."""
    q, mask, sinks = arrays[0], arrays[3], arrays[5]
    if size == 0 or (sinks is not None and batched[5]) or any(a is not None and a.size == 0 for a in arrays):
        return None
    count = q.shape[1] if batched[0] else q.shape[0]
    wide = [a if a is None or i in (3, 5) else _fold(_spread(a, batched[i], size)) for i, a in enumerate(arrays)]
    wide[5] = sinks
    if mask is not None and (batched[3] or (mask.ndim == 4 and mask.shape[0] > 1)):
        mask = _spread(mask, batched[3], size)
        mask = mask.reshape(size, *(1,) * (5 - mask.ndim), *mask.shape[1:])
        mask = _fold(jnp.broadcast_to(mask, (size, count, *mask.shape[2:])))
    wide[3] = mask
    return wide, _Unfold(size, True)
