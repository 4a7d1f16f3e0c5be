# SPDX-License-Identifier: Apache-2.0
"""The memory-bound operations on the card beside PyTorch, eager and compiled, in one run on the same data.

python3 bench/cuda/rows_rivals.py LIBRARY [large] [small] [JSON FILE]

LIBRARY is libsmelt.so. Bytes count each input read once and each output written once; the copy is of 2 GiB.
"""
import ctypes, json, os, sys
import torch, torch.nn.functional as F
import triton.testing

smelt = ctypes.CDLL(sys.argv[1])
smelt.smelt_last_error.restype = ctypes.c_char_p
sections = [a for a in sys.argv[2:] if not a.endswith(".json")] or ["large", "small"]
target = next((a for a in sys.argv[2:] if a.endswith(".json")), None)
dev, bf = "cuda", torch.bfloat16
torch.manual_seed(0)
results = []


class Tensor(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("device_type", ctypes.c_int32), ("device_id", ctypes.c_int32), ("ndim", ctypes.c_int32),
                ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16), ("shape", ctypes.POINTER(ctypes.c_int64)),
                ("strides", ctypes.POINTER(ctypes.c_int64)), ("byte_offset", ctypes.c_uint64)]


class Stream(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("num_threads", ctypes.c_int32), ("cuda_stream", ctypes.c_void_p), ("workspace", ctypes.c_void_p),
                ("workspace_size", ctypes.c_size_t), ("parallel_for", ctypes.c_void_p), ("pool", ctypes.c_void_p)]


class Rope(ctypes.Structure):
    _fields_ = [("struct_size", ctypes.c_uint32), ("dims", ctypes.c_int32), ("traditional", ctypes.c_int32), ("sequence_axis", ctypes.c_int32),
                ("base", ctypes.c_float), ("scale", ctypes.c_float), ("cos_sin_scale", ctypes.c_float), ("offset", ctypes.c_int64)] + [
                (n, ctypes.c_void_p) for n in ("offsets", "positions", "freqs", "inverse_freqs")]


TYPES = {torch.bfloat16: (4, 16), torch.float16: (2, 16), torch.float32: (2, 32), torch.int32: (0, 32)}


def view(x):
    if x is None: return None
    shape, strides = (ctypes.c_int64 * x.ndim)(*x.shape), (ctypes.c_int64 * x.ndim)(*x.stride())
    t = Tensor(x.data_ptr(), 2, x.device.index or 0, x.ndim, *TYPES[x.dtype], 1, shape, strides, 0)
    t.keep = (shape, strides)
    return ctypes.byref(t)


def call(name, *arguments):
    """A function that calls the library with descriptors made once, on torch's current stream."""
    function = getattr(smelt, "smelt_" + name)
    views = [view(a) if isinstance(a, torch.Tensor) else a for a in arguments]

    def run():
        stream = Stream(ctypes.sizeof(Stream), 0, torch.cuda.current_stream().cuda_stream)
        if function(*views, ctypes.byref(stream)): raise RuntimeError(smelt.smelt_last_error().decode())
    return run


def milliseconds(fn): return triton.testing.do_bench(fn, warmup=25, rep=100, return_mode="median")


def microseconds(fn, calls=100):
    """Of one call, in a replayed graph."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(3): fn()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(calls): fn()
    return triton.testing.do_bench(graph.replay, warmup=20, rep=60, return_mode="median") * 1e3 / calls


def rms(x, w): return F.rms_norm(x, (x.shape[-1],), w, 1e-5)
def layer(x, w, b): return F.layer_norm(x, (x.shape[-1],), w, b, 1e-5)
def add_norm(r, x, w): s = r + x; return rms(s, w), s
def norm_add(r, x, w): return r + rms(x, w)
def swiglu(x, r): return F.silu(x) * r


def rotate(x, cos, sin):
    h = x.shape[-1] // 2
    a, b = x[..., :h].float(), x[..., h:].float()
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1).to(x.dtype)


def route(logits, scale):
    w, i = torch.topk(torch.softmax(logits.float(), -1), 8, dim=-1)
    return w / w.sum(-1, keepdim=True) * scale[i], i.int()


def compiled(f):
    torch._dynamo.reset()
    return torch.compile(f, mode="max-autotune-no-cudagraphs", dynamic=False)


def report(op, shape, gigabytes, ours, rivals, small=False):
    row = {"operation": op, "shape": shape}
    measure = microseconds if small else (lambda f: gigabytes / milliseconds(f) * 1e3)
    for who, f in [("smelt", ours)] + rivals:
        try: row[who] = round(measure(f), 2)
        except Exception as e: row[who] = None; print(op, shape, who, "failed:", str(e)[:100])
    unit = "us" if small else "GB/s"
    text = "  ".join(f"{k} {v:8.2f}" if v and small else f"{k} {v:6.0f} ({v / copy:.3f})" if v else f"{k} -" for k, v in list(row.items())[2:])
    print(f"{op:18s} {shape:24s} {unit:5s} {text}", flush=True)
    results.append(row)


def norms(rows, dim, small=False):
    x, r, g = (torch.randn(rows, dim, device=dev, dtype=bf) for _ in range(3))
    w, b = (torch.randn(dim, device=dev, dtype=bf) for _ in range(2))
    out, s, dw = torch.empty_like(x), torch.empty_like(x), torch.empty_like(w)
    shape, gb = f"{rows} x {dim}", x.numel() * 2 / 1e9
    for op, f, a, streams, ours in (
            ("rms_norm", rms, (x, w), 2, call("rms_norm", out, x, w, None)),
            ("layer_norm", layer, (x, w, b), 2, call("layer_norm", out, x, w, b, None)),
            ("residual_norm", add_norm, (r, x, w), 4, call("residual_norm", out, s, r, x, w, None, None)),
            ("norm_add", norm_add, (r, x, w), 3, call("norm_add", out, r, x, w, None, None)),
            ("swiglu", swiglu, (x, r), 3, call("glu", out, x, r, 0))):
        c = compiled(f); c(*a); ours()
        got = f(*a)[0] if op == "residual_norm" else f(*a)
        if not torch.allclose(out.float(), got.float(), atol=0.06, rtol=0.02): print(op, shape, "differs from PyTorch")
        eager = [("eager", lambda: f(*a))] if rows * dim >= 1 << 20 or not small else []
        report(op, shape, streams * gb, ours, [("compile", lambda: c(*a))] + eager, small)
    if small or dim not in (1024, 4096, 16384): return
    for op, f, a, ours in (("rms_norm_vjp", rms, (x, w), call("rms_norm_vjp", out, dw, x, w, g, None)),
                           ("layer_norm_vjp", layer, (x, w, b), call("layer_norm_vjp", out, dw, torch.empty_like(w), x, w, g, None))):
        leaves = [t.detach().requires_grad_() for t in a]
        torch._dynamo.reset()
        y = torch.compile(f, dynamic=False)(*leaves)
        report(op, shape, 3 * gb, ours, [("compile", lambda: torch.autograd.grad(y, leaves, g, retain_graph=True))])


def others():
    x = torch.randn(4, 32, 8192, 128, device=dev, dtype=bf)
    out = torch.empty_like(x)
    angle = torch.arange(8192, device=dev)[:, None] * (1.0 / (10000 ** (torch.arange(0, 128, 2, device=dev) / 128)))
    cos, sin = angle.cos(), angle.sin()
    options = Rope(ctypes.sizeof(Rope), 0, 0, -2, 10000.0, 1, 1, 0)
    c = compiled(rotate); c(x, cos, sin)
    report("rope", "B4 H32 T8192 D128", 4 * x.numel() / 1e9, call("rope", out, x, ctypes.byref(options)), [("compile", lambda: c(x, cos, sin))])
    del x, out
    sets = [(torch.randn(65536, 128, device=dev), torch.rand(128, device=dev), torch.empty(65536, 8, device=dev, dtype=torch.int32),
             torch.empty(65536, 8, device=dev)) for _ in range(6)]
    ours = [call("moe_routing", i, w, l, s, None) for l, s, i, w in sets]
    c = compiled(route); c(*sets[0][:2])
    turn = iter(range(1 << 30))
    report("moe_routing", "65536 x 128 top 8", 65536 * (128 * 4 + 64) / 1e9, lambda: ours[next(turn) % 6](),
           [("compile", lambda: c(*sets[next(turn) % 6][:2])), ("eager", lambda: route(*sets[next(turn) % 6][:2]))])


a = torch.empty(1 << 31, dtype=torch.uint8, device=dev).random_()
b = torch.empty_like(a)
copy = 2 * a.numel() / 1e9 / milliseconds(lambda: b.copy_(a)) * 1e3
print(torch.__version__, torch.cuda.get_device_name(), f"copy {copy:.0f} GB/s", flush=True)
del a, b
if "large" in sections:
    for dim in (1024, 2048, 4096, 8192, 16384, 32768, 65536): norms((1 << 27) // dim, dim)
    others()
if "small" in sections:
    for rows in (1, 16, 64, 256): norms(rows, 4096, small=True)
if target: json.dump({"copy": copy, "rows": results}, open(target, "w"), indent=1)
