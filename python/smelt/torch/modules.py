# SPDX-License-Identifier: Apache-2.0
"""Forward functions for the modules of Hugging Face models, by smelt's operations."""

import functools

import torch

from smelt import fast
from smelt.torch import core

EAGER = "smelt_eager"  # the attention implementation of a model that had "eager"
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
    interface = eager_interface if self.config._attn_implementation == EAGER else attention_interface
    result, _ = interface(self, query, key, value, attention_mask, scaling=self.scaling, softcap=softcap, **kwargs)
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


def eager_interface(module, query, key, value, attention_mask, **kwargs):
    """As transformers' ``eager``: a row that sees no key (of padding) gives the mean of all values, not 0."""
    if kwargs.get("output_attentions"):
        raise ValueError("smelt attention: output_attentions: expected False: the probabilities are never in memory")
    result, _ = attention_interface(module, query, key, value, attention_mask, **kwargs)
    if attention_mask is None or attention_mask.dtype != torch.bool:
        return result, None
    blind = ~attention_mask[..., : key.shape[2]].any(-1).expand(query.shape[0], -1, -1)[:, 0]  # (B, T)
    if torch.compiler.is_compiling():  # its gradient with respect to queries and keys is then 0
        mean = value.mean(2).repeat_interleave(query.shape[1] // value.shape[1], 1)  # (B, H, D)
        return torch.where(blind[..., None, None], mean[:, None], result), None
    rows = blind.any(0).nonzero()[:, 0]
    if len(rows) == 0:
        return result, None
    theirs = _attention_of_blind_rows(query[:, :, rows], key, value, kwargs["scaling"], kwargs.get("softcap"))
    theirs = torch.where(blind[:, rows, None, None], theirs, result[:, rows])
    return result.index_copy(1, rows, theirs), None


def _attention_of_blind_rows(query, key, value, scaling, softcap):
    """Masks of ``eager`` are the least number, which swallows the scores in the result but not in the gradient."""
    key, value = (t.repeat_interleave(query.shape[1] // t.shape[1], 1) for t in (key, value))
    scores = query @ key.transpose(2, 3) * scaling
    scores = scores if softcap is None else softcap * torch.tanh(scores / softcap)
    scores = scores + torch.finfo(scores.dtype).min
    return (torch.softmax(scores, -1, dtype=torch.float32).to(value.dtype) @ value).transpose(1, 2)


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


def _eager_experts(self, hidden_states, top_k_index, top_k_weights):
    """One expert after the other, over the tokens that chose it."""
    result = torch.zeros_like(hidden_states)
    for expert in torch.unique(top_k_index).tolist():
        if expert >= self.num_experts:  # what expert parallelism calls another machine's
            continue
        tokens, places = torch.where(top_k_index == expert)
        hidden = torch.nn.functional.linear(hidden_states[tokens], self.gate_up_proj[expert])
        hidden = torch.nn.functional.linear(self._apply_gate(hidden), self.down_proj[expert])
        hidden = hidden * top_k_weights[tokens, places, None]
        result.index_add_(0, tokens, hidden.to(result.dtype))
    return result


def experts_forward(self, *arguments, **keywords):
    """The implementation that the configuration names, each of which applies `experts`; ours in place of ``eager``."""
    from transformers.integrations.moe import ALL_EXPERTS_FUNCTIONS

    chosen = ALL_EXPERTS_FUNCTIONS.get_interface(self.config._experts_implementation, _eager_experts)
    return chosen(self, *arguments, **keywords)


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
