# SPDX-License-Identifier: Apache-2.0
"""Attention on the card beside PyTorch (cuDNN, its memory-efficient kernel): same run, same data, measured in turns.

python3 bench/cuda/attention_sweep.py LIBRARY [forward] [backward] [masks] [decode] [float32] [variants]

LIBRARY is libattention_shim.so; with "variants" every kernel that fits is timed, not only the one chosen; d128 keeps to one head size.
"""
import ctypes, json, math, os, sys
import torch, torch.nn.functional as F
from torch.nn.attention import sdpa_kernel, SDPBackend

View = type("View", (ctypes.Structure,), {"_fields_": [("data", ctypes.c_void_p)] + [(n, ctypes.c_int64) for n in ("batch", "head", "row", "column")]})
Map = type("Map", (ctypes.Structure,), {"_fields_": [("bytes", ctypes.c_ubyte * 128)]})
I, L, P, FL = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p, ctypes.c_float


class Params(ctypes.Structure):
    _fields_ = [("q_map", Map), ("k_map", Map), ("v_map", Map), ("q", View), ("k", View), ("v", View), ("out", View), ("mask", View),
                ("lse", P), ("lse_batch", L), ("lse_head", L), ("lse_row", L), ("sinks", P), ("sinks_stride", L),
                ("key_mask", P), ("key_mask_batch", L), ("key_mask_column", L), ("kv_lengths", P), ("kv_lengths_stride", L),
                ("kv_offsets", P), ("kv_offsets_stride", L), ("partial", P)] + [(n, I) for n in (
                    "batch", "heads_q", "heads_kv", "group", "q_length", "k_length", "head_dim", "value_dim", "q_head_step", "q_batch_step",
                    "k_head_step", "k_batch_step", "v_head_step", "v_batch_step", "type", "q_type", "k_type", "v_type", "mask_type", "sinks_type", "key_mask_bytes",
                    "lower_right", "kv_offset", "left", "right", "section", "m_tiles", "splits", "persistent")] + [
                    ("scale_log2", FL), ("softcap", FL), ("softcap_inverse", FL), ("mask_unit", FL), ("padding", ctypes.c_ubyte * 64)]


class Kernel(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int) for n in ("family", "head_dim", "value_dim", "consumers", "keys", "stages", "cluster", "general", "pingpong")]


class VjpKernel(ctypes.Structure):
    _fields_ = [(n, ctypes.c_int) for n in ("head_dim", "value_dim", "steps", "stages", "which", "ahead", "general")]


library = ctypes.CDLL(sys.argv[1])
library.bench_vjp.restype = ctypes.c_longlong
library.bench_vjp_kernel.restype = ctypes.POINTER(VjpKernel)
gradients = [library.bench_vjp_kernel(i).contents for i in range(library.bench_vjp_count())]
library.bench_plan.restype = ctypes.c_size_t
library.bench_kernel.restype = ctypes.POINTER(Kernel)
count = library.bench_kernel_count()
rows = [library.bench_kernel(i).contents for i in range(count)]
dev, bf = "cuda", torch.bfloat16
torch.manual_seed(0)
results = []


def view(x):
    s = list(x.stride())
    return View(x.data_ptr(), s[0], s[1], s[2], s[3])


def params(out, q, k, v, causal=False, lse=None, mask=None):
    p = Params()
    p.q, p.k, p.v, p.out = view(q), view(k), view(v), view(out)
    p.batch, p.heads_q, p.q_length, p.head_dim = q.shape
    p.heads_kv, p.k_length, p.value_dim = k.shape[1], k.shape[2], v.shape[3]
    p.group = p.heads_q // p.heads_kv
    p.type = p.q_type = p.k_type = p.v_type = {torch.bfloat16: 4, torch.float16: 3, torch.float32: 2}[q.dtype]
    p.lower_right, p.left, p.right = 1, 1 << 29, 0 if causal else 1 << 29
    p.scale_log2 = math.log2(math.e) / math.sqrt(p.head_dim)
    if lse is not None:
        p.lse, p.lse_batch, p.lse_head, p.lse_row = lse.data_ptr(), *lse.stride()
    if mask is not None:
        p.mask = view(mask.expand(p.batch, p.heads_q, p.q_length, p.k_length))
        p.mask_type = 1 if mask.dtype == torch.bool else 4
    return p


def prepare(p, kernel=-1, persistent=None, whole=False, splits=0):
    """Plans once; returns a call that launches, and the kernel chosen."""
    chosen = ctypes.c_int()
    size = library.bench_plan(ctypes.byref(p), kernel, ctypes.byref(chosen))
    if persistent is not None: p.persistent = persistent
    if whole: p.section = p.batch * p.heads_q
    if splits: p.splits, size = splits, splits * p.batch * p.heads_q * p.q_length * (p.value_dim + 2) * 4
    scratch = torch.empty(max(size, 16), dtype=torch.uint8, device=dev)
    p.partial = scratch.data_ptr()
    def call(keep=(p, scratch)):
        code = library.bench_launch(ctypes.byref(p), chosen, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))
        if code: raise RuntimeError(f"driver error {code}")
    return call, rows[chosen.value]


def milliseconds(calls, rounds=4, budget=12.0):
    """Median milliseconds of each call, measured in turns, so that all meet the same clocks."""
    times = [[] for _ in calls]
    for call in calls: call()
    torch.cuda.synchronize()
    for _ in range(rounds):
        for call, kept in zip(calls, times):
            a, b = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            a.record(); call(); b.record(); b.synchronize()
            n = max(3, min(20, int(budget / max(a.elapsed_time(b), 1e-3))))
            events = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(n)]
            for s, e in events: s.record(); call(); e.record()
            torch.cuda.synchronize()
            kept += [s.elapsed_time(e) for s, e in events]
    return [sorted(kept)[len(kept) // 2] for kept in times]


def torch_call(backend, *a, **k):
    def call():
        with sdpa_kernel(backend): return F.scaled_dot_product_attention(*a, **k)
    return call


def tag(r): return ("generic", "float32")[r.family - 2] if r.family > 1 else f"{64 * r.consumers}x{r.keys}{'c2' if r.cluster == 2 else ''}{'g' + str(r.general) if r.general else ''}"


only = [int(a[1:]) for a in sys.argv if a[:1] == "d" and a[1:].isdigit()]


def compare(label, q, k, v, causal, work, mask=None, variants=({},), backends=("cudnn",), sweep=True, measure=None, family=0):
    names = {"cudnn": SDPBackend.CUDNN_ATTENTION, "flash2": SDPBackend.FLASH_ATTENTION, "efficient": SDPBackend.EFFICIENT_ATTENTION}
    if only and q.shape[3] not in only: return
    gqa = q.shape[1] != k.shape[1]
    calls, labels, notes, reference = [], [], [], None
    for name in backends:
        call = torch_call(names[name], q, k, v, is_causal=causal, attn_mask=mask, enable_gqa=gqa)
        try: reference = call()
        except Exception as error: notes.append(f"{name} failed {str(error)[:40]}"); continue
        calls.append(call); labels.append(name)
    kernels = [-1] + [i for i, r in enumerate(rows) if sweep and r.family == family and (r.head_dim, r.value_dim) == (q.shape[3], v.shape[3]) and bool(r.general) == (mask is not None)]
    for i in kernels:
        for variant in (variants if i >= 0 or not sweep else ({},)):
            out = torch.full((*q.shape[:3], v.shape[3]), float("nan"), device=dev, dtype=q.dtype)
            if i >= 0 and not library.bench_can(ctypes.byref(params(out, q, k, v, causal, mask=mask)), i): continue
            call, r = prepare(params(out, q, k, v, causal, mask=mask), i, **variant)
            name = ("smelt=" if i < 0 else "") + tag(r) + "".join(f"[{a[:2]}{int(b)}]" for a, b in variant.items())
            try:
                call(); torch.cuda.synchronize()
                if reference is not None:
                    error = ((out.float() - reference.float()).norm() / reference.float().norm()).item()
                    if not error < 0.01: notes.append(f"{name} WRONG {error:.2g}")
                calls.append(lambda call=call, out=out: call()); labels.append(name)
            except RuntimeError as error: notes.append(f"{name} failed {error}")
    rates = {name: work / t * (1e-9 if measure is None else 1e-6) for name, t in zip(labels, (measure or milliseconds)(calls))}
    print(f"{label:31s} " + "  ".join([f"{n} {r:5.1f}" for n, r in rates.items()] + notes), flush=True)
    results.append(dict(label=label, rates=rates))


def graph_times(calls):
    """Milliseconds of one call inside a CUDA graph of 20: the time of the card alone."""
    graphs = []
    for call in calls:
        stream = torch.cuda.Stream()
        with torch.cuda.stream(stream): call(); call()
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(20): call()
        graphs.append(graph)
    return [t / 20 for t in milliseconds([g.replay for g in graphs], rounds=3, budget=8.0)]


def tensors(B, H, S, D, Hk=None, Sk=None, Dv=None):
    Hk, Sk, Dv = Hk or H, Sk or S, Dv or D
    return (torch.randn(B, H, S, D, device=dev, dtype=bf), torch.randn(B, Hk, Sk, D, device=dev, dtype=bf), torch.randn(B, Hk, Sk, Dv, device=dev, dtype=bf))


if "forward" in sys.argv:
    print(torch.__version__, torch.cuda.get_device_name(), torch.backends.cudnn.version(), "TFLOP/s", flush=True)
    for D, H in ((128, 16), (64, 32), (256, 8)):
        for S in (16384, 4096, 1024):
            B = 16384 // S
            for causal in (False, True):
                variants = [dict(persistent=a, whole=b) for a in (1, 0) for b in (False, True)] if "variants" in sys.argv else ({},)
                compare(f"B{B} H{H} S{S} D{D}{' causal' if causal else ''}", *tensors(B, H, S, D), causal, 4 * B * H * S * S * D / (2 if causal else 1), variants=variants, sweep="variants" in sys.argv)
    for D in (96, 192):
        for causal in (False, True):
            compare(f"B4 H16 S4096 D{D}{' causal' if causal else ''}", *tensors(4, 16, 4096, D), causal, 4 * 64 * 4096**2 * D / (2 if causal else 1))
    compare("B4 H16 S4096 D192 Dv128", *tensors(4, 16, 4096, 192, Dv=128), False, 2 * 64 * 4096**2 * 320)
    compare("B1 H32/8 S8192 D128 causal", *tensors(1, 32, 8192, 128, Hk=8), True, 2 * 32 * 8192**2 * 128)
    compare("B4 H16 S4096 D128 (B,T,H,D)", *(x.transpose(1, 2).contiguous().transpose(1, 2) for x in tensors(4, 16, 4096, 128)), False, 4 * 64 * 4096**2 * 128)
    compare("chunk 1024 of 65536 H32/8 D128", *tensors(1, 32, 1024, 128, Hk=8, Sk=65536), False, 4 * 32 * 1024 * 65536 * 128)
def gradient_call(p, dout, dq, dk, dv, queries=-1, keys=-1):
    """A call of the gradient; dq or dk and dv may be None."""
    views = (View * 4)(*(view(x) if x is not None else View() for x in (dout, dq, dk, dv)))
    scratch = torch.empty(library.bench_vjp(ctypes.byref(p), views, None, -1, -1, None), dtype=torch.uint8, device=dev)
    def call(keep=(p, dout, dq, dk, dv)):
        code = library.bench_vjp(ctypes.byref(p), views, ctypes.c_void_p(scratch.data_ptr()), queries, keys, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))
        if code: raise RuntimeError(f"driver error {code}")
    return call


def compare_gradients(B, H, S, D, causal):
    """cuDNN's gradient and ours, whole; with "variants" also every kernel alone, in milliseconds."""
    if only and D not in only: return
    q, k, v = (x.requires_grad_() for x in tensors(B, H, S, D))
    dout, out, lse = torch.randn_like(q), torch.empty_like(q), torch.empty(B, H, S, device=dev)
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION): y = F.scaled_dot_product_attention(q, k, v, is_causal=causal)
    p = params(out, q.detach(), k.detach(), v.detach(), causal, lse=lse)
    prepare(p)[0]()
    grads = [torch.full_like(x, float("nan")) for x in (q, k, v)]
    whole = gradient_call(p, dout, *grads)
    rival = lambda: torch.autograd.grad(y, (q, k, v), dout, retain_graph=True)
    notes = []
    def check(name):
        torch.cuda.synchronize()
        for n, got, want in zip(("dq", "dk", "dv"), grads, rival()):
            error = ((got.float() - want.float()).norm() / want.float().norm()).item()
            if not error < 0.02: notes.append(f"{name} {n} WRONG {error:.2g}")
    whole(); check("chosen")
    calls, names = [rival, whole], ["cudnn", "smelt"]
    for i, r in enumerate(gradients):
        if "variants" not in sys.argv or r.general or (r.head_dim, r.value_dim) != (D, D): continue
        pair = (dout, None, grads[1], grads[2]) if r.which == 3 else (dout, None, grads[1], None) if r.which == 1 else (dout, None, None, grads[2]) if r.which == 2 else (dout, grads[0], None, None)
        for g in grads: g.fill_(float("nan"))
        whole()
        call = gradient_call(p, *pair, **({"keys": i} if r.which else {"queries": i}))
        call(); check(f"kernel {i}")
        calls.append(call); names.append(f"w{r.which}n{r.steps}s{r.stages}a{r.ahead}")
    times, work = milliseconds(calls), 10 * B * H * S * S * D / (2 if causal else 1)
    label = f"backward B{B} H{H} S{S} D{D}{' causal' if causal else ''}"
    print(f"{label:31s} " + "  ".join([f"{n} {work / t * 1e-9:5.1f}" for n, t in zip(names[:2], times)] + [f"{n} {t:.3f} ms" for n, t in zip(names[2:], times[2:])] + notes), flush=True)
    results.append(dict(label=label, rates={n: work / t * 1e-9 for n, t in zip(names, times)}))


if "backward" in sys.argv:
    for D, shapes in ((128, ((1, 16, 16384), (4, 16, 4096))), (64, ((4, 16, 4096),)), (96, ((4, 16, 4096),)), (192, ((4, 8, 4096),)), (256, ((2, 16, 4096),))):
        for B, H, S in shapes:
            for causal in (False, True): compare_gradients(B, H, S, D, causal)
if "masks" in sys.argv:
    for mask in (torch.rand(4, 1, 4096, 4096, device=dev) > 0.3, torch.randn(4, 1, 4096, 4096, device=dev, dtype=bf)):
        compare(f"mask {mask.dtype} B4 H16 S4096 D128", *tensors(4, 16, 4096, 128), False, 4 * 64 * 4096**2 * 128, mask=mask)
if "decode" in sys.argv:
    print("decode, Hq 32, Hk 8, D 128, by graph replay: GB/s", flush=True)
    for B in (1, 4, 16, 64):
        for Sk in (512, 1024, 4096, 8192, 16384, 32768, 131072):
            if B * Sk > 64 * 16384: continue
            q, k, v = tensors(B, 32, 1, 128, Hk=8, Sk=Sk)
            bytes_moved = 2 * k.numel() * 2
            splits = [dict(splits=s) for s in (4, 8, 16) if B == 1 and s * 128 <= Sk] if "variants" in sys.argv else []
            compare(f"decode B{B} keys {Sk}", q, k, v, False, bytes_moved, variants=[{}] + splits, sweep="variants" in sys.argv, measure=graph_times, family=1)
            del q, k, v
if "float32" in sys.argv:
    torch.backends.cuda.matmul.allow_tf32 = False
    compare("float32 B4 H16 S4096 D128", *(x.float() for x in tensors(4, 16, 4096, 128)), False, 4 * 64 * 4096**2 * 128, backends=("efficient",), sweep=False)
if os.environ.get("OUT"):
    json.dump(results, open(os.path.join(os.environ["OUT"], "attention_sweep.json"), "w"), indent=0)
