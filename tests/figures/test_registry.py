import shutil
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from tests.figures.artists import drawn, overhang
from tests.figures.pdf import fonts_of
from tests.figures.populated import (
    complete_run,
    explained_run,
    populated_answers,
    populated_comparison,
    populated_course,
    populated_run,
)
from tests.figures.searched import write_search
from xattn.errors import RunError, UsageError
from xattn.figures import registry
from xattn.figures.folders import opened
from xattn.figures.registry import FIGURES, FORMATS, save_figures
from xattn.figures.style import page_mm, style
from xattn.figures.venues import VENUES
from xattn.runs import RunFolder

NAMES = sorted(FIGURES)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return complete_run(tmp_path_factory.mktemp("populated"))


@pytest.fixture(scope="module")
def comparison(tmp_path_factory):
    return populated_comparison(tmp_path_factory.mktemp("compared"))


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    return populated_course(tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def search(tmp_path_factory):
    return opened(write_search(tmp_path_factory.mktemp("searched") / "search"))


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    return populated_answers(tmp_path_factory.mktemp("answered"))


@pytest.fixture
def folder(run, comparison, course, search, answers):
    """Return a function that gives what a figure is drawn from: a folder, or nothing."""
    kinds = {type(f): (f,) for f in (run, comparison, course, search, answers)}
    return lambda name: kinds.get(FIGURES[name].of, ())


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    return explained_run(tmp_path_factory.mktemp("bare"), n=6)


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_is_drawn_and_fits_a_page(folder, name):
    with style():
        fig = FIGURES[name].draw(*folder(name))
    assert isinstance(fig, Figure)
    width, height = fig.get_size_inches() * 25.4
    assert width <= page_mm() + 1e-6
    assert height < 240


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_has_a_caption_of_one_sentence(name):
    caption = FIGURES[name].meaning
    assert caption.endswith(".")
    assert ". " not in caption


def test_the_panels_of_critical_differences_carry_letters_and_leave_room_for_the_ranks(comparison):
    fig = drawn(FIGURES["critical-difference"].draw, comparison)
    titles = [ax.get_title(loc="left") for ax in fig.axes]
    assert len(titles) > 1
    assert [title[:3] for title in titles] == [f"{c}  " for c in "abcdefgh"[: len(titles)]]
    for ax in fig.axes:
        ranks = max(t.get_window_extent().y1 for t in ax.get_xticklabels())
        assert ax._left_title.get_window_extent().y0 >= ranks


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_figure_has_the_same_bytes_twice_its_fonts_inside_and_its_words_searchable(
    folder, name, tmp_path
):
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        save_figures(*folder(name), only=name, formats=FORMATS, out=out)
    for format in FORMATS:
        assert (first / f"{name}.{format}").read_bytes() == (
            second / f"{name}.{format}"
        ).read_bytes(), format
    assert_embeds_every_font_as_truetype((first / f"{name}.pdf").read_bytes())
    text = (first / f"{name}.svg").read_text()
    assert "<text" in text
    assert "<dc:date>" not in text
    assert_is_for_print(first / f"{name}.png")


def assert_embeds_every_font_as_truetype(content):
    fonts = fonts_of(content)
    assert fonts
    for font in fonts:
        assert font.kind == "TrueType"
        assert font.glyphs > 0  # the file inside is a font that can be read
        assert "DejaVu" in font.name
    assert b"CreationDate" not in content


def assert_is_for_print(path):
    with Image.open(path) as image:
        assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert image.width <= page_mm() / 25.4 * 300 + 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "populate",
    [
        lambda root: complete_run(root, n=8),
        populated_comparison,
        populated_course,
        lambda root: opened(write_search(root / "search")),
        populated_answers,
    ],
)
def test_all_figures_of_a_folder_go_into_it_by_default(tmp_path, populate):
    folder = populate(tmp_path)
    paths = save_figures(str(folder.path))
    names = [name for name, card in FIGURES.items() if card.of is type(folder)]
    assert {p.relative_to(folder.path).as_posix() for p in paths} == {
        f"figures/{name}.png" for name in names
    }


def test_a_figure_of_another_kind_of_folder_says_so(run, comparison, tmp_path):
    with pytest.raises(RunError, match="drawn from a ComparisonFolder, not a RunFolder"):
        save_figures(run, only="critical-difference", out=tmp_path)
    with pytest.raises(RunError, match="drawn from a RunFolder, not a ComparisonFolder"):
        save_figures(comparison, only="bias", out=tmp_path)


def test_figures_without_their_tables_are_passed_over(bare, tmp_path):
    names = [p.stem for p in save_figures(bare, out=tmp_path)]
    assert set(names) >= {"attribution-grid", "agreement-maps", "attribution-models"}
    assert not [name for name in names if FIGURES[name].tables]


def test_a_figure_asked_for_by_name_says_what_it_lacks(bare, tmp_path):
    with pytest.raises(RunError, match=r"alignment\.csv is not there; write it with `xattn"):
        save_figures(bare, only="alignment", out=tmp_path)


OF_RUNS = sorted(name for name, card in FIGURES.items() if card.of is RunFolder and card.tables)


@pytest.mark.parametrize("name", OF_RUNS)
def test_a_figure_asked_for_is_drawn_of_the_runs_that_have_its_data_and_the_others_are_told(
    name, run, bare, tmp_path
):
    told = []
    other = opened(shutil.copytree(bare.path, tmp_path / "other"))
    written = save_figures([run, other], only=name, out=tmp_path / "out", on_note=told.append)
    assert [path.stem for path in written] == [name]
    (line,) = told
    assert line.startswith(f"Cannot draw {name} of {other.path}: ")


def test_a_table_without_rows_is_as_good_as_none(tmp_path, monkeypatch):
    run = populated_run(tmp_path, n=8)
    run.write_table("bias", run.table("bias")[:0])
    card = FIGURES["bias"]
    assert card.why_not(run) == "bias.csv has no rows"
    monkeypatch.setattr(registry, "FIGURES", {card.name: card})
    assert save_figures(run, out=tmp_path / "out") == []


def test_a_figure_of_no_run_is_drawn_by_name_only_and_where_it_is_told(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (path,) = save_figures(only="block-ga")
    assert path == Path("figures/block-ga.png")
    card = FIGURES["block-ga"]
    monkeypatch.setattr(registry, "FIGURES", {card.name: card})
    assert save_figures(run, out=tmp_path / "out") == []


def test_a_figure_of_a_run_needs_one(tmp_path):
    with pytest.raises(UsageError, match="got none"):
        save_figures([], only="bias", out=tmp_path)


@pytest.mark.parametrize("venue", VENUES)
def test_a_venue_sets_widths_and_text_sizes(run, venue):
    room = VENUES[venue]
    fig = drawn(FIGURES["interventions"].draw, run, venue=venue)
    sizes = [t.get_fontsize() for t in fig.findobj(Text) if t.get_text()]
    assert fig.get_figwidth() * 25.4 == pytest.approx(room.page)
    assert room.smallest <= min(sizes)
    assert max(sizes) <= room.largest
    assert overhang(fig) < 0.2
    assert page_mm() == VENUES["default"].page  # as before


def test_an_unknown_venue_is_answered_with_known_ones(run, tmp_path):
    with pytest.raises(UsageError, match="did you mean 'nature'"):
        save_figures(run, only="bias", out=tmp_path, venue="natur")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": "alignmnt"}, "did you mean 'alignment'"),
        ({"only": ["bias", "nothing like it"]}, "Unknown figure 'nothing like it'"),
        ({"formats": ["png", "pgn"]}, "did you mean 'png'"),
    ],
)
def test_unknown_names_are_answered_with_known_ones(run, arguments, message, tmp_path):
    with pytest.raises(UsageError, match=message):
        save_figures(run, out=tmp_path, **arguments)


def test_several_runs_get_a_folder_each(run, tmp_path):
    (tmp_path / "other").mkdir()
    other = explained_run(tmp_path / "other", n=4)
    other = type(other).open(other.path.rename(tmp_path / "other" / "second"))
    paths = save_figures([run, other], "attribution-grid", out=tmp_path / "out")
    assert [p.parent.name for p in paths] == ["run", "second"]
    with pytest.raises(UsageError, match="two share one"):
        save_figures([run, run], "attribution-grid", out=tmp_path / "out")


def test_drawing_leaves_the_callers_settings_alone(run, tmp_path):
    mpl.rcParams["font.size"] = 31
    try:
        before = dict(mpl.rcParams)
        first = save_figures(run, "alignment", "svg", tmp_path / "a")[0].read_bytes()
        assert dict(mpl.rcParams) == before
    finally:
        mpl.rcdefaults()
    assert save_figures(run, "alignment", "svg", tmp_path / "b")[0].read_bytes() == first
