from __future__ import annotations

import re
from pathlib import Path

import pytest

from xattn.synthetic import FEATURES, TRAITS

PAGE = Path(__file__).parents[2] / "docs" / "synthesize.md"
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("code", BLOCKS, ids=["counterfactual", "images", "tissue"])
def test_the_python_on_the_page_runs(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, PAGE.name, "exec"), {})
    for name in re.findall(r'imwrite\("(.*?)"', code):
        assert (tmp_path / name).stat().st_size > 10_000
        assert (PAGE.parent / "images" / name).is_file()


def test_the_table_of_defaults_is_that_of_the_registry():
    line = r"^\| (`[^|]*`) \| (\w+) \|([^|]*)\|([^|]*)\|"
    rows = re.findall(line, PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    told = {}
    for names, kind, prevalence, effect in rows:
        names = re.findall(r"`(\w+)`", names)
        prevalences = [float(p) for p in re.findall(r"\d\.\d+", prevalence)]
        for i, name in enumerate(names):
            if name in FEATURES:
                told[name] = (kind, prevalences[i], float(effect))
            elif name in TRAITS:
                told[name] = (kind, None, float(effect))
    assert told == {
        **{name: (f.kind, f.prevalence, f.effect) for name, f in FEATURES.items()},
        **{name: ("metadata", None, effect) for name, effect in TRAITS.items()},
    }
