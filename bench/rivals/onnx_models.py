# SPDX-License-Identifier: Apache-2.0
"""Models of one operation, float32, for ONNX Runtime and OpenVINO."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

MICROSOFT = "com.microsoft"


def model(nodes, inputs, outputs, constants=(), opset=23):
    """`inputs` and `outputs` are (name, shape), `constants` (name, array), `nodes` (type, inputs, outputs, attributes)."""
    made = [helper.make_node(kind, reads, writes, **attributes) for kind, reads, writes, attributes in nodes]
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(made, "one", [value(*i) for i in inputs], [value(*o) for o in outputs],
                              [numpy_helper.from_array(np.asarray(array), name) for name, array in constants])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid(MICROSOFT, 1)]
    result = helper.make_model(graph, opset_imports=opsets)
    result.ir_version = 10
    return result.SerializeToString()


def row_model(case, contrib):
    """The model of an operation on rows, the names of what it reads and writes; None where there is none. `contrib`:
    ONNX Runtime's own operators may be used."""
    shape, dim = [case.rows, case.dim], case.dim
    weight, bias = ("w", np.ones(dim, np.float32)), ("b", np.zeros(dim, np.float32))
    x, r, y, s = ("x", shape), ("r", shape), ("y", shape), ("s", shape)
    if case.operation == "layer_norm":
        nodes = [("LayerNormalization", ["x", "w", "b"], ["y"], {"epsilon": 1e-5, "axis": -1})]
        return model(nodes, [x], [y], [weight, bias]), [x], [y]
    if case.operation == "rms_norm" and contrib:
        nodes = [("SimplifiedLayerNormalization", ["x", "w"], ["y"], {"epsilon": 1e-5, "axis": -1})]
        return model(nodes, [x], [y], [weight], 17), [x], [y]
    if case.operation == "rms_norm":  # written out: OpenVINO recognises it
        nodes = [("Pow", ["x", "two"], ["p"], {}), ("ReduceMean", ["p", "axes"], ["m"], {"keepdims": 1}),
                 ("Add", ["m", "eps"], ["e"], {}), ("Sqrt", ["e"], ["q"], {}), ("Div", ["one", "q"], ["i"], {}),
                 ("Mul", ["x", "i"], ["n"], {}), ("Mul", ["n", "w"], ["y"], {})]
        constants = [weight, ("two", np.float32(2)), ("eps", np.float32(1e-5)), ("one", np.float32(1)),
                     ("axes", np.array([-1], np.int64))]
        return model(nodes, [x], [y], constants), [x], [y]
    if case.operation == "residual_norm" and contrib:
        nodes = [("SkipSimplifiedLayerNormalization", ["x", "r", "w"], ["y", "", "", "s"],
                  {"epsilon": 1e-5, "domain": MICROSOFT})]
        return model(nodes, [x, r], [y, s], [weight]), [x, r], [y, s]
    if case.operation == "glu" and not case.variant & {"gelu", "gelu_tanh"}:
        nodes = [("Sigmoid", ["x"], ["g"], {}), ("Mul", ["x", "g"], ["t"], {}), ("Mul", ["t", "r"], ["y"], {})]
        return model(nodes, [x, r], [y]), [x, r], [y]
    return None


def attention_model(case):
    """ONNX Runtime's attention for language models: causal, (B, T, H * D), with the cache it appends to."""
    q = ("q", [1, case.tokens, case.heads * case.head_dim])
    k, v = (("k", [1, case.tokens, case.kv_heads * case.head_dim]), ("v", [1, case.tokens, case.kv_heads * case.head_dim]))
    cache = [1, case.kv_heads, case.keys, case.head_dim]  # past and present share one buffer of this size
    decode = case.keys > case.tokens
    given = [q, k, v] + ([("pk", cache), ("pv", cache)] if decode else [])
    written = [("y", q[1]), ("ok", cache), ("ov", cache)]
    constants = [("last", np.array([case.keys - 1], np.int32)), ("total", np.array(case.keys, np.int32))]
    names = ["q", "k", "v"] + (["pk", "pv"] if decode else ["", ""]) + ["last", "total"]
    nodes = [("GroupQueryAttention", names, ["y", "ok", "ov"],
              {"num_heads": case.heads, "kv_num_heads": case.kv_heads, "domain": MICROSOFT})]
    return model(nodes, given, written, constants), given, written
