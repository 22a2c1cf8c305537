import pytest

from tests.analysis.known.made import known_rows
from xattn.analysis.known.rates import rates_of, with_truth
from xattn.runs import TableFolder


@pytest.fixture(scope="module")
def rows():
    return with_truth(known_rows())


def truth_of(rows, network, feature):
    (found,) = rows[(rows["network"] == network) & (rows["feature"] == feature)]["truth"].unique()
    return found


def test_what_is_known_of_a_feature_follows_from_its_true_effect(rows):
    found = {name: truth_of(rows, "n0", name) for name in rows["feature"].unique()}
    assert found == {
        "patches": "used", "ink": "weak", "hair": "hard null", "ruler": "easy null",
        "gel_bubble": "mixed", "age": "easy null",
    }  # fmt: skip


def test_a_correlate_of_what_the_network_does_not_use_is_an_easy_null(rows):
    assert truth_of(rows, "n1", "hair") == "easy null"


def one(table, **values):
    for column, value in {"half": "all", "by": "all", "level": "all", **values}.items():
        table = table[table[column] == value]
    (row,) = table.to_dict("records")
    return row


def test_rates_count_what_is_said_where_the_answer_is_known(rows):
    table = rates_of(rows)
    # Of eight networks seven learned; four had the plant, of which one pair is in each world.
    recall = one(table, evidence="dependence", question="recall", of="used")
    assert (recall["n"], recall["rate"], recall["networks"]) == (4, 1.0, 4)
    assert recall["low"] < 1
    alarms = one(table, evidence="dependence", question="false alarms", of="hard null")
    assert (alarms["n"], alarms["rate"]) == (4, 1.0)
    alarms = one(table, evidence="edit", question="false alarms", of="hard null")
    assert (alarms["n"], alarms["rate"]) == (4, 0.0)
    assert one(table, evidence="edit", question="recall", of="0.2 to 0.5")["rate"] == 1.0
    small = one(table, evidence="edit", question="p at most 0.05", of="easy null")
    assert small["rate"] == 0.0
    right = one(table, evidence="dependence", question="right", of="all")
    # Patches and ink of four networks; hair of seven, which no network uses.
    assert (right["n"], right["rate"]) == (15, pytest.approx(8 / 15))
    assert one(table, evidence="edit", question="right", of="p from 0.001 to 0.01")["rate"] == 1


def test_a_network_that_did_not_learn_is_counted_and_nothing_else_is_asked_of_it(rows):
    table = rates_of(rows)
    learned = one(table, question="learned", of="without it", evidence="")
    assert (learned["n"], learned["rate"]) == (4, 0.75)
    assert table.loc[table["question"] != "learned", "networks"].max() == 7


def test_shortcuts_are_looked_at_once_more_in_the_network_trained_without_them(rows):
    found = one(rates_of(rows), question="not used without the plant", of="below 0.1", evidence="")
    # Three pairs: of the fourth the network without the plant did not learn.
    assert (found["n"], found["rate"]) == (3, 1.0)


def test_halves_and_groups_stand_beside_the_whole(rows):
    table = rates_of(rows)
    halves = [
        one(table, half=half, evidence="edit", question="recall", of="used")["n"]
        for half in ("first", "held")
    ]
    assert halves == [2, 2]
    by_images = table[(table["by"] == "images") & (table["question"] == "recall")]
    assert set(by_images["level"]) == {"100", "150", "200", "250"}
    agreement = table[table["by"] == "agreement"]
    assert set(agreement["of"]) == {"easy null", "hard null"}


def test_the_tables_have_the_promised_columns(rows, tmp_path):
    folder = TableFolder(tmp_path)
    folder.write_table("known", rows)
    folder.write_table("known_answers", rates_of(rows))
    assert len(folder.table("known")) == len(rows)
