"""Every public function says what it takes, returns and raises, and shows a call that works."""

from __future__ import annotations

import doctest
import inspect

import griffe
import numpy as np
import pandas as pd
import pytest
import torch
import torchvision

import xattn
from tests.docs.workshop import copy_for
from xattn.settings import Settings

NAMES = [name for name in xattn.__all__ if not name.startswith("__")]
FUNCTIONS = [name for name in NAMES if inspect.isfunction(getattr(xattn, name))]
CLASSES = [name for name in NAMES if inspect.isclass(getattr(xattn, name))]


def sections(value):
    """Return the sections of a docstring by their kind."""
    parsed = griffe.Docstring(inspect.getdoc(value) or "").parse("google", warnings=False)
    return {section.kind.value: section for section in parsed}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_says_what_it_takes_returns_and_raises_and_shows_a_call(name):
    function = getattr(xattn, name)
    found = sections(function)
    assert {"text", "returns", "raises", "examples"} <= set(found)
    told = [one.name for one in found["parameters"].value] if "parameters" in found else []
    assert told == list(inspect.signature(function).parameters)


@pytest.mark.parametrize("name", CLASSES)
def test_a_public_class_says_what_it_holds(name):
    value = getattr(xattn, name)
    fields = getattr(value, "__dataclass_fields__", {})
    if issubclass(value, Settings):
        assert all(option.help for option in value.options().values())
    elif fields:
        told = {one.name for one in sections(value)["attributes"].value}
        assert {field for field in fields if not field.startswith("_")} <= told
    assert inspect.getdoc(value)
    for member, method in inspect.getmembers(value, inspect.isfunction):
        assert member.startswith("_") or inspect.getdoc(method), f"{name}.{member}"


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_public_function_runs(name, workshop, tmp_path, monkeypatch):
    copy_for("docstrings", workshop, tmp_path)
    monkeypatch.chdir(tmp_path)
    names = {"xattn": xattn, "np": np, "pd": pd, "torch": torch, "torchvision": torchvision}
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(verbose=False)
    text = inspect.getdoc(getattr(xattn, name))
    said: list[str] = []
    example = parser.get_doctest(text, names, name, None, 0)
    assert example.examples
    runner.run(example, out=said.append)
    assert runner.failures == 0, "".join(said)
