"""The chains of docs/domains.md print what the page shows, in words of their own domain."""

from __future__ import annotations

import contextlib
import html
import importlib.util
import io
import re
from pathlib import Path

import pytest

import xattn.cli
from tests.docs.examples import ROOT, examples
from tests.examples import registries
from xattn.images.domains import DOMAINS

PAGE = ROOT / "docs" / "domains.md"
CHAINS = ["radiograph", "tissue", "fundus", "natural", "dermoscopy"]
SPOKEN = {
    "skin": r"skin|(the|an?|each|this|one|healthy) lesion|lesions|lesion (mask|is|has|that)"
    r"|dermoscop\w+|dermat\w+|melan\w+|nev(us|i)|pigment\w*",
    "tissue": r"tissue|slides?|stain\w*|patholog\w+|histolog\w+|biops\w+",
    "radiograph": r"films?|radiograph\w*|x-rays?|radiolog\w+|studies",
    "fundus": r"fundus|retinas?|retinal|eyes?|ophthalm\w+",
    "natural": r"objects?|photographs?|scenes?",
}
"""Words of the sentences of each domain that those of others do not have."""


@pytest.fixture(scope="module")
def generate():
    path = ROOT / "docs" / "generate" / "domains.py"
    spec = importlib.util.spec_from_file_location("domains_page", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tables_of_the_page_are_those_of_the_registries(generate):
    text = PAGE.read_text(encoding="utf-8")
    assert generate.renewed(text) == text, "run `python docs/generate/domains.py`"


def test_no_film_eye_or_photograph_is_turned_upside_down(generate):
    mirrored = dict(row.split(" | ")[0:4:3] for row in generate.augmentations().splitlines()[2:])
    assert mirrored["| `radiograph`"] == "no"
    assert mirrored["| `fundus`"] == mirrored["| `natural`"] == "left-right"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder with the images and the recipe of the page."""
    folder = tmp_path_factory.mktemp("domains")
    with contextlib.chdir(folder):
        for example in examples(PAGE):
            if example.kind == "python":
                exec(compile(example.body, example.place, "exec"), {})
            if example.kind == "toml":
                Path("small.toml").write_text(example.body)
    return folder


def chain(domain: str):
    return next(e for e in examples(PAGE) if e.kind == "console" and f" {domain}/model" in e.body)


@pytest.mark.slow
@pytest.mark.parametrize("domain", CHAINS)
def test_a_chain_prints_what_the_page_shows_in_words_of_its_domain(domain, drawn, monkeypatch):
    monkeypatch.chdir(drawn)
    monkeypatch.setenv("COLUMNS", "300")
    example = chain(domain)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        for call in example.calls:
            assert xattn.cli.main(call) == 0, (call, printed.getvalue())
        for call in _others(domain, example.calls[0]):
            assert xattn.cli.main(call) == 0, (call, printed.getvalue())
    happened = [_masked(line) for line in printed.getvalue().splitlines()]
    shown = example.body.replace("\\\n", " ").splitlines()
    for line in shown:
        begun = [said for said in happened if said.startswith(_masked(line))]
        assert line.startswith("$ ") or begun, line
    wrong = foreign(domain, printed.getvalue())
    for path in sorted(drawn.joinpath(domain).rglob("*")):
        if path.suffix in {".csv", ".json", ".html", ".md", ".tex", ".svg"}:
            wrong += [f"{path.name}: {text}" for text in foreign(domain, _read(path))]
    assert not wrong


def test_words_of_another_domain_are_found_and_stored_names_are_none():
    assert foreign("radiograph", "edits plain skin") == ["edits plain skin"]
    assert foreign("tissue", "where several show one lesion")
    assert foreign("fundus", "a slide")
    assert not foreign("dermoscopy", "editing a patch of plain skin; the lesion mask is empty")
    stored = "below chance on lesion (lift 0.3); not measured are skin_tone, skin-tone, lesion_cut"
    assert not foreign("natural", stored)


def _others(domain: str, first: list[str]) -> list[list[str]]:
    """Return calls of the commands that the page leaves out."""
    made = f"{domain}/isic_attributes.json" if "synthesize" in first else f"{domain}.json"
    model = f"{domain}/model/model.pt"
    evaluated = f"{domain}/evaluated"
    return [
        ["annotations", "check", made],
        ["annotations", "split", made, "--out", f"{domain}/splits.csv"],
        ["evaluate", "--ckpt", model, "--annotations", made, "--out", evaluated,
         "--bootstrap", "99"],
        ["figures", f"{domain}/run", "--out", f"{domain}/figures"],
        ["report", f"{domain}/run", evaluated, "--out", f"{domain}/both.html"],
        ["compare", f"a={domain}/model", f"b={evaluated}", "--out", f"{domain}/compared"],
        ["inspect", "--ckpt", model],
    ]  # fmt: skip


def foreign(domain: str, text: str) -> list[str]:
    """Return the words of other domains, each with what stands about it."""
    names = [*DOMAINS, *(name for registry in registries().values() for name in registry)]
    for name in sorted(names, key=len, reverse=True):
        if not name.isalpha():  # single words, as the augmentation dermoscopy, are taken below
            text = text.replace(name, "")
    own = "skin" if domain in ("dermoscopy", "clinical") else domain
    others = "|".join(words for of, words in SPOKEN.items() if of != own)
    found = re.finditer(rf".{{0,40}}(?<![\w'\"./-])({others})(?![\w'\"/=-]).{{0,40}}", text, re.I)
    return [match[0].strip() for match in found]


def _read(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix != ".html":
        return text
    text = re.sub(r"<(script|style)\b.*?</\1>", " ", text, flags=re.S)
    return html.unescape(re.sub(r"<[^>]*>", " ", text))


def _masked(line: str) -> str:
    """Return a line in which the training's numbers are alike, and blanks one.

    These are numbers with decimals, and fractions at their ends, which are printed without any.
    """
    line = re.sub(r"-?\d+\.\d+(e-?\d+)?", "#", line)
    return " ".join(re.sub(r"(?<!\S)[01](?!\S)", "#", line).split())
