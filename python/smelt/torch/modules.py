# SPDX-License-Identifier: Apache-2.0
"""Forward functions for the modules of Hugging Face models, by smelt's operations."""

import functools

import torch

from smelt import fast
from smelt.torch import core

_ACTIVATIONS = (0, 1, 2)  # silu, gelu, gelu_tanh: smelt_activation


def llama_norm(self, hidden_states):
    """Rounds to the dtype of the input before the weight, as Llama and Qwen3 do."""
    if self.weight.dtype != hidden_states.dtype:
        return self.weight * fast.rms_norm(hidden_states, None, self.variance_epsilon)
    return fast.rms_norm(hidden_states, self.weight, self.variance_epsilon)


def gemma_norm(self, x):
    """1 + weight, one rounding."""
    return fast.rms_norm(x, self.weight, self.eps, weight_offset=1.0, round_once=True).to(x.dtype)


def rotary(self, x, position_ids):
    """In place of cosines and sines: what they are made of, for `attention`."""
    return position_ids, (self.inv_freq.float(), self.attention_scaling)


def rotary_by_layer(self, x, position_ids, layer_type):
    return position_ids, (getattr(self, f"{layer_type}_inv_freq").float(), getattr(self, f"{layer_type}_attention_scaling"))


def _rotate(x, positions, inverse, cos_sin_scale):
    """``x (B, T, H, D)``, whole heads in halves."""
    function = _core("rope", x)
    positions = positions.expand(x.shape[0], -1)
    return function(
        x, x.shape[-1], False, 1, None, 1.0, float(cos_sin_scale), 0, None, positions, None, inverse, False, None, None
    )


def _core(name, *tensors):
    from smelt import _arrays

    return _arrays.core(name, *tensors)


def attention(self, hidden_states, position_embeddings=None, attention_mask=None, past_key_values=None, **kwargs):
    positions, (inverse, cos_sin_scale) = position_embeddings
    shape = hidden_states.shape[:-1]
    query, key, value = (
        projection(hidden_states).view(*shape, -1, self.head_dim) for projection in (self.q_proj, self.k_proj, self.v_proj)
    )
    if hasattr(self, "q_norm"):
        query, key = self.q_norm(query), self.k_norm(key)
    query, key = (_rotate(x, positions, inverse, cos_sin_scale).transpose(1, 2) for x in (query, key))
    value = value.transpose(1, 2)
    if past_key_values is not None:
        key, value = past_key_values.update(key, value, self.layer_idx)
    softcap = self.attn_logit_softcapping if type(self).__name__ == "Gemma2Attention" else None
    result, _ = attention_interface(
        self, query, key, value, attention_mask, scaling=self.scaling, softcap=softcap, **kwargs
    )
    return self.o_proj(result.reshape(*shape, -1)), None


def attention_interface(
    module, query, key, value, attention_mask, dropout=0.0, scaling=None, softcap=None, is_causal=None, **kwargs
):
    """transformers' AttentionInterface: masks as for its ``sdpa``, where no mask means causal for more than one query."""
    if dropout:
        raise ValueError(f"smelt attention: dropout: expected 0, got {dropout}")
    if kwargs.get("position_bias") is not None or kwargs.get("cache") is not None:
        raise ValueError("smelt attention: position_bias and paged caches are not supported")
    is_causal = getattr(module, "is_causal", True) if is_causal is None else is_causal
    causal = query.shape[2] > 1 and attention_mask is None and bool(is_causal)
    if attention_mask is not None:
        attention_mask = attention_mask[..., : key.shape[2]]
    result = fast.sdpa(
        query, key, value, scale=scaling, causal=causal, kv_offset=0 if causal else None, mask=attention_mask, softcap=softcap
    )
    return result.transpose(1, 2), None


@functools.cache
def mlp(activation):
    def forward(self, x):
        return self.down_proj(_core("glu", *(p := (self.gate_proj(x), self.up_proj(x))))(*p, activation, None, None))

    return forward


@functools.cache
def experts(activation):
    def apply_gate(self, gate_up):
        gate, up = gate_up.chunk(2, dim=-1)
        return _core("glu", gate, up)(gate, up, activation, None, None)

    return apply_gate


def router(self, hidden_states):
    logits = torch.nn.functional.linear(hidden_states.reshape(-1, self.hidden_dim), self.weight)
    ids, weights = _core("moe_routing", logits)(logits, self.top_k, None, self.norm_topk_prob, True, None)
    return logits, weights.to(logits.dtype), ids


@torch.no_grad()
def activation_of(function):
    """Which of ours a module computes, by its values over a range; None for none."""
    x = torch.linspace(-12, 12, 4001)
    try:
        theirs = function(x)
    except Exception:  # a module that wants something else than one tensor is none of ours
        return None
    ones = torch.ones_like(x)
    for activation in _ACTIVATIONS:
        if isinstance(theirs, torch.Tensor) and theirs.shape == x.shape:
            ours = core.glu(x, ones, activation, None, None)
            if torch.allclose(theirs, ours, atol=2e-6, rtol=2e-6):
                return activation
    return None
