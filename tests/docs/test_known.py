"""Numbers of known answers on the pages are those of the table, or there are none."""

import importlib.util
import re
from pathlib import Path

import pandas as pd
import pytest

from tests.analysis.known.made import EVIDENCE, known_rows
from xattn.analysis.known.rates import rates_of, with_truth

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def generate():
    spec = importlib.util.spec_from_file_location("known", ROOT / "docs" / "generate" / "known.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "known-answers.csv"
    rows = known_rows(24).replace({"half": {"held": "held-back"}})
    rates_of(with_truth(rows)).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("name", ["README.md", "docs/known-answers.md"])
def test_the_pages_say_what_the_table_says(generate, name):
    page = (ROOT / name).read_text(encoding="utf-8")
    assert generate.MARKED.search(page)
    assert generate.renewed(page) == page, "run `python docs/generate/known.py`"


def test_all_parts_have_a_place_on_a_page(generate):
    pages = "".join(path.read_text(encoding="utf-8") for path in generate.PAGES)
    assert {found[2] for found in generate.MARKED.finditer(pages)} == set(generate.PARTS)


def test_without_the_table_no_part_has_a_number(generate, tmp_path):
    for path in generate.PAGES:
        page = generate.renewed(path.read_text(encoding="utf-8"), tmp_path / "none.csv")
        for part in generate.MARKED.finditer(page):
            assert not re.search(r"\d", part[3])


def test_what_is_not_met_is_said_first(generate, table):
    lines = generate.first(pd.read_csv(table)).splitlines()
    assert all(line.startswith("- Met. ") for line in lines)
    failed = pd.read_csv(table)
    verdicts = failed["evidence"] == "verdict: changes decisions"
    hard = (failed["question"] == "false alarms") & (failed["of"] == "hard null")
    failed.loc[verdicts & hard, ["rate", "low", "high"]] = [0.2, 0.1, 0.3]
    lines = generate.first(failed).splitlines()
    assert lines[0].startswith("- **Not met.** Of correlates")
    assert "20 % (10 to 30)" in lines[0]
    assert [line[:6] for line in lines[1:]] == ["- Met."] * 3


def test_halves_are_the_same_unless_the_interval_of_their_difference_leaves_out_zero(
    generate, table
):
    rates = pd.read_csv(table)
    recall = (rates["question"] == "recall") & (rates["of"] == "used shortcuts")
    own = recall & (rates["evidence"] == "verdict: used") & (rates["half"] == "held-back")
    rates.loc[own, ["rate", "low", "high"]] = [0.5, 0.3, 0.7]
    (said,) = [line for line in generate.first(rates).splitlines() if "Not met" in line]
    assert "held-back 50 % (30 to 70)" in said


@pytest.mark.parametrize(
    ("held", "same"),
    [([0.97, 0.86, 0.996], True), ([0.93, 0.83, 0.98], True), ([0.80, 0.70, 0.88], False)],
)
def test_newcombes_interval_of_two_rates(generate, held, same):
    names = ["rate", "low", "high"]
    first, other = (pd.Series(dict(zip(names, one, strict=True))) for one in ([1, 0.93, 1], held))
    assert generate._difference_holds_zero(first, other) == same
    assert generate._difference_holds_zero(other, first) == same


def test_features_of_which_verdicts_are_often_wrong_are_said_first(generate, table):
    rates = pd.read_csv(table)
    assert "not good" not in generate.first(rates)
    own = (rates["by"] == "feature") & (rates["of"] == "easy null")
    own &= (rates["question"] == "false alarms") & (rates["evidence"] == "verdict: used")
    name = rates[own]["level"].iloc[0]
    rates.loc[own & (rates["level"] == name), ["rate", "low", "high"]] = [0.4, 0.3, 0.5]
    line = generate.first(rates).splitlines()[0]
    assert line.startswith("- **Not asked for, and not good.**")
    assert f"{name} 40 % (30 to 50)" in line


def test_every_part_has_the_rates_of_the_table(generate, table):
    rates = pd.read_csv(table)
    for name, part in generate.PARTS.items():
        assert "%" in part(rates) or name == "first", name
    shown = generate.evidence(rates)
    for kind in EVIDENCE:
        assert f"| {kind} |" in shown
    lines = [line for line in generate.trust(rates).splitlines() if line.startswith("- **")]
    assert [line.split("**")[1] for line in lines] == list(generate._LINES)
    assert "finds 100 %" in lines[0]
