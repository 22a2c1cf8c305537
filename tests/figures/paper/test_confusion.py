import pandas as pd
import pytest
from matplotlib.text import Text

from tests.figures.artists import drawn, overhang, words
from tests.figures.populated import explained_run
from xattn.analysis.evaluation.table import confusion_table
from xattn.figures.paper.confusion import MOST_CLASSES, draw_confusion
from xattn.figures.tables import make_sheet, save_tables

CLASSES = ("akiec", "bcc", "bkl", "df", "mel", "nv", "scc", "vasc")


def made(root, classes, splits=("test",), lacking=None):
    run = explained_run(root, n=4 * len(classes), classes=classes)
    parts = [run.predictions.assign(split=s, domain="", group=None) for s in splits]
    said = pd.concat(parts)
    said = said[said["label"] != lacking]
    run.write_table("confusion", confusion_table(said, classes, bootstrap=99))
    return run


@pytest.mark.parametrize("venue", ["default", "lncs"])
@pytest.mark.parametrize("splits", [("test",), ("test", "ood")])
@pytest.mark.parametrize("classes", [2, 3, 7, 8])
def test_every_cell_is_there_and_nothing_leaves_the_page(tmp_path, classes, splits, venue):
    run = made(tmp_path, CLASSES[:classes], splits)
    fig = drawn(draw_confusion, run, venue=venue)
    assert overhang(fig) < 0.2
    assert fig.get_figheight() * 25.4 < 240
    panels = fig.axes[: len(splits)]
    for ax in panels:
        assert len(ax.patches) == classes * (classes + 1)
        cells = [(t, p) for t, p in zip(ax.texts, ax.patches, strict=True)]
        for text, patch in cells:
            inside, cell = text.get_window_extent(), patch.get_window_extent()
            assert inside.width <= cell.width
            assert inside.height <= 1.05 * cell.height


def test_rows_count_their_images_and_a_class_without_any_has_an_empty_row(tmp_path):
    run = made(tmp_path, CLASSES[:3], lacking="bcc")
    ax = drawn(draw_confusion, run).axes[0]
    names = [t.get_text() for t in ax.get_yticklabels()]
    assert names == ["akiec (4)", "bcc (0)", "bkl (4)", "by chance"]
    assert len(ax.patches) == 9  # two labels and chance


def test_more_classes_than_a_panel_holds_are_counted(tmp_path):
    run = made(tmp_path, tuple(f"class {i}" for i in range(MOST_CLASSES + 4)))
    fig = drawn(draw_confusion, run)
    assert "4 more in the table" in words(fig)
    assert overhang(fig) < 0.2
    assert not [t for t in fig.findobj(Text) if "nan" in t.get_text().lower()]


def test_the_table_is_the_matrix_with_what_is_recognised_and_chance(tmp_path):
    run = made(tmp_path, CLASSES[:7])
    sheet = make_sheet("confusion", run.table("confusion"))
    heads = [head.title for head in sheet.heads]
    assert heads == ["split", "label", "images", *(f"as {c}" for c in CLASSES[:7]),
                     "recognised", "by chance"]  # fmt: skip
    assert len(sheet.rows) == 7
    counts = [[int(cell.text) for cell in row[3:10]] for row in sheet.rows]
    assert [sum(row) for row in counts] == [4] * 7
    written = {p.suffix: p.read_text() for p in save_tables(run, only="confusion")}
    assert "as akiec" in written[".md"]
    assert "as akiec" in written[".tex"]
