"""The reader of PDFs that other tests rely on tells good files from bad ones."""

import io

import pytest
from matplotlib.figure import Figure

from tests.figures.pdf import fonts_of
from xattn.figures.style import style


def saved(**settings):
    with style(**settings):
        fig = Figure(figsize=(1, 1))
        fig.text(0, 0, "lift")
        file = io.BytesIO()
        fig.savefig(file, format="pdf")
    return fonts_of(file.getvalue())


def test_our_style_embeds_a_font_that_holds_the_letters():
    (font,) = saved()
    assert (font.name, font.kind) == ("DejaVuSans", "TrueType")
    assert font.glyphs >= len(set("lift"))


@pytest.mark.parametrize(
    ("settings", "kind"),
    [({"pdf__fonttype": 3}, "Type3"), ({"pdf__use14corefonts": True}, "Type1")],
)
def test_other_settings_are_seen_for_what_they_are(settings, kind):
    (font,) = saved(**settings)
    assert (font.kind, font.glyphs) == (kind, 0)
