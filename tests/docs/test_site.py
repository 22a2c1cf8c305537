"""The built site is read from disk, by anyone, on a screen of any width, with its search."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.figures.browser import browser, serious_problems
from xattn.runs.locks import held

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = ["index", "five-minutes", "reading", "glossary", "explain", "commands", "python-functions",
         "python-classes", "architecture"]  # fmt: skip
DESKTOP, PHONE = 1280, 390


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built once for all processes that test at the same time."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / "site"
    with held(shared / "site.lock"):
        if not folder.exists():
            build(shared / "site.new")
            (shared / "site.new").rename(folder)
    return folder


def build(folder):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", folder]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize(
    ("width", "dark"), [(DESKTOP, False), (PHONE, True)], ids=["desktop", "phone in the dark"]
)
def test_a_page_fits_asks_for_nothing_from_elsewhere_and_can_be_reached(
    site, chromium, page, width, dark
):
    with chromium.tab(width, dark=dark) as tab:
        tab.open(site / f"{page}.html")
        assert wait(tab, "document.querySelector('.md-search').ariaLabel === 'Search'")
        assert serious_problems(tab) == []
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert [url for url in tab.requests if not url.startswith("file:")] == []
        assert tab.complaints == []


def test_the_search_finds_a_word_without_a_server(site, chromium):
    with chromium.tab(DESKTOP) as tab:
        tab.open(site / "index.html")
        assert wait(tab, "document.querySelector('.md-search').ariaLabel === 'Search'")
        tab.evaluate("""document.querySelector('[data-md-toggle=search]').click();
            document.querySelector('.md-search__input').focus()""")
        tab.type("pointing game")
        found = "[...document.querySelectorAll('.md-search-result__link')].map((a) => a.href)"
        assert wait(tab, f"{found}.some((link) => link.endsWith('#pointing-game'))")
        assert tab.complaints == []


def test_no_page_loads_a_font_script_or_image_from_elsewhere(site):
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text, page.name
        assert "fonts.g" not in text, page.name


def wait(tab, condition):
    """Say whether a condition comes to hold within twenty seconds."""
    end = time.monotonic() + 20
    while not (held := tab.evaluate(condition)) and time.monotonic() < end:
        time.sleep(0.05)
    return held
