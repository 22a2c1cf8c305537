"""Links between the pages lead somewhere, also for those who read them in the repository."""

from __future__ import annotations

import re

import pytest

from tests.docs.examples import PAGES, ROOT

LINK = re.compile(r"!?\[[^\]]*\]\((?!https?:|mailto:)([^)\s]+)\)")


def prose(path):
    """Return a page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```", "", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)


def anchors(path):
    """Return the anchors that headings get: lower case, blanks as hyphens, no other signs."""
    headings = re.findall(r"^#+ (.+?)\s*$", prose(path), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", one) for one in headings)
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in plain}


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "CHANGELOG.md"], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_a_relative_link_leads_to_a_file_and_a_heading_that_are_there(page):
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link
