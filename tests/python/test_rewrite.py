# SPDX-License-Identifier: Apache-2.0
"""Hugging Face models with random weights, rewritten: the same logits, tokens and gradients."""

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import smelt.torch  # noqa: E402

SIZE = {
    "vocab_size": 97, "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 256, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": None,
}  # fmt: skip
MOE = {"num_experts": 6, "num_experts_per_tok": 2, "moe_intermediate_size": 24, "norm_topk_prob": True}
LLAMA3 = {
    "rope_type": "llama3", "rope_theta": 10000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}  # fmt: skip
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 64}
GEMMA2 = {"query_pre_attn_scalar": 24, "sliding_window": 12}

# name: configuration, its options, and the norms, rotary embeddings, attentions, MLPs, routers and experts to be replaced
MODELS = {
    "llama": ("LlamaConfig", {}, (7, 1, 3, 3, 0, 0)),
    "llama with llama3 frequencies": ("LlamaConfig", {"rope_parameters": LLAMA3}, (7, 1, 3, 3, 0, 0)),
    "llama with yarn": ("LlamaConfig", {"rope_parameters": YARN, "attention_bias": True}, (7, 1, 3, 3, 0, 0)),
    "llama with gelu": ("LlamaConfig", {"hidden_act": "gelu", "num_key_value_heads": 1}, (7, 1, 3, 3, 0, 0)),
    "llama, tied": ("LlamaConfig", {"tie_word_embeddings": True, "mlp_bias": True, "head_dim": 10}, (7, 1, 3, 3, 0, 0)),
    "llama, eager": ("LlamaConfig", {"num_key_value_heads": 4}, (7, 1, 3, 3, 0, 0)),
    "mistral": ("MistralConfig", {"sliding_window": 9}, (7, 1, 3, 3, 0, 0)),
    "qwen2": ("Qwen2Config", {}, (7, 1, 3, 3, 0, 0)),
    "qwen3": ("Qwen3Config", {}, (13, 1, 3, 3, 0, 0)),
    "qwen3 with a window": (
        "Qwen3Config", {"use_sliding_window": True, "sliding_window": 10, "max_window_layers": 1}, (13, 1, 3, 3, 0, 0)
    ),
    "qwen3-moe": ("Qwen3MoeConfig", MOE, (13, 1, 3, 0, 3, 3)),
    "qwen3-moe, some dense": (
        "Qwen3MoeConfig", MOE | {"mlp_only_layers": [1], "norm_topk_prob": False}, (13, 1, 3, 1, 2, 2)
    ),
    "qwen3-moe, eager": ("Qwen3MoeConfig", MOE | {"num_key_value_heads": 1}, (13, 1, 3, 0, 3, 3)),
    "gemma": ("GemmaConfig", {}, (7, 1, 3, 3, 0, 0)),
    "gemma2": ("Gemma2Config", GEMMA2, (13, 1, 3, 3, 0, 0)),
    "gemma3": ("Gemma3TextConfig", GEMMA2, (19, 1, 3, 3, 0, 0)),
}  # fmt: skip
WHAT = ("norm", "rotary embedding", "attention", "gated MLP", "MoE routing", "expert activation")


def build(name, dtype=torch.float32):
    config, options, counts = MODELS[name]
    torch.manual_seed(1)
    config = getattr(transformers, config)(**SIZE | options)
    eager = "gemma2" in name or "eager" in name
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager" if eager else "sdpa")
    if "moe" in name and eager:
        model.set_experts_implementation("eager")
    with torch.no_grad():
        for parameter_name, parameter in model.named_parameters():
            if "norm" in parameter_name:  # not ones and zeros, which would hide an error
                parameter.add_(torch.randn_like(parameter) * 0.2)
            elif parameter.ndim > 1:
                parameter.mul_(5)
    return model.to(dtype).eval(), dict(zip(WHAT, counts))


@pytest.fixture(params=list(MODELS))
def name(request):
    return request.param


def left_padded():
    ids = torch.randint(2, 97, (3, 21))
    mask = torch.ones_like(ids)
    mask[1, :5] = 0
    mask[2, :13] = 0
    return torch.where(mask == 1, ids, 0), mask


def test_counts_logits_and_restore(name, capsys):
    model, counts = build(name)
    ids, mask = left_padded()
    with torch.no_grad():
        before = model(ids).logits
        padded = model(ids, attention_mask=mask).logits
    replaced = smelt.torch.rewrite(model)
    assert replaced == {what: count for what, count in counts.items() if count}
    assert "smelt: replaced" in capsys.readouterr().out
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, before, atol=2e-4, rtol=2e-4)
        mine = model(ids, attention_mask=mask).logits
        torch.testing.assert_close(mine, padded, atol=2e-4, rtol=2e-4)
    with pytest.raises(ValueError, match="not rewritten yet"):
        smelt.torch.rewrite(model)
    assert smelt.torch.restore(model) == sum(counts.values())
    with torch.no_grad():
        assert torch.equal(model(ids).logits, before)
    with pytest.raises(ValueError, match="restore"):
        smelt.torch.restore(model)


@pytest.mark.parametrize("dtype,tolerance", [(torch.bfloat16, 0.06), (torch.float16, 0.01)])
def test_half_precision(name, dtype, tolerance):
    model, _ = build(name)
    ids, _ = left_padded()
    with torch.no_grad():
        exact = model(ids).logits
        theirs = model.to(dtype)(ids).logits.float()
        smelt.torch.rewrite(model, verbose=False)
        mine = model(ids).logits.float()
    assert model(ids).logits.dtype == dtype
    scale = exact.std()
    error, own = (mine - exact).abs().mean() / scale, (theirs - exact).abs().mean() / scale
    assert error <= own * 1.25 + tolerance / 10, (error, own)


def test_no_original_forward_runs(name, monkeypatch):
    model, counts = build(name)
    smelt.torch.rewrite(model, verbose=False)
    originals = {type(m) for m, _ in model._smelt_rewritten[0]}

    def forbidden(self, *arguments, **keywords):
        raise AssertionError(f"the original forward of {type(self).__name__} ran")

    for cls in originals:
        monkeypatch.setattr(cls, "forward", forbidden)
    ids, mask = left_padded()
    with torch.no_grad():
        model(ids, attention_mask=mask)


def test_greedy_tokens(name):
    model, _ = build(name)
    ids, mask = left_padded()
    options = {"attention_mask": mask, "max_new_tokens": 64, "min_new_tokens": 64, "do_sample": False, "use_cache": True}
    theirs = model.generate(ids, **options)
    smelt.torch.rewrite(model, verbose=False)
    assert torch.equal(model.generate(ids, **options), theirs)
    assert theirs.shape == (3, 21 + 64)


def test_training_step(name):
    model, _ = build(name)
    ids, mask = left_padded()
    labels = torch.where(mask == 1, ids, -100)

    def gradients():
        model.zero_grad()
        loss = model.train()(ids, attention_mask=mask, labels=labels, use_cache=False).loss
        loss.backward()
        return loss.detach(), {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}

    loss, theirs = gradients()
    smelt.torch.rewrite(model, verbose=False)
    own_loss, mine = gradients()
    torch.testing.assert_close(own_loss, loss, atol=1e-4, rtol=1e-4)
    assert mine.keys() == theirs.keys()
    for parameter, gradient in theirs.items():
        torch.testing.assert_close(
            mine[parameter], gradient, atol=1e-3 * gradient.abs().max().item() + 1e-6, rtol=1e-3, msg=lambda m: f"{parameter}: {m}"
        )


@pytest.mark.parametrize("name", ["llama", "qwen3 with a window", "qwen3-moe, eager", "gemma2", "gemma3"])
def test_static_cache(name):
    model, _ = build(name)
    ids, mask = left_padded()
    options = {"attention_mask": mask, "max_new_tokens": 12, "do_sample": False, "cache_implementation": "static"}
    theirs = model.generate(ids, **options)
    smelt.torch.rewrite(model, verbose=False)
    assert torch.equal(model.generate(ids, **options), theirs)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(reentrant):
    model, _ = build("gemma2")
    ids, mask = left_padded()

    def gradients():
        model.zero_grad()
        model.train()(ids, attention_mask=mask, labels=ids, use_cache=False).loss.backward()
        return {n: p.grad.clone() for n, p in model.named_parameters()}

    theirs = gradients()
    smelt.torch.rewrite(model, verbose=False)
    enable = getattr(model, "activation_checkpointing_enable", None) or model.gradient_checkpointing_enable
    enable({"use_reentrant": reentrant})
    torch.testing.assert_close(gradients(), theirs, atol=2e-3, rtol=2e-3)


def test_outputs_beside_the_logits():
    model, _ = build("qwen3-moe")
    ids, _ = left_padded()
    options = {"output_hidden_states": True, "output_router_logits": True}
    with torch.no_grad():
        theirs = model(ids, **options)
        smelt.torch.rewrite(model, verbose=False)
        mine = model(ids, **options)
    assert len(mine.hidden_states) == len(theirs.hidden_states) == 4 and len(mine.router_logits) == 3
    torch.testing.assert_close(mine.hidden_states, theirs.hidden_states, atol=2e-4, rtol=2e-4)
    torch.testing.assert_close(mine.router_logits, theirs.router_logits, atol=2e-4, rtol=2e-4)
    torch.testing.assert_close(mine.aux_loss, theirs.aux_loss, atol=2e-4, rtol=2e-4)
    eager, _ = build("llama, eager")
    smelt.torch.rewrite(eager, verbose=False)
    with pytest.raises(ValueError, match="output_attentions"):
        eager(ids, output_attentions=True)


def test_refusals(capsys):
    with pytest.raises(ValueError, match="model"):
        smelt.torch.rewrite(torch.nn.Linear(2, 2))
    with pytest.raises(TypeError, match="model"):
        smelt.torch.rewrite("llama")
    dynamic = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 2.0}
    config = transformers.LlamaConfig(**SIZE | {"rope_parameters": dynamic, "hidden_act": "relu", "attention_dropout": 0.1})
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    ids = torch.randint(2, 97, (1, 9))
    with torch.no_grad():
        before = model(ids).logits
    assert smelt.torch.rewrite(model) == {"norm": 7}
    printed = capsys.readouterr().out
    assert "dynamic" in printed and "activation" in printed and "left model.layers.0.self_attn" in printed
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, before, atol=1e-4, rtol=1e-4)

    class Changed(type(model.model.norm)):
        def forward(self, x):
            return 2 * super().forward(x)

    model, counts = build("llama")
    model.model.norm.__class__ = Changed
    assert smelt.torch.rewrite(model)["norm"] == 6


def test_compiled_after_rewriting():
    model, _ = build("llama")
    ids, _ = left_padded()
    smelt.torch.rewrite(model, verbose=False)
    torch._dynamo.reset()
    with torch.no_grad():
        expected = model(ids, use_cache=False).logits
        compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(ids, use_cache=False).logits, expected, atol=1e-4, rtol=1e-4)
