# SPDX-License-Identifier: Apache-2.0
"""What one call of rms_norm on 1 x 4,096 float32 costs from Python, result allocation included, beside PyTorch's own.

usage: python bench/python_overhead.py   (with smelt, NumPy and PyTorch installed); microseconds, the median of 15 rounds in
which the contenders take turns.
"""

import statistics
import timeit

import numpy as np
import torch
import torch.nn.functional as F

import smelt

ROUNDS, CALLS = 15, 2000
x, w = np.random.default_rng(0).standard_normal((1, 4096)).astype(np.float32), np.ones(4096, np.float32)
out = np.empty_like(x)
tx, tw, tout = torch.from_numpy(x), torch.from_numpy(w), torch.empty(1, 4096)
calls = {
    "torch F.rms_norm": lambda: F.rms_norm(tx, (4096,), tw, 1e-5),
    "smelt numpy": lambda: smelt.rms_norm(x, w, 1e-5),
    "smelt numpy out=": lambda: smelt.rms_norm(x, w, 1e-5, out=out),
    "smelt torch": lambda: smelt.rms_norm(tx, tw, 1e-5),
    "smelt torch out=": lambda: smelt.rms_norm(tx, tw, 1e-5, out=tout),
}
times = {name: [] for name in calls}
for call in calls.values():
    timeit.timeit(call, number=200)
for _ in range(ROUNDS):
    for name, call in calls.items():
        times[name].append(timeit.timeit(call, number=CALLS) / CALLS * 1e6)
base = statistics.median(times["torch F.rms_norm"])
for name, values in times.items():
    median = statistics.median(values)
    print(f"{name:18} {median:7.2f} us  {median / base:5.2f} of torch")
