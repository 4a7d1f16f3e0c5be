# SPDX-License-Identifier: Apache-2.0
"""The pages of docs/python and their examples, help(), and the type stubs: all say what the functions are."""

import ast
import doctest
import importlib.util
import inspect
import pathlib
from importlib.machinery import SourceFileLoader

import numpy as np
import pytest

import smelt

ROOT = pathlib.Path(__file__).parents[2]
STUBS = pathlib.Path(smelt.__file__).parent
OURS = [name for name in smelt.fast.__all__ if getattr(smelt.fast, name).__module__ != "smelt.metal"]  # that has its own
loader = SourceFileLoader("python_pages", str(ROOT / "scripts" / "python-pages"))
pages = importlib.util.module_from_spec(importlib.util.spec_from_loader("python_pages", loader))
loader.exec_module(pages)


def test_overview():
    result = doctest.testfile(str(ROOT / "docs" / "python.md"), module_relative=False)
    assert result.attempted >= 4 and result.failed == 0


@pytest.mark.parametrize("name", OURS)
def test_page(name):
    path = ROOT / "docs" / "python" / f"{name}.md"
    assert path.read_text() == pages.page(name)  # scripts/python-pages writes it
    assert f"python/{name}.md" in (ROOT / "docs" / "python.md").read_text()
    result = doctest.testfile(str(path), module_relative=False, globs={"np": np, "smelt": smelt})
    assert result.attempted and result.failed == 0
    parameters = inspect.signature(getattr(smelt, name)).parameters
    common = {"stream", "force_fused"}
    text = path.read_text().split("```", 2)[2]
    assert [p for p in parameters if p not in common and f"`{p}" not in text] == []


def stubs(path):
    """``{function: [(parameter, kind, default), ...]}`` of every overload."""
    found = {}
    for node in ast.parse((STUBS / path).read_text()).body:
        if isinstance(node, ast.FunctionDef):
            a = node.args
            positional = [
                (p.arg, None if d is None else ast.literal_eval(d))
                for p, d in zip(a.args, [None] * (len(a.args) - len(a.defaults)) + a.defaults)
            ]
            keyword = [(p.arg, "required" if d is None else ast.literal_eval(d)) for p, d in zip(a.kwonlyargs, a.kw_defaults)]
            found.setdefault(node.name, []).append((positional, keyword))
    return found


@pytest.mark.parametrize("name", OURS)
def test_stub(name):
    parameters = inspect.signature(getattr(smelt.fast, name)).parameters.values()
    empty = inspect.Parameter.empty
    positional = [(p.name, None if p.default is empty else p.default) for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    keyword = [(p.name, "required" if p.default is empty else p.default) for p in parameters if p.kind is p.KEYWORD_ONLY]
    overloads = stubs("fast.pyi")[name]
    for stub_positional, stub_keyword in overloads:
        assert stub_positional == positional
        assert [k for k, _ in stub_keyword] == [k for k, _ in keyword]
    assert overloads[0][1] == keyword
    assert f"from smelt.fast import {name} as {name}" in (STUBS / "__init__.pyi").read_text()


def test_package_is_typed():
    assert (STUBS / "py.typed").exists()
