"""docs/architecture.md says what the import contract says, and names files that are there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


@pytest.fixture
def layers(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "docs" / "generate"))
    sys.modules.pop("layers", None)
    import layers

    return layers


def test_figure_and_table_are_those_of_the_contract(layers):
    way_out = "run `python docs/generate/layers.py`"
    assert layers.FIGURE.read_text(encoding="utf-8") == layers.figure(), way_out
    assert layers.renewed(PAGE) == PAGE, way_out


def test_every_package_and_module_at_the_top_has_a_layer(layers):
    own = {path.stem for path in (ROOT / "xattn").iterdir() if path.suffix in ("", ".py")}
    assert own - {"__init__", "__main__", "_version", "__pycache__"} == {
        name for layer in layers.layers() for name in layer
    }


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(xattn/[\w/.]+)`", PAGE))))
def test_a_file_that_the_page_names_is_there(path):
    assert (ROOT / path).exists()
