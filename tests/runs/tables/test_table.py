import pytest

from xattn.errors import UsageError
from xattn.runs.tables import (
    TABLES,
    Each,
    Field,
    Interval,
    Number,
    PValue,
    Table,
    Text,
    declare,
    records,
    tables_of_record,
)


def columns_of(shown):
    """Every column of the CSV file that what is shown reads."""
    if isinstance(shown, Each):
        return {c for one in shown.shown for c in columns_of(one)}
    keys = ("column", "low", "high", "marked_by", "tested")
    return {name for key in keys if (name := getattr(shown, key, ""))}


@pytest.mark.parametrize("name", list(TABLES))
def test_what_is_shown_and_printed_are_columns_of_the_table(name):
    table = TABLES[name]
    every = [*table.always, *(column.name for column in table.sometimes)]
    assert len(every) == len(set(every))
    if table.shaped is None:
        assert {c for shown in table.for_people() for c in columns_of(shown)} <= set(every)
    if table.printed is not None:
        titles = {s.title for s in table.for_people() if not isinstance(s, Each)}
        assert {*table.printed.rows, *table.printed.values, *table.printed.shared} <= titles
        assert set(table.printed.where) <= set(every)
    assert all(column.meaning for column in (*table.columns, *table.more, *table.sometimes))


def test_columns_are_shown_by_their_formats_unless_a_table_says_otherwise():
    formats = ("text", "count", "number", "p", "flag")
    table = Table("made", "", tuple(Field(f"a_{f}", "", f) for f in formats))
    assert table.for_people() == (
        Text("a text", "a_text"),
        Number("a count", "a_count", 0),
        Number("a number", "a_number"),
        PValue("a p", "a_p"),
        Text("a flag", "a_flag"),
    )
    shown = (Interval("x", "x", "low", "high"),)
    assert Table("made", "", (), shown=shown).for_people() == shown


def test_a_name_is_declared_once():
    with pytest.raises(UsageError, match="got 'bias', which"):
        declare(Table("bias", "", ()))


def test_every_record_is_known_with_the_command_that_writes_it():
    assert set(records()) == {
        "analysis.json", "claims.json", "comparison.json", "evaluation.json",
        "faithfulness.json", "usage_over_training.json",
    }  # fmt: skip
    assert records()["evaluation.json"].line.startswith("xattn evaluate")
    assert records()["evaluation.json"].option == ""
    assert set(tables_of_record("evaluation.json")) == {
        "performance", "confusion", "reliability", "trap",
    }  # fmt: skip
    assert TABLES["trap"].written_by.endswith("--trap all")
    assert TABLES["errors"].written_by == "xattn"
