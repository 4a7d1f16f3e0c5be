# SPDX-License-Identifier: Apache-2.0
"""PyTorch: every operation as a registered operator, and Hugging Face models rewritten to use them.

Importing this module registers ``torch.ops.smelt.*``, with fake implementations and gradients. The functions of
``smelt.fast`` go through them by themselves where that is needed: under ``torch.compile`` and where a gradient is wanted.
"""

from smelt.torch import operators  # noqa: F401
from smelt.torch.rewriting import restore, rewrite

__all__ = ["rewrite", "restore"]
