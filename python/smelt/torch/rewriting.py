# SPDX-License-Identifier: Apache-2.0
"""Hugging Face models with smelt's operations in place of their own: ``rewrite(model)`` and ``restore(model)``.

A module is replaced only where its class is one whose forward is known, exactly (no subclass, no forward that someone else has
put there), and where its options are ones that smelt computes equally. The rest is left as it is, and said.
"""

import types

import torch

from smelt.torch import modules

_FAMILIES = {
    "llama": "Llama",
    "mistral": "Mistral",
    "qwen2": "Qwen2",
    "qwen3": "Qwen3",
    "qwen3_moe": "Qwen3Moe",
    "gemma": "Gemma",
    "gemma2": "Gemma2",
    "gemma3": "Gemma3",
}
_STATIC_ROTATIONS = ("default", "linear", "llama3", "yarn")
_NAME = "smelt"


def _family_of(module):
    """``("qwen3", "RMSNorm")`` for a Qwen3RMSNorm of transformers, else None."""
    cls = type(module)
    parts = cls.__module__.split(".")
    if len(parts) == 4 and parts[:2] == ["transformers", "models"] and parts[2] in _FAMILIES:
        prefix = _FAMILIES[parts[2]]
        if cls.__name__.startswith(prefix):
            return parts[2], cls.__name__[len(prefix) :]
    return None


def _rotation_is_known(rotary):
    kinds = rotary.rope_type.values() if isinstance(rotary.rope_type, dict) else [rotary.rope_type]
    unknown = sorted(set(kinds) - set(_STATIC_ROTATIONS))
    return f"rope type {', '.join(unknown)} changes its frequencies as it runs" if unknown else None


def _plan_attention(module, family):
    if module.attention_dropout:
        return f"dropout {module.attention_dropout}"
    if module.head_dim % 2:
        return f"an odd head of {module.head_dim}"
    return None


def _plan(name, module, rotary_refusal):
    """(what, new forward) for a known module, (what, reason) for one that is refused, None for another."""
    known = _family_of(module)
    if known is None:
        return None
    family, kind = known
    forward = None
    if kind == "RMSNorm":
        what, forward = "norm", modules.gemma_norm if family.startswith("gemma") else modules.llama_norm
    elif kind == "RotaryEmbedding":
        what = "rotary embedding"
        forward = rotary_refusal or (modules.rotary_by_layer if family == "gemma3" else modules.rotary)
    elif kind == "Attention":
        what = "attention"
        forward = rotary_refusal or _plan_attention(module, family) or modules.attention
    elif kind == "MLP":
        what = "gated MLP"
        activation = modules.activation_of(module.act_fn)
        forward = "its activation is none of silu, gelu and gelu_tanh" if activation is None else modules.mlp(activation)
    elif kind == "TopKRouter" and family == "qwen3_moe":
        what, forward = "MoE routing", modules.router
    elif kind == "Experts" and family == "qwen3_moe":
        what = "expert activation"
        activation = modules.activation_of(module.act_fn)
        forward = "its activation is none of silu, gelu and gelu_tanh" if activation is None else modules.experts(activation)
    else:
        return None
    if "forward" in module.__dict__ and not isinstance(forward, str):
        forward = "it has a forward of its own"
    return what, forward


def _configurations(model):
    """Every configuration in the model that names an implementation of attention."""
    found = {}
    for module in model.modules():
        config = getattr(module, "config", None)
        if config is not None and hasattr(config, "_attn_implementation"):
            found[id(config)] = config
    return list(found.values())


def _register_attention():
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

    for name, interface in ((_NAME, modules.attention_interface), (modules.EAGER, modules.eager_interface)):
        AttentionInterface.register(name, interface)
        AttentionMaskInterface.register(name, sdpa_mask)


def _refuse_model(model):
    if not isinstance(model, torch.nn.Module):
        raise TypeError(f"rewrite: model: expected a torch.nn.Module, got {type(model).__name__}")
    if getattr(model, "_smelt_rewritten", None) is not None:
        raise ValueError("rewrite: model: expected one that is not rewritten yet; smelt.torch.restore(model) undoes it")
    implementations = {config._attn_implementation for config in _configurations(model)}
    if not any(_family_of(module) for module in model.modules()):
        raise ValueError(
            f"rewrite: model: expected a transformers model of type {', '.join(_FAMILIES)}, got {type(model).__name__}"
        )
    if implementations - {"eager", "sdpa"}:
        raise ValueError(f"rewrite: model: expected attn_implementation eager or sdpa, got {sorted(implementations)}")


def rewrite(model, *, verbose=True):
    """Replaces norms, rotary embedding, attention, gated MLP activations and MoE routing of ``model``, in place.

    Returns ``{what: count}`` of the replaced modules, and prints them and what was left with its reason (``verbose``).
    ValueError where nothing of the model is known. ``restore(model)`` undoes it.
    """
    _refuse_model(model)
    rotaries = [m for m in model.modules() if (_family_of(m) or ("", ""))[1] == "RotaryEmbedding"]
    rotary_refusal = next(filter(None, map(_rotation_is_known, rotaries)), None)
    attentions = [m for m in model.modules() if (_family_of(m) or ("", ""))[1] == "Attention"]
    if rotary_refusal is None:  # rotary embedding and attention go together: the one feeds the other
        reasons = [_plan_attention(m, None) or ("forward" in m.__dict__ and "a forward of its own") for m in attentions]
        reasons += ["forward" in m.__dict__ and "a forward of its own" for m in rotaries]
        rotary_refusal = next(filter(None, reasons), None)
    changed, counts, left = [], {}, []
    for name, module in model.named_modules():
        planned = _plan(name, module, rotary_refusal)
        if planned is None:
            continue
        what, forward = planned
        if isinstance(forward, str):
            left.append(f"{name} ({what}): {forward}")
            continue
        replaced = {"forward": forward}
        if what == "expert activation":
            replaced = {"_apply_gate": forward, "forward": modules.experts_forward}
        for attribute, function in replaced.items():
            module.__dict__[attribute] = types.MethodType(function, module)
        changed.append((module, tuple(replaced)))
        counts[what] = counts.get(what, 0) + 1
    configurations = []
    if counts.get("attention"):
        _register_attention()
        configurations = [(c, c._attn_implementation) for c in _configurations(model)]
        for config, implementation in configurations:
            config._attn_implementation = modules.EAGER if implementation == "eager" else _NAME
    model.__dict__["_smelt_rewritten"] = changed, configurations
    if verbose:
        listed = ", ".join(f"{count} {what}" for what, count in counts.items()) or "nothing"
        print(f"smelt: replaced {listed} in {type(model).__name__}")
        for line in left:
            print(f"smelt: left {line}")
    return counts


def restore(model):
    """Undoes ``rewrite(model)``. Returns how many modules got their own forward back."""
    rewritten = model.__dict__.pop("_smelt_rewritten", None)
    if rewritten is None:
        raise ValueError("restore: model: expected one that smelt.torch.rewrite has rewritten")
    changed, configurations = rewritten
    for module, attributes in changed:
        for attribute in attributes:
            del module.__dict__[attribute]
    for config, implementation in configurations:
        config._attn_implementation = implementation
    return len(changed)
