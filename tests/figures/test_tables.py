import numpy as np
import pandas as pd
import pytest

from tests.figures.populated import alignment_table, bias_table, usage_table
from xattn.figures.tables import MOST_ROWS, make_sheet
from xattn.runs import COLUMNS

FEATURES = {"pigment_network": "structure", "ruler": "artifact"}


def rng():
    return np.random.default_rng(0)


def column(sheet, title):
    place = [head.title for head in sheet.heads].index(title)
    return [row[place] for row in sheet.rows]


def interventions():
    row = dict.fromkeys(COLUMNS["interventions"], 0.5)
    return pd.DataFrame([row | {"feature": "ruler", "intervention": "inpaint", "n": 12}])


TABLES = {
    "alignment": alignment_table(FEATURES, ("gradcam",), ["benign", "malignant", "all"], rng()),
    "feature_usage": usage_table({**FEATURES, "control-noise": "control"}, rng()),
    "interventions": interventions(),
    "bias": bias_table(["ruler"], rng()),
}


@pytest.mark.parametrize("name", TABLES)
def test_every_row_has_a_cell_under_every_head(name):
    sheet = make_sheet(name, TABLES[name], 999)
    assert len(sheet.rows) == sheet.total == len(TABLES[name])
    assert {len(row) for row in sheet.rows} == {len(sheet.heads)}


@pytest.mark.parametrize("name", TABLES)
def test_promised_columns_are_enough(name):
    make_sheet(name, TABLES[name][list(COLUMNS[name])])


@pytest.mark.parametrize("name", TABLES)
def test_missing_numbers_are_dashes_and_sort_last(name):
    table = TABLES[name].copy()
    numbers = [c for c in table if table[c].dtype == float]
    table[numbers] = np.nan
    cells = [cell for row in make_sheet(name, table, 999).rows for cell in row]
    assert all(cell.text.lower() != "nan" for cell in cells)
    assert {cell.sort for cell in cells if cell.text == "–"} == {1e300}


def test_alignment_says_the_chance_level_of_each_score():
    notes = {h.title: h.note for h in make_sheet("alignment", TABLES["alignment"]).heads}
    assert notes["lift"].endswith("evenly spread: 1")
    assert notes["AUC"] == "chance: 0.50"
    for score in ("mass", "pointing", "rank accuracy", "top-k"):
        assert notes[score] == "chance: area"


def test_rows_over_all_labels_come_first():
    labels = [c.text for c in column(make_sheet("alignment", TABLES["alignment"]), "label")]
    assert labels == ["all", "all", "benign", "malignant", "benign", "malignant"]


def test_values_are_rounded_but_sorted_by_all_their_digits():
    sheet = make_sheet("alignment", TABLES["alignment"])
    lifts = TABLES["alignment"].query("label == 'all'")["lift"]
    cells = column(sheet, "lift")[:2]
    assert [c.sort for c in cells] == pytest.approx(list(lifts))
    assert all(len(c.text) < 25 for c in cells)


def test_p_values_at_the_floor_of_the_permutations_are_bounds():
    table = TABLES["feature_usage"].assign(p_value=0.001, p_adjusted=0.003)
    assert {c.text for c in column(make_sheet("feature_usage", table, 999), "p")} == {"≤ 0.001"}
    own = table.assign(smallest_p=0.0001)
    assert {c.text for c in column(make_sheet("feature_usage", own, 999), "p")} == {"0.001"}


def test_verdicts_are_in_words():
    table = TABLES["feature_usage"].assign(
        used=[True, False, False], p_adjusted=[0.01, 0.9, np.nan]
    )
    cells = column(make_sheet("feature_usage", table), "verdict")
    assert [c.text for c in cells] == ["used", "not shown", "not tested"]


def test_a_long_table_keeps_the_rows_of_least_p_and_says_how_many_there_are():
    table = TABLES["feature_usage"].iloc[np.zeros(100_000, int)].reset_index(drop=True)
    table["p_adjusted"] = np.linspace(1, 0, len(table))
    sheet = make_sheet("feature_usage", table)
    assert (len(sheet.rows), sheet.total) == (MOST_ROWS, 100_000)
    assert max(c.sort for c in column(sheet, "adjusted p")) < 0.0041
