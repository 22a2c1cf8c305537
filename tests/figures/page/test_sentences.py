import pytest

from xattn.figures.page.sentences import Finding, Item

NUMBERED = (Item("ruler", "0.08 bits"), Item("ink", "0.02 bits"))


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding("Nothing was found."), "Nothing was found."),
        (Finding("Used:", NUMBERED), "Used: ruler (0.08 bits) and ink (0.02 bits)."),
        (Finding("Used:", NUMBERED, 5), "Used: ruler (0.08 bits), ink (0.02 bits) and 3 more."),
        (Finding("Unused:", (Item("hair"), Item("age"))), "Unused: hair and age."),
    ],
)
def test_a_finding_reads_as_one_sentence(finding, text):
    assert str(finding) == text


@pytest.mark.parametrize(
    ("items", "listed"),
    [((), False), (NUMBERED[:1], False), (NUMBERED, True), ((Item("hair"), Item("age")), False)],
    ids=["none", "one", "two with numbers", "two names"],
)
def test_only_several_items_with_numbers_are_too_much_for_a_sentence(items, listed):
    assert Finding("Used:", items).reads_as_list is listed
    assert Finding("Used:", items, 10).more == 10 - len(items)
