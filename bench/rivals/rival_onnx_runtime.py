# SPDX-License-Identifier: Apache-2.0
"""ONNX Runtime: one-operator models with bound inputs and outputs, float32."""
import numpy as np
import onnxruntime

import onnx_models

options = onnxruntime.SessionOptions()


def start(threads):
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return f"ONNX Runtime {onnxruntime.__version__}"


def prepare(case):
    if case.dtype != "float32" or case.variant & {"vjp", "window", "softcap", "mask"}:
        return None
    if case.operation == "sdpa" and case.batch == 1 and ("causal" in case.variant or case.tokens == 1):
        found = onnx_models.attention_model(case)
    else:
        found = onnx_models.row_model(case, contrib=True) if case.rows else None
    if found is None:
        return None
    text, inputs, outputs = found
    session = onnxruntime.InferenceSession(text, options, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(0)
    value = lambda shape: onnxruntime.OrtValue.ortvalue_from_numpy(random.standard_normal(shape, dtype=np.float32))
    values = {name: value(shape) for name, shape in inputs}
    binding = session.io_binding()
    for name, _ in inputs:
        binding.bind_ortvalue_input(name, values[name])
    for name, shape in outputs:
        cache = values.get({"ok": "pk", "ov": "pv"}.get(name))  # the cache is extended in place
        binding.bind_ortvalue_output(name, cache or value(shape))
    return lambda: session.run_with_iobinding(binding)
