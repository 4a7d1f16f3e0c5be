# SPDX-License-Identifier: Apache-2.0
"""OpenVINO: one-operator models with bound tensors. Its kernels are oneDNN's where that has the operation. bfloat16 is a
hint, which counts only on processors that have it."""
import numpy as np
import openvino
import openvino.opset13 as operations

import onnx_models

core = openvino.Core()
config = {"PERFORMANCE_HINT": "LATENCY"}


def start(threads):
    config["INFERENCE_NUM_THREADS"] = threads
    return f"OpenVINO {openvino.__version__.split('-')[0]}"


def attention_model(case):
    q = [case.batch, case.heads, case.tokens, case.head_dim]
    k = [case.batch, case.kv_heads, case.keys, case.head_dim]
    parameters = [operations.parameter(shape, np.float32, name=name) for name, shape in zip("qkv", (q, k, k))]
    attention = operations.scaled_dot_product_attention(*parameters, causal="causal" in case.variant)
    return openvino.Model([attention], parameters), [("q", q), ("k", k), ("v", k)]


def prepare(case):
    if case.variant & {"vjp", "window", "softcap", "mask"}:
        return None
    if case.dtype == "bfloat16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        return None
    if case.operation == "sdpa" and case.heads == case.kv_heads and case.dtype != "float16":
        model, inputs = attention_model(case)
    elif case.rows and case.dtype == "float32" and (found := onnx_models.row_model(case, contrib=False)):
        model, inputs = core.read_model(found[0]), found[1]
    else:
        return None
    precision = "bf16" if case.dtype == "bfloat16" else "f32"
    request = core.compile_model(model, "CPU", {**config, "INFERENCE_PRECISION_HINT": precision}).create_infer_request()
    random = np.random.default_rng(0)
    kept = [random.standard_normal(shape, dtype=np.float32) for _, shape in inputs]
    for (name, _), array in zip(inputs, kept):
        request.set_tensor(name, openvino.Tensor(array, shared_memory=True))
    return lambda kept=kept: request.infer()  # a shared tensor does not keep its array
