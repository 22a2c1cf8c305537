import numpy as np
import pandas as pd
import pytest

from tests.figures.made_tables import alignment_table, bias_table, trap_of_rulers, usage_table
from xattn.analysis.groups.fairness import METRICS as FAIRNESS
from xattn.errors import UsageError
from xattn.figures.tables import MOST_ROWS, make_sheet
from xattn.runs import TABLES
from xattn.runs.tables.concepts import FINDINGS
from xattn.runs.tables.verdicts import VERDICTS

FEATURES = {"pigment_network": "structure", "ruler": "artifact"}


def rng():
    return np.random.default_rng(0)


def column(sheet, title):
    place = [head.title for head in sheet.heads].index(title)
    return [row[place] for row in sheet.rows]


def by_hand(name, *rows):
    """A table of some rows whose other promised columns are all 0.5."""
    return pd.DataFrame([dict.fromkeys(TABLES[name].promised, 0.5) | row for row in rows])


METHODS = {"method_a": "gradcam", "method_b": "attention"}
MODELS = {"a": "vit_tiny_patch16_224", "b": "resnet18", "split": "ood", "metric": "auc", "n": 6}
LIFT = {"lift_over_chance_gradcam": 1.2, "lift_p_gradcam": 0.03}

MADE = {
    "alignment": alignment_table(FEATURES, ("gradcam",), ["benign", "malignant", "all"], rng()),
    "feature_usage": usage_table({**FEATURES, "control-noise": "control"}, rng()),
    "interventions": by_hand(
        "interventions", {"feature": "ruler", "intervention": "inpaint", "n": 12}
    ),
    "interventions_by_class": by_hand(
        "interventions_by_class", {"feature": "ruler", "intervention": "inpaint", "class": "nv"}
    ),
    "doses": by_hand("doses", {"feature": "ruler", "intervention": "opacity", "dose": -1.0}),
    "concepts": by_hand(
        "concepts",
        *({"feature": f"f{i}", "kind": "artifact", "class": "malignant", "finding": finding,
           "n": 90, "n_with": 30} for i, finding in enumerate(FINDINGS)),
    ),
    "bias": bias_table(["ruler"], rng()),
    "fairness": by_hand(
        "fairness",
        *({"feature": "sex", "kind": "metadata", "metric": m, "categories": "f; m", "n": 90}
          for m in FAIRNESS),
    ),
    "verdicts": by_hand(
        "verdicts",
        *({"feature": f"f{i}", "kind": "artifact", "verdict": verdict, "test": "rank(presence)",
           "intervention": "inpaint", "used": True} | LIFT for i, verdict in enumerate(VERDICTS)),
    ),
    "trap": trap_of_rulers(),
    "agreement": by_hand("agreement", METHODS | {"n": 100}),
    "performance": by_hand(
        "performance",
        {"split": "test", "domain": "all", "metric": "auc", "class": "all", "n": 90},
        {"split": "ood-test", "domain": "site b", "metric": "ece", "class": "all", "n": 90},
    ),
    "comparison": by_hand(
        "comparison",
        *(MODELS | {"test": test, "verdict": "undecided", "conclusion": "."}
          for test in ("welch", "bayes", "mcnemar")),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MADE)
def test_every_row_has_a_cell_under_every_head(name):
    sheet = make_sheet(name, MADE[name], 999)
    assert len(sheet.rows) == sheet.total == len(MADE[name])
    assert {len(row) for row in sheet.rows} == {len(sheet.heads)}


@pytest.mark.parametrize("name", MADE)
def test_promised_columns_are_enough(name):
    make_sheet(name, MADE[name][list(TABLES[name].promised)])


@pytest.mark.parametrize("name", MADE)
def test_missing_numbers_are_dashes_and_sort_last(name):
    table = MADE[name].copy()
    numbers = [c for c in table if table[c].dtype == float]
    table[numbers] = np.nan
    cells = [cell for row in make_sheet(name, table, 999).rows for cell in row]
    assert all(cell.text.lower() != "nan" for cell in cells)
    if TABLES[name].value:  # rows without numbers are said to be there, and no more
        assert not cells
    else:
        dashes = {cell.sort for cell in cells if cell.text == "–"}
        assert dashes - {""} == {1e300}  # of texts nothing, which is first


def test_gaps_that_are_significant_come_first_and_empty_rows_are_one_line():
    table = bias_table(["ruler", "ink", "hair"], rng())
    table["p_adjusted"] = 0.5
    table.loc[[1, 6], "p_adjusted"] = 0.01
    table.loc[table["feature"] == "hair", ["gap", "gap_low", "gap_high", "p_adjusted"]] = np.nan
    sheet = make_sheet("bias", table, 999)
    assert set(sheet.places[:2]) == {1, 6}
    gaps = table["gap"].abs()
    assert gaps[sheet.places[0]] > gaps[sheet.places[1]]
    assert sheet.places[2:] == list(gaps.drop([1, 6])[:6].sort_values(ascending=False).index)
    assert sheet.note == (
        "1 feature has too few images to be compared: hair; 4 rows without numbers in bias.csv "
        "alone"
    )


def test_alignment_says_the_chance_level_of_each_score():
    notes = {h.title: h.note for h in make_sheet("alignment", MADE["alignment"]).heads}
    assert notes["lift"].endswith("evenly spread: 1")
    assert notes["AUC"] == "chance: 0.50"
    for score in ("mass", "pointing", "rank accuracy", "top-k"):
        assert notes[score] == "chance: area"


def test_rows_over_all_labels_come_first():
    labels = [c.text for c in column(make_sheet("alignment", MADE["alignment"]), "label")]
    assert labels == ["all", "all", "benign", "malignant", "benign", "malignant"]


def test_values_are_rounded_but_sorted_by_all_their_digits():
    sheet = make_sheet("alignment", MADE["alignment"])
    lifts = MADE["alignment"].query("label == 'all'")["lift"]
    cells = column(sheet, "lift")[:2]
    assert [c.sort for c in cells] == pytest.approx(list(lifts))
    assert all(len(c.text) < 25 for c in cells)


def test_p_values_at_the_floor_of_the_permutations_are_bounds():
    table = MADE["feature_usage"].assign(p_value=0.001, p_adjusted=0.003)
    assert {c.text for c in column(make_sheet("feature_usage", table, 999), "p")} == {"≤ 0.001"}
    own = table.assign(smallest_p=0.0001)
    assert {c.text for c in column(make_sheet("feature_usage", own, 999), "p")} == {"0.001"}


def test_verdicts_are_in_words():
    table = MADE["feature_usage"].assign(used=[True, False, False], p_adjusted=[0.01, 0.9, np.nan])
    cells = column(make_sheet("feature_usage", table), "verdict")
    assert [c.text for c in cells] == ["used", "not shown", "not tested"]


def test_a_long_table_keeps_the_rows_of_least_p_and_says_how_many_there_are():
    table = MADE["feature_usage"].iloc[np.zeros(100_000, int)].reset_index(drop=True)
    table["p_adjusted"] = np.linspace(1, 0, len(table))
    sheet = make_sheet("feature_usage", table)
    assert (len(sheet.rows), sheet.total) == (MOST_ROWS, 100_000)
    assert max(c.sort for c in column(sheet, "adjusted p")) < 0.0041


def test_verdicts_of_features_sort_from_what_changes_decisions_to_what_was_not_testable():
    cells = column(make_sheet("verdicts", MADE["verdicts"]), "verdict")
    assert [c.text for c in sorted(cells, key=lambda c: c.sort)] == list(VERDICTS)


def test_lifts_of_every_method_stand_beside_the_verdicts():
    (cell, *_) = column(make_sheet("verdicts", MADE["verdicts"]), "lift by gradcam")
    assert cell.text == "1.20"


def test_models_keep_the_names_by_which_they_are_built():
    cells = column(make_sheet("comparison", MADE["comparison"]), "model")
    assert {c.text for c in cells} == {"vit_tiny_patch16_224"}


def test_domains_have_a_column_only_where_there_are_some():
    table = MADE["performance"]
    titles = [[h.title for h in make_sheet("performance", t).heads] for t in (table, table[:1])]
    assert ["domain" in t for t in titles] == [True, False]


def test_a_long_table_without_p_values_keeps_its_first_rows():
    table = MADE["performance"].iloc[np.zeros(900, int)]
    sheet = make_sheet("performance", table)
    assert (len(sheet.rows), sheet.total, sheet.shown) == (MOST_ROWS, 900, "first")


def test_a_table_that_is_not_known_is_refused():
    with pytest.raises(UsageError, match=r"Unknown table 'feature-usage'.*feature_usage"):
        make_sheet("feature-usage", MADE["bias"])
