"""Every module can be imported by its path, and is a module."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from types import ModuleType

import pytest

import xattn

MODULES = sorted(
    one.name
    for one in pkgutil.walk_packages(xattn.__path__, "xattn.")
    if not one.name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_what_its_path_names(name):
    """A function of the name of a module, in the package around it, would hide the module."""
    importlib.import_module(name)
    found: object = xattn
    for part in name.split(".")[1:]:
        found = getattr(found, part)
    assert isinstance(found, ModuleType)
    assert found.__name__ == name


def test_functions_of_the_package_are_not_hidden_by_modules():
    code = "import xattn, pkgutil; " + "; ".join(f"import {name}" for name in MODULES)
    code += "; print(all(callable(getattr(xattn, n)) for n in xattn.__all__ if n[0] != '_'))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "True"
