import json
import re
import shutil
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
import zarr

from tests.figures.made_tables import (
    agreement_table,
    fairness_table,
    interventions_table,
    usage_table,
)
from tests.figures.populated import block_masks, complete_run, explained_run, write_masks
from xattn.analysis.verdicts.table import verdict_table
from xattn.errors import RunError
from xattn.figures.page.model_card import model_card
from xattn.figures.page.report import count_defects, report
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record

REFERENCES = ("src", "srcset", "href", "action", "data", "poster", "background", "cite")
TABLES = (
    "verdicts", "alignment", "feature_usage", "interventions", "doses", "agreement", "bias",
    "fairness", "trap",
)  # fmt: skip
ALONE = {"meta", "img", "input", "source", "link", "br", "hr"}


class Page(HTMLParser):
    """What a browser would find in a report."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
        self.tags: list[str] = []
        self.attributes: list[dict[str, str]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = {k: v or "" for k, v in attrs}
        self.tags.append(tag)
        self.attributes.append({"tag": tag, **values})
        self.ids += [values["id"]] if "id" in values else []
        if tag not in ALONE:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in ALONE:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] not in (["script"], ["style"]):
            self.words.append(data)

    def of(self, tag: str) -> list[dict[str, str]]:
        return [a for a in self.attributes if a["tag"] == tag]


def page_of(run: RunFolder, **options: int) -> Page:
    return Page(report(run, **options).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(run):
    return page_of(run)


def test_the_page_needs_nothing_from_outside(page):
    for attributes in page.attributes:
        for key in REFERENCES:
            value = attributes.get(key, "data:")
            assert value.startswith(("data:", "#")), (attributes["tag"], key, value[:60])
    assert not page.of("link")
    assert set(re.findall(r"url\(.", page.text)) <= {"url(#"}  # clips of figures in the page
    assert "@import" not in page.text
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|import)\s*\(", page.text)
    policy = next(a["content"] for a in page.of("meta") if "http-equiv" in a)
    assert policy.startswith("default-src 'none'")


def test_every_tag_is_closed_and_every_id_is_used_once(page):
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))


def test_links_lead_to_sections_that_are_there(page):
    targets = [a["href"].removeprefix("#") for a in page.of("a")]
    assert set(targets) <= set(page.ids)
    tables = {"verdicts", "alignment", "feature_usage", "interventions", "agreement", "bias"}
    assert {"summary", "images", *tables, "fairness", "model", "reproduce"} <= set(targets)


def test_every_image_has_words_and_every_control_a_name(page):
    assert all(a.get("alt") for a in page.of("img"))
    assert page.of("html")[0]["lang"] == "en"
    labelled = [a for a in page.of("input") if a.get("type") in ("range", "search", "radio")]
    assert labelled
    assert "viewport" in [a.get("name") for a in page.of("meta")]


def test_the_same_run_gives_the_same_bytes(run, page, tmp_path):
    assert (run.path / "report.html").read_text(encoding="utf-8") == page.text
    again = report(run.path, out=tmp_path / "deep" / "b.html")
    assert again.read_text(encoding="utf-8") == page.text


def test_tables_and_figures_of_the_analysis_are_shown(run, page):
    for name in TABLES:
        assert f"table-{name}" in page.ids
    names = {t.removeprefix("table-") for a in page.of("div") if (t := a.get("data-plot-of"))}
    assert names == {*TABLES} - {"verdicts"}
    assert len(page.of("article")) == 24
    assert "999 permutations" in " ".join(page.words)
    assert run.settings["checkpoint_sha256"] in " ".join(page.words)


def test_findings_on_several_features_stand_below_each_other_with_their_numbers(page):
    items = re.findall(r"<li><strong>([^<]+)</strong>: <span>([^<]+)</span></li>", page.text)
    assert {"patches", "ruler"} <= {name for name, _ in items}
    assert all(re.search(r"adjusted p.[=<\u2264].0\.\d", numbers) for _, numbers in items)


def test_marks_of_figures_are_of_rows_that_the_table_shows_and_refer_to_what_is_there(run, page):
    rows = {a["data-row"] for a in page.of("tr") if "data-row" in a}
    marks = [a for a in page.attributes if a.get("class") in ("point", "span", "beside")]
    assert {a["data-row"] for a in marks} <= rows
    assert {"point", "span", "beside"} == {a["class"] for a in marks}
    used = [a["href"] for a in page.of("use")] + re.findall(r"url\((#[^)]+)\)", page.text)
    assert {name.removeprefix("#") for name in used} <= set(page.ids)
    assert not page.of("metadata")
    assert len(page.of("style")) == 1  # that of matplotlib would hold for the whole page


def test_before_the_analysis_the_page_says_what_to_run(tmp_path):
    page = page_of(explained_run(tmp_path))
    words = " ".join(page.words)
    assert words.count("xattn feature-usage --annotations isic_attributes.json --run run") == 3
    assert not page.of("table") or "table-alignment" not in page.ids
    assert not page.of("source")
    assert len(page.of("article")) == 24


def test_only_errors_that_happened_have_a_section(tmp_path):
    run = explained_run(tmp_path)
    assert "errors" not in page_of(run).ids
    rows = [{"file": f"{i}.jpg", "stage": "decode", "error": "bad"} for i in range(250)]
    run.write_table("errors", pd.DataFrame(rows))
    page = page_of(run)
    assert "errors" in page.ids
    assert "The first 200 of 250" in " ".join(page.words)


HOSTILE = "<script>alert('x')</script>&\"'<img src=//evil.example>"


def test_hostile_names_stay_text(tmp_path):
    run = explained_run(tmp_path, n=4, classes=("a<b>", HOSTILE))
    table = run.predictions.assign(image_id=HOSTILE, file=HOSTILE + ".jpg")
    table.to_parquet(run.path / "predictions.parquet", index=False)
    feature = HOSTILE.replace("/", "")
    write_masks(run, {feature: block_masks(np.random.default_rng(0), 4)}, {feature: "artifact"})
    usage = usage_table({HOSTILE: "computed"}, np.random.default_rng(0))
    run.write_table("feature_usage", usage)
    edits = interventions_table({HOSTILE: "artifact"})
    run.write_table("interventions", edits.assign(intervention=HOSTILE))
    verdicts = verdict_table(usage.assign(rank_effect_error=0.1), edits, pd.DataFrame())
    run.write_table("verdicts", verdicts.assign(test=HOSTILE))
    run.write_table("agreement", agreement_table([HOSTILE, HOSTILE]))
    run.write_table("fairness", fairness_table({HOSTILE: "artifact"}).assign(categories=HOSTILE))
    error = {"file": HOSTILE, "stage": "decode", "error": HOSTILE}
    run.write_table("errors", pd.DataFrame([error]))
    settings = read_record(run.path / "run.json")
    settings["architecture"] = settings["training"] = HOSTILE
    settings["training"] = {"splits": {HOSTILE: {"images": 3}}}
    (run.path / "run.json").write_text(json.dumps(settings))
    page = page_of(RunFolder.open(run.path))
    assert page.tags.count("script") == 2  # ours, and the facts of the images
    assert "evil.example" not in "".join(a.get("src", "") for a in page.attributes)
    assert page.open == []
    assert HOSTILE in "".join(page.words)
    assert [a["data-plot-of"] for a in page.of("div") if "data-plot-of" in a]
    for name in ("verdicts", "interventions", "agreement", "fairness"):
        assert f"table-{name}" in page.ids
    facts = re.search(r'id="facts">(.*?)</script>', page.text, re.DOTALL)
    assert json.loads(facts[1])["images"][0][0] == HOSTILE
    assert "<" not in facts[1]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_degenerate_maps_are_hatched_and_said(tmp_path, value):
    run = explained_run(tmp_path, n=6)
    stored = zarr.open_array(run.path / "maps.zarr" / "gradcam", mode="r+")
    stored[2:4] = value
    assert (count_defects(run, "gradcam"), count_defects(run, "attention")) == (2, 0)
    page = page_of(run)
    classes = [a.get("class", "") for a in page.attributes]
    assert classes.count("map defect") == 2
    assert classes.count("map") == 10
    assert "2 of 6 gradcam maps" in " ".join(page.words).replace("\xa0", " ")


def test_images_that_were_moved_are_said_to_be(tmp_path):
    run = explained_run(tmp_path, n=3)
    shutil.rmtree(tmp_path / "images")
    assert " ".join(page_of(run).words).count("image file not found") == 3


def test_a_run_without_labels_has_no_outcomes_to_filter_by(tmp_path):
    run = explained_run(tmp_path, labels=False)
    write_masks(run, {"ruler": block_masks(np.random.default_rng(0), 24)}, {"ruler": "artifact"})
    page = page_of(run)
    assert [a["name"] for a in page.of("select")] == ["predicted", "has", "order"]
    assert "confusion" not in page.text.split("</style>")[1]


def test_eight_classes_and_one_method_do(tmp_path):
    classes = ("AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC", "VASC")
    page = page_of(explained_run(tmp_path, n=40, methods=("gradcam",), classes=classes))
    assert [a["value"] for a in page.of("input") if a.get("name") == "method"] == ["0"]
    assert "where guessing gives 0.12" in " ".join(page.words).replace("\xa0", " ")


def test_the_model_card_leaves_out_what_is_not_recorded(tmp_path):
    run = explained_run(tmp_path, n=2)
    titles = [title for title, _ in model_card(run)]
    assert "Architecture" in titles
    assert "Training" not in titles
    assert "Seed" not in titles


def test_no_run_no_report(tmp_path):
    with pytest.raises(RunError, match=r"no run\.json"):
        report(tmp_path)
