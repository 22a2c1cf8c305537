import json
import time

import numpy as np
import pytest

from tests.figures.browser import browser, serious_problems
from tests.figures.populated import block_masks, complete_run, explained_run, scores, write_masks
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.numbers import with_interval
from xattn.figures.page.listing import positive_of, said_of
from xattn.figures.page.report import FIRST_TILES, report
from xattn.runs import RunFolder

pytestmark = pytest.mark.slow

N = 40
DESKTOP, PHONE = 1280, 390

HELP = """
const visible = (query) => [...document.querySelectorAll(query)].filter((e) => e.checkVisibility());
const set = (name, value) => {
  const field = tools.elements[name];
  field.value = value;
  field.dispatchEvent(new Event("input", { bubbles: true }));
};
const pick = (name, value) => tools.querySelector(`[name=${name}][value="${value}"]`).click();
"""


@pytest.fixture(scope="module")
def aligned(tmp_path_factory):
    """Two models of the same images: one with every table, one with maps and masks alone."""
    root = tmp_path_factory.mktemp("browser")
    first = complete_run(root / "a", n=N)
    table = first.predictions.assign(split=np.resize(["train", "val", "test", "test", "ood"], N))
    table.to_parquet(first.path / "predictions.parquet", index=False)
    second = explained_run(root / "b", n=N, seed=5)
    masks = {name: block_masks(np.random.default_rng(1), N) for name in ("ruler", "lesion")}
    write_masks(second, masks, {"ruler": "artifact", "lesion": "structure"})
    scores(second).to_parquet(second.path / "mask_scores.parquet", index=False)
    return AlignedRuns.of([RunFolder.open(first.path), second])


@pytest.fixture(scope="module")
def page(aligned, tmp_path_factory):
    return report(aligned.runs, out=tmp_path_factory.mktemp("page") / "report.html")


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    with browser(tmp_path_factory.mktemp("profile")) as running:
        yield running


@pytest.fixture(params=[DESKTOP, PHONE], ids=["desktop", "phone"])
def tab(request, chromium, page):
    """The page, open; afterwards no error may have come up and nothing have been fetched."""
    with chromium.tab(request.param) as opened:
        opened.open(page)
        opened.evaluate(HELP)
        yield opened
        assert opened.complaints == []
        assert opened.requests == []


def outcomes(aligned):
    """Outcome of each image by the first model."""
    positive = positive_of(aligned)
    return [said_of(aligned, image, positive)[0].outcome for image in range(N)]


def test_the_page_fits_its_width_and_shows_the_first_images(tab):
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert tab.evaluate('visible(".tile").length') == FIRST_TILES
    tab.evaluate('byId("more").click()')
    assert tab.evaluate('visible(".tile").length') == N
    assert tab.evaluate('visible("#more").length') == 0


@pytest.mark.parametrize("wanted", ["wrong", "correct", "false positive", "false negative"])
def test_filters_keep_the_images_asked_for_and_say_how_many(tab, aligned, wanted):
    tab.evaluate(f"set('outcome', {json.dumps(wanted)})")
    said = outcomes(aligned)
    count = sum(o == wanted or (wanted == "wrong" and o.startswith("false")) for o in said)
    assert 0 < count < FIRST_TILES
    assert tab.evaluate('visible(".tile").length') == count
    assert tab.evaluate('byId("shown").textContent') == f"{count} of {count} images shown"
    assert tab.evaluate('byId("shown").getAttribute("aria-live")') == "polite"


def test_label_prediction_feature_and_lift_filter_together(tab, aligned):
    ruler = aligned.features.index("ruler")
    classes = aligned.runs[0].classes
    tab.evaluate(f"set('label', 0); set('predicted', 1); set('has', {ruler}); set('lift', 2)")
    predicted = aligned.column("predicted")
    count = sum(
        aligned.labels[i] == classes[0]
        and predicted[i] == classes[1]
        and bool(aligned.lifts[0, i, 0, ruler] >= 2)
        for i in range(N)
    )
    assert tab.evaluate('visible(".tile").length') == count
    tab.evaluate('tools.querySelector("[type=reset]").click()')
    assert tab.evaluate('visible(".tile").length') == FIRST_TILES


def test_images_of_the_training_are_named_and_can_be_left_out(tab, aligned):
    taught = aligned.in_training
    assert taught.sum(axis=1).tolist() == [2 * N // 5, 0]  # of the second model nothing is known
    for part, which in (("0", ~taught), ("1", taught)):
        tab.evaluate(f"pick('model', 0); set('taught', '{part}'); byId('more').click()")
        assert tab.evaluate('visible(".tile").length') == which[0].sum()
        assert tab.evaluate('visible(".tile .taught").length') == (part == "1") * which[0].sum()
        tab.evaluate("pick('model', 1)")
        assert tab.evaluate('byId("shown").textContent').endswith(f" {which[1].sum()} images shown")


def test_models_that_disagree_can_be_found(tab, aligned):
    first, second = (aligned.column("predicted", run) for run in (0, 1))
    tab.evaluate("set('outcome', 'disagree'); byId('more').click()")
    assert tab.evaluate('visible(".tile").length') == int((first != second).sum())


@pytest.mark.parametrize("model", [0, 1])
def test_images_sort_by_the_lift_of_the_model_shown_on_an_artifact(tab, aligned, model):
    ruler = aligned.features.index("ruler")
    tab.evaluate(f"pick('model', {model}); set('order', 'lift {ruler}')")
    shown = tab.evaluate('visible(".tile").map((t) => Number(t.dataset.place))')
    listed = tab.evaluate("facts.images.map((image) => image[0])")
    lifts = aligned.lifts[model, :, 0, ruler]
    best = [lifts[aligned.ids.index(listed[place])] for place in shown]
    known = [v for v in best if np.isfinite(v)]
    assert known == sorted(known, reverse=True)
    assert best[: len(known)] == known  # those without one come last
    assert tab.evaluate('visible(".lift")[0].textContent') == f"lift on ruler {known[0]:.2f}"


def test_sliders_set_opacity_and_wipe_of_every_map(tab):
    tab.evaluate("set('opacity', 80); set('wipe', 25)")
    style = "getComputedStyle(visible('.map')[0])"
    assert tab.evaluate(f"{style}.opacity") == "0.8"
    assert "75%" in tab.evaluate(f"{style}.clipPath")


def test_outlines_go_on_and_off_together_and_one_by_one(tab, aligned):
    paths = """[...document.querySelectorAll(".outlines path")]
        .filter((path) => !path.style.display).length"""
    every = tab.evaluate(paths)
    ruler = aligned.features.index("ruler")
    of_rulers = tab.evaluate(f'document.querySelectorAll(".outlines .f{ruler}").length')
    pick = f"tools.querySelector(\"[name=feature][value='{ruler}']\").click()"
    tab.evaluate(pick)
    assert tab.evaluate(paths) == every - of_rulers
    assert not tab.evaluate("tools.elements.outlines.checked")
    tab.evaluate(f"{pick}; tools.elements.outlines.click()")
    assert tab.evaluate(paths) == 0


def test_models_and_methods_stand_alone_or_side_by_side(tab):
    maps = """visible(".tile")[0].querySelectorAll(".map").values()
        .filter((m) => m.checkVisibility()).map((m) => m.dataset.name).toArray()"""
    first, second = (f"{m}, gradcam" for m in ("none (a/run)", "none (b/run)"))
    assert tab.evaluate(maps) == [first, second]
    tab.evaluate("pick('model', 1)")
    assert tab.evaluate(maps) == [second]
    tab.evaluate("pick('method', 1)")
    assert tab.evaluate(maps) == ["none (b/run), attention"]
    tab.evaluate("pick('method', 'all')")
    assert tab.evaluate(maps) == [second, "none (b/run), attention"]
    tab.evaluate("pick('model', 'all')")
    assert len(tab.evaluate(maps)) == 4


def test_tables_sort_and_search(tab):
    column = """[...document.querySelectorAll("#table-feature_usage th")]
        .find((th) => th.textContent.startsWith("adjusted p"))"""
    tab.evaluate(f"{column}.firstElementChild.click()")
    values = tab.evaluate(f"""(() => {{ const at = {column}.cellIndex;
        return [...document.querySelectorAll("#table-feature_usage tbody tr")]
            .map((row) => Number(row.cells[at].dataset.v)); }})()""")
    assert values == sorted(values)
    assert tab.evaluate(f"{column}.ariaSort") == "ascending"
    tab.evaluate("""(() => { const field = document.querySelector("[data-filters=table-alignment]");
        field.value = "ruler attention"; field.dispatchEvent(new Event("input")); })()""")
    assert tab.evaluate('visible("#table-alignment tbody tr").length') == 3  # labels and all


def test_search_fields_show_their_whole_hint_and_tables_say_where_they_go_on(tab):
    hints = tab.evaluate("""[...document.querySelectorAll(".find input")].map((field) => {
      const pen = document.createElement("canvas").getContext("2d");
      const looks = getComputedStyle(field);
      pen.font = looks.font;
      const room = field.clientWidth - parseFloat(looks.paddingLeft) * 2;
      return [pen.measureText(field.placeholder).width, room];
    })""")
    assert hints
    assert all(needed < room for needed, room in hints)
    said = tab.evaluate("""[...document.querySelectorAll(".sheet[open] .scroll")].map((box) => [
      box.scrollWidth - box.clientWidth > 2, box.scrollHeight - box.clientHeight > 2,
      box.nextElementSibling.textContent])""")
    assert said
    for right, below, words in said:
        assert ("columns to the right" in words) == right
        assert ("rows below" in words) == below
    assert any(right for right, _, _ in said)


def test_the_keyboard_reaches_everything(tab):
    tab.press("Tab", 9)
    assert tab.evaluate("document.activeElement.className") == "skip"
    tab.evaluate("tools.elements.opacity.focus()")
    tab.press("ArrowRight", 39)
    assert tab.evaluate("getComputedStyle(visible('.map')[0]).opacity") == "0.51"
    tab.evaluate("tools.querySelector('[name=method]').focus()")
    tab.press("ArrowRight", 39)
    assert tab.evaluate("tools.elements.method.value") == "1"


def test_an_image_opens_large_and_arrow_keys_go_on(tab):
    tab.evaluate('visible(".enlarge")[0].focus()')
    tab.press("Enter", 13, text="\r")
    first = tab.evaluate('byId("large-title").textContent')
    assert tab.evaluate("byId('large').open")
    assert first == tab.evaluate('visible(".tile")[0].ariaLabel')
    tab.press("ArrowRight", 39)
    assert tab.evaluate('byId("large-title").textContent') != first
    tab.press("ArrowLeft", 37)
    assert tab.evaluate('byId("large-title").textContent') == first
    assert not tab.evaluate("byId('large').scrollWidth > innerWidth")
    tab.press("Escape", 27)
    assert wait(tab, "!byId('large').open")
    assert tab.evaluate("document.activeElement.className") == "enlarge"


PLOT = """
const plot = document.querySelector("[data-plot-of=table-alignment]");
const marks = [...plot.querySelectorAll("[role=option]")];
const rowOf = (mark) => document.querySelector(`#table-alignment [data-row="${mark.dataset.row}"]`);
const middle = (e) => {
    e.scrollIntoView({ block: "center", inline: "center", behavior: "instant" });
    const at = e.getBoundingClientRect(); return [at.x + at.width / 2, at.y + at.height / 2]; };
const find = (words) => { const field = document.querySelector("[data-filters=table-alignment]");
    field.value = words; field.dispatchEvent(new Event("input")); };
"""
LIT = """[...document.querySelectorAll("tr.lit")].map((row) => row.dataset.row)"""


def test_a_mark_shows_the_numbers_of_its_row_and_leads_to_it(tab, aligned):
    tab.evaluate(PLOT)
    table = aligned.runs[0].table("alignment")
    number = int(table.index[(table["feature"] == "ruler") & (table["label"] == "all")][0])
    tab.evaluate(f"const mark = marks.find((m) => m.dataset.row === '{number}')")
    tab.move(*tab.evaluate("middle(mark)"))
    shown = tab.evaluate("visible('#tip')[0].innerText")
    assert shown.startswith("ruler\n")
    assert f"{table['method'][number]}\n" in shown
    lift = with_interval(*table.loc[number, ["lift", "lift_low", "lift_high"]])
    assert f"\n{lift} " in shown
    assert tab.evaluate(LIT) == [str(number)]
    assert tab.evaluate("plot.querySelectorAll('.ring').length") == 1
    assert not tab.evaluate("document.documentElement.scrollWidth > innerWidth")
    assert tab.evaluate("find('no such word'); rowOf(mark).hidden")
    tab.evaluate("mark.dispatchEvent(new MouseEvent('click', { bubbles: true, "
                 "clientX: middle(mark)[0], clientY: middle(mark)[1] }))")  # fmt: skip
    assert tab.evaluate("rowOf(mark).classList.contains('picked') && !rowOf(mark).hidden")
    assert tab.evaluate("document.activeElement === rowOf(mark)")


def test_a_tap_shows_a_mark_another_leads_to_its_row_and_one_on_a_image_enlarges_it(chromium, page):
    with chromium.tab(PHONE) as tab:
        tab.open(page)
        tab.evaluate(HELP + PLOT + "const mark = marks[3]")
        place = tab.evaluate("middle(mark)")
        assert tab.evaluate("tip.hidden")
        tab.tap(*place)
        assert wait(tab, "!tip.hidden")
        assert tab.evaluate(LIT) == [tab.evaluate("mark.dataset.row")]
        assert not tab.evaluate("rowOf(mark).classList.contains('picked')")
        tab.tap(*place)
        assert wait(tab, "rowOf(mark).classList.contains('picked')")
        assert tab.evaluate("document.activeElement === rowOf(mark)")
        tab.tap(*tab.evaluate("middle(visible('.stages')[1])"))
        assert wait(tab, "byId('large').open")
        assert tab.evaluate('byId("large-title").textContent === visible(".tile")[1].ariaLabel')
        assert tab.complaints == []


def test_marks_are_one_tab_stop_and_arrow_keys_go_through_them(tab):
    tab.evaluate(PLOT)
    stops = "[...plot.querySelectorAll('[tabindex=\"0\"]')]"
    assert tab.evaluate(f"{stops}.length") == 1
    tab.evaluate(f"{stops}[0].focus()")
    seen = [tab.evaluate("document.activeElement.dataset.row")]
    for _ in range(2):
        tab.press("ArrowDown", 40)
        seen.append(tab.evaluate("document.activeElement.dataset.row"))
        assert tab.evaluate(LIT) == seen[-1:]
        assert tab.evaluate("tip.firstChild.textContent") == tab.evaluate(
            "rowOf(document.activeElement).cells[0].textContent"
        )
    assert len(set(seen)) == 3
    assert tab.evaluate("document.activeElement.getAttribute('aria-describedby')") == "tip"
    assert tab.evaluate("document.activeElement.ariaLabel").endswith(", all, fine enough")
    assert tab.evaluate(f"{stops}.length") == 1
    tab.press("Escape", 27)
    assert tab.evaluate("tip.hidden")
    tab.press("End", 35)
    assert tab.evaluate("plot.querySelectorAll('.ring').length") == 1
    tab.press("Enter", 13, text="\r")
    row = tab.evaluate("document.activeElement.tagName + document.activeElement.dataset.row")
    tab.press("Escape", 27)
    assert row == "TR" + tab.evaluate("document.activeElement.dataset.row")
    assert tab.evaluate("document.activeElement.ariaSelected") == "true"


def test_numbers_that_escape_has_hidden_stay_so_until_their_mark_is_meant_again(tab):
    tab.evaluate(PLOT + "const mark = marks[2], box = plot.closest('[data-plot-of]')")
    tab.evaluate("middle(mark); mark.focus()")
    click = ("mark.dispatchEvent(new MouseEvent('click', { bubbles: true, "
             "clientX: middle(mark)[0], clientY: middle(mark)[1] }))")  # fmt: skip
    for again in ("", click):
        tab.evaluate(again)
        assert not tab.evaluate("tip.hidden")
        tab.press("Escape", 27)
        tab.evaluate("box.dispatchEvent(new Event('scroll'))")  # as a figure still on its way sends
        assert tab.evaluate("tip.hidden")


def test_rows_of_the_table_ring_their_marks_and_a_search_fades_the_others(tab, aligned):
    tab.evaluate(PLOT)
    tab.move(*tab.evaluate("middle(rowOf(marks[0]).cells[0])"))
    assert tab.evaluate("plot.querySelectorAll('.ring').length") == 1
    assert tab.evaluate("plot.querySelector('.ring').getAttribute('cx') === "
                        "marks[0].getAttribute('x')")  # fmt: skip
    assert tab.evaluate("tip.hidden")
    method = aligned.runs[0].methods[1]
    tab.evaluate(f"find({json.dumps(method)})")
    for bright, has in (("", "true"), (".dim", "false")):
        some = f"marks.filter((m) => m.matches('{bright or ':not(.dim)'}'))"
        assert tab.evaluate(f"{some}.length") > 0
        assert tab.evaluate(f"{some}.every((m) => {has} === "
                            f"rowOf(m).textContent.includes({json.dumps(method)}))")  # fmt: skip
    tab.evaluate("find('')")
    assert tab.evaluate("plot.querySelectorAll('.dim').length") == 0


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_an_accessibility_checker_finds_nothing_serious(chromium, page, width, dark):
    with chromium.tab(width, dark=dark) as tab:
        tab.open(page)
        tab.evaluate("most = 4; showTiles()")  # one tile is like another
        tab.evaluate("document.querySelector('[role=option]').focus()")
        assert serious_problems(tab) == []
        tab.evaluate('document.querySelector(".enlarge").click()')
        assert serious_problems(tab) == []


def test_the_browser_hears_requests_and_errors_and_the_checker_finds_problems(chromium, tmp_path):
    bad = tmp_path / "bad.html"
    bad.write_text("<img src='http://127.0.0.1:9/x.png'><script>nothing.here</script>")
    with chromium.tab(DESKTOP) as tab:
        tab.open(bad)
        assert tab.requests == ["http://127.0.0.1:9/x.png"]
        assert any("ReferenceError" in said for said in tab.complaints)
        assert "image-alt" in serious_problems(tab)


def wait(tab, condition):
    """Say whether a condition comes to hold within ten seconds; a tap is handled a little later."""
    end = time.monotonic() + 10
    while not (held := tab.evaluate(condition)) and time.monotonic() < end:
        time.sleep(0.02)
    return held
