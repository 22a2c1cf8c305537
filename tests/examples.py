"""The examples of docs/extending.md as they are printed, and all registries that there are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

from xattn.registry import Registry

ROOT = Path(__file__).parents[1]

_EXAMPLE = re.compile(r"^In `(xattn/[\w/]+\.py)`:\n\n```python\n(.*?)^```$", re.M | re.S)
_REGISTRY = re.compile(r"^([A-Z_]+): Registry\[", re.M)


def examples() -> dict[str, str]:
    """Return the text of each example by the path that the page gives it."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    return dict(_EXAMPLE.findall(page))


def registries() -> dict[str, Registry]:
    """Return every registry of the package by what its names are names of."""
    found = {}
    for path in sorted((ROOT / "xattn").rglob("*.py")):
        for name in _REGISTRY.findall(path.read_text(encoding="utf-8")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = module.removesuffix(".__init__")
            registry = getattr(importlib.import_module(module), name)
            found[registry.kind] = registry
    return found
