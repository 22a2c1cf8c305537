"""One page that shows what a model looks at: self-contained, readable offline and on a phone."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import pandas as pd

from xattn.analysis.maps.scores import degenerate
from xattn.errors import RunError
from xattn.figures.evidence import Evidence
from xattn.figures.gallery import make_gallery
from xattn.figures.numbers import readable, unbroken
from xattn.figures.performance import performance
from xattn.figures.registry import FigureCard, known_figures
from xattn.figures.reproduce import commands
from xattn.figures.style import for_dark_screens, style
from xattn.figures.summary import summarise
from xattn.figures.tables import Sheet, make_sheet
from xattn.runs import RunFolder
from xattn.runs.atomic import replacing

MOST_ERRORS = 200
"""Faults listed in the page; the rest stays in errors.csv."""

_PIXELS_PER_INCH = 128  # print sizes a third larger, for reading at a screen's distance
_BLOCK = 2**24  # values of maps that are looked through at a time


@dataclass(frozen=True)
class Plot:
    """A figure for light and dark screens, as SVG data URIs, and its width in CSS pixels."""

    light: str
    dark: str
    width: int
    caption: str


@dataclass(frozen=True)
class Section:
    """A table of the run with its figure.

    Attributes:
        id, title, lead: anchor, heading, and a sentence on how to read it.
        how: where p-values and intervals come from.
        plot: the figure, None where there is nothing to draw.
        sheet: the table, None if it was not written.
        missing: what to do to have it, "" if it is there.
    """

    id: str
    title: str
    lead: str
    how: str
    plot: Plot | None
    sheet: Sheet | None
    missing: str


_SECTIONS = (
    (
        "alignment",
        "Where the maps lie",
        "Lift is the share of a map's positive attribution inside a mask over the mask's share of "
        "the picture: 1 is a map spread evenly. Maps and lesions both prefer the middle, so each "
        "lift is tested against the same maps on masks of other images of the same label.",
    ),
    (
        "feature_usage",
        "What the model uses",
        "A feature is used if predictions depend on it among images of the same label. The test "
        "exchanges the feature's values within each label, so the label cannot explain the result.",
    ),
    (
        "interventions",
        "What happens when an artifact is changed",
        "Change of the logit when the artifact is removed or inserted, beside the same change "
        "elsewhere in the picture.",
    ),
    (
        "bias",
        "Whether artifacts or groups shift the results",
        "Each metric over images with the artifact minus the same over those without; over images "
        "of a group of patients minus the same over all others.",
    ),
)
_ALWAYS = ("alignment", "feature_usage", "bias")
_FIGURE_OF = {"alignment": "alignment", "feature_usage": "feature-usage", "bias": "bias"}


def report(
    run: RunFolder | str | Path, *, out: str | Path | None = None, gallery: int = 48
) -> Path:
    """Write the report of one run: a single HTML file without any external part.

    Made from the run folder and the image files alone; the same run gives the same bytes. What
    is not there (tables before `xattn feature-usage`, images that were moved) is said in its
    place.

    Args:
        run: a finished run folder.
        out: the file; default RUN/report.html.
        gallery: number of images shown; fewer where they would not fit 10 MB.

    Returns:
        Path of the file.

    Raises:
        RunError: there is no finished run.
    """
    run = run if isinstance(run, RunFolder) else RunFolder.open(run)
    target = Path(out) if out is not None else run.path / "report.html"
    page = _environment().get_template("report.html.j2").render(_content(run, gallery))
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target) as scratch:
        scratch.write_text(page, encoding="utf-8")
    return target


def _content(run: RunFolder, gallery: int) -> dict[str, Any]:
    """Gather all that the template shows."""
    evidence = Evidence(run)
    scores = performance(run.predictions.assign(label=evidence.labels), run.classes)
    defects = {method: count_defects(run, method) for method in run.methods}
    errors = evidence.table("errors")
    errors = pd.DataFrame() if errors is None else errors
    return {
        "name": run.path.resolve().name,
        "model_name": _model_name(run),
        "run": run,
        "summary": summarise(evidence, scores, defects),
        "scores": scores,
        "card": model_card(run),
        "gallery": make_gallery(run, evidence, gallery),
        "sections": _sections(run, evidence),
        "errors": errors[:MOST_ERRORS].to_dict("records"),
        "errors_total": len(errors),
        "commands": commands(run, evidence),
        "settings": json.dumps(run.settings, indent=2, ensure_ascii=False),
        "analysis": json.dumps(evidence.analysis, indent=2, ensure_ascii=False),
        "analysed": bool(evidence.analysis),
    }


def _model_name(run: RunFolder) -> str:
    name = run.settings.get("architecture")
    return str(name) if name else "the model"


def _environment() -> jinja2.Environment:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,  # a file called <script>.jpg stays text
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["readable"] = readable
    environment.filters["unbroken"] = unbroken
    return environment


def _sections(run: RunFolder, evidence: Evidence) -> list[Section]:
    cards = known_figures()
    sections = []
    for name, title, lead in _SECTIONS:
        table = evidence.table(name)
        if table is not None:
            card = cards.get(_FIGURE_OF.get(name, ""))
            plot = None if card is None else _plot(card, run)
            sheet = make_sheet(name, table, evidence.permutations(name))
            how = _how(evidence, name)
            sections.append(Section(name, title, lead, how, plot, sheet, ""))
        elif name in _ALWAYS:
            missing = _why_missing(run, name)
            sections.append(Section(name, title, lead, "", None, None, missing))
    return sections


def _how(evidence: Evidence, table: str) -> str:
    """Say where the p-values and intervals of a table come from, as far as it is recorded."""
    facts, parts = evidence.analysis, []
    permutations = evidence.permutations(table)
    if permutations is not None:
        method = evidence.adjusted(table)
        parts.append(f"p-values from {permutations:,} permutations, adjusted by {method}'s method")
    if "bootstrap" in facts:
        parts.append(f"intervals from {facts['bootstrap']:,} bootstrap replicates over groups")
    if table == "bias" and "positive" in facts:
        parts.append(f"TPR and FPR speak of {facts['positive']}")
    if "seed" in facts:
        parts.append(f"seed {facts['seed']}")
    text = "; ".join(parts)
    return text[:1].upper() + text[1:] + "." if text else ""


def _why_missing(run: RunFolder, name: str) -> str:
    if run.has_table(name):
        return f"{name}.csv has no rows: there was nothing to measure."
    return (
        f"{name}.csv was not written yet. Run: xattn feature-usage "
        f"--annotations isic_attributes.json --run {run.path.resolve().name}"
    )


def _plot(card: FigureCard, run: RunFolder) -> Plot | None:
    """Draw a figure; letters become outlines, the page brings no font."""
    buffer = io.BytesIO()
    try:
        with style(svg__fonttype="path"):
            figure = card.draw(run)
            figure.savefig(buffer, format="svg", metadata={"Date": None})
    except RunError:
        return None  # the table is there, but holds nothing that could be drawn
    svg = buffer.getvalue().decode("utf-8")
    width = round(figure.get_figwidth() * _PIXELS_PER_INCH)
    return Plot(_svg_uri(svg), _svg_uri(for_dark_screens(svg)), width, card.caption)


def _svg_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode("utf-8")).decode("ascii")


def count_defects(run: RunFolder, method: str) -> int:
    """Count the maps of one method that have no positive attribution to show."""
    array = run.map_array(method)
    n, pixels = array.shape[0], int(np.prod(array.shape[1:]))
    step = max(1, _BLOCK // max(1, pixels))
    return sum(
        int(degenerate(np.asarray(array[start : start + step], np.float32)).sum())
        for start in range(0, n, step)
    )


def model_card(run: RunFolder) -> list[tuple[str, str]]:
    """Return what is known of the model as (title, text) pairs, without what is not recorded."""
    facts = run.settings
    pre = run.preprocessing
    how = "squashed to" if pre.mode == "squash" else f"shorter side {pre.resize}, centre crop"
    pairs = [
        ("Architecture", _worded(facts.get("architecture"), facts.get("options"))),
        ("Checkpoint", _worded(facts.get("checkpoint"), facts.get("checkpoint_format"))),
        ("SHA-256", _worded(facts.get("checkpoint_sha256"))),
        ("Classes", ", ".join(run.classes)),
        ("Input", f"{how} {pre.size[0]} × {pre.size[1]} pixels (height × width), "
                  f"{pre.interpolation}; mean {_triple(pre.mean)}, std {_triple(pre.std)}"),
        ("Explained layer", _worded(facts.get("target_layer"), _grid(facts.get("target_grid")))),
        ("Attention layers", _worded(facts.get("attention_layers"))),
        ("Explained class", _worded(facts.get("target"))),
        ("Methods", ", ".join(f"{m} ({_grid(run.map_array(m).shape[1:])})" for m in run.methods)),
        ("Training", _training(facts.get("training") or {})),
        ("Device", _worded(facts.get("device"))),
        ("Seed", _worded(facts.get("seed"))),
        ("Versions", _worded(facts.get("versions"))),
    ]  # fmt: skip
    return [(title, text) for title, text in pairs if text]


def _training(facts: dict[str, Any]) -> str:
    """Sum up what a checkpoint says of its training; the whole of it stands in run.json."""
    parts = [f"{s['images']:,} images in {name}" for name, s in facts.get("splits", {}).items()]
    best = facts.get("best", {})
    if "epoch" in best and "val_balanced_accuracy" in best:
        parts.append(
            f"epoch {best['epoch']}, validation balanced accuracy "
            f"{best['val_balanced_accuracy']:.3f}"
        )
    return ", ".join(parts)


def _worded(value: Any, more: Any = None) -> str:
    """Write a recorded value in words, what belongs to it in brackets; "" for nothing."""
    if isinstance(value, dict):
        text = ", ".join(f"{k} {_worded(v)}" for k, v in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        text = "" if value is None else str(value)
    extra = _worded(more) if more else ""
    return f"{text} ({extra})" if text and extra else text


def _grid(size: Any) -> str:
    return " × ".join(str(v) for v in size) if size else ""


def _triple(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
