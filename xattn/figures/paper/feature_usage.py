"""Which features the model uses: effect and significance, controls beside them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xattn.figures import style
from xattn.figures.drawing.forest import (
    MOST_FEATURES,
    Rows,
    intervals,
    key,
    keys_of_kinds,
    keys_of_significance,
    kind_colour,
    label_rows,
    row_height,
    rows_by_kind,
    shade_rows,
    significant,
    spread_out,
)
from xattn.figures.drawing.interactive import SPAN, mark
from xattn.figures.drawing.panels import legend, letter
from xattn.figures.registry import figure
from xattn.figures.run_sources import RunSources
from xattn.runs import RunFolder

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_EFFECTS = {
    "effect_bits": "effect in bits (0 = not used)",
    "rank_effect": "rank effect (0 = not used)",
}

_FRAME_MM = 40.0


@figure(
    "feature-usage",
    meaning=(
        "Dependence of the prediction on each feature given the label: effect size with its 95 % "
        "interval on the left, adjusted p-value on the right; controls are features of chance that "
        "no model can use."
    ),
    tables=("feature_usage",),
)
def draw_feature_usage(run: RunFolder) -> Figure:
    """Draw the effect of each feature with its interval, and how significant each test found it."""
    sources = RunSources(run)
    table = run.table("feature_usage")
    table = table.assign(strength=-np.log10(table["p_adjusted"].clip(lower=1e-12)))
    effect = next((c for c in _EFFECTS if table[c].notna().any()), None)
    tests = list(dict.fromkeys(table["test"]))
    most = int(table.groupby("feature")["test"].size().max())  # the tests of a feature share a row
    row_mm = row_height(table, 2.2 + 2.4 * most, _FRAME_MM)
    note = ""
    if row_mm < 0.8 + 1.4 * most:  # too low for all of them
        table = strongest_tests(table)
        note = "Of each feature the test with the least p-value"
    by_feature = table.groupby("feature")
    turn, size = by_feature.cumcount(), by_feature["test"].transform("size")
    table = table.assign(offset=[spread_out(n)[i] for i, n in zip(turn, size, strict=True)])
    rows = rows_by_kind(table, effect or "strength", row_mm)
    table = rows.kept(table)
    fig = Figure(
        figsize=style.inches(style.page_mm(), _FRAME_MM + row_mm * rows.height),
        layout="constrained",
    )
    columns = 1 if effect is None else 2
    axes = fig.subplots(1, columns, sharey=True, squeeze=False, width_ratios=[1.5, 1][-columns:])[0]
    label_rows(axes[0], rows, {})
    if effect is not None:
        _draw_effects(axes[0], table, tests, effect, rows, sources)
        shade_rows(axes[1], rows)
    _draw_sources(axes[-1], table, tests, rows, sources)
    letter(axes)
    handles = keys_of_kinds(table)
    if len(tests) > 1:
        handles += [key(style.ink(), style.MARKERS[i % 14], t) for i, t in enumerate(tests)]
    handles += keys_of_significance(sources.alpha, "")
    legend(fig, handles)
    if rows.left_out:
        note = (f"The {MOST_FEATURES} most significant features; {rows.left_out} more in the table"
                f"{'. ' + note if note else ''}")  # fmt: skip
    if note:
        fig.suptitle(note, fontsize=style.pt(7))
    return fig


def strongest_tests(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row per feature of feature_usage.csv: its test with the least adjusted p-value."""
    best = table.sort_values(["p_adjusted", "p_value"], kind="stable", na_position="last")
    return best.drop_duplicates("feature").sort_index()


def _parts(table: pd.DataFrame, tests: list[str]) -> list[tuple[pd.DataFrame, str, str]]:
    """Split the table by test and kind, each part with its marker and colour."""
    return [
        (part, style.MARKERS[i % len(style.MARKERS)], kind_colour(kind))
        for i, test in enumerate(tests)
        for kind, part in table[table["test"] == test].groupby("kind", dropna=False, sort=True)
    ]


def _draw_effects(
    ax: Axes,
    table: pd.DataFrame,
    tests: list[str],
    effect: str,
    rows: Rows,
    sources: RunSources,
) -> None:
    for part, marker, colour in _parts(table, tests):
        y = rows.of(part["feature"]) + part["offset"].to_numpy(float)
        # The interval in the table belongs to the effect in bits.
        no_interval = np.full(len(part), np.nan)
        known = effect == "effect_bits"
        low, high = (part[c] if known else no_interval for c in ("effect_low", "effect_high"))
        filled = significant(part, sources.alpha)
        intervals(ax, part[effect], low, high, y, colour, marker, filled, part.index)
    controls = table.loc[table["kind"] == "control", effect]
    if controls.notna().any():
        ax.axvspan(0, controls.max(), color=style.faint(), alpha=0.6, linewidth=0, zorder=0)
    ax.axvline(0, color=style.ink(), linewidth=0.8, zorder=1)
    ax.set_xlabel(_EFFECTS[effect] + (", 95 % interval" if effect == "effect_bits" else ""))
    ax.grid(axis="x")


def _draw_sources(
    ax: Axes, table: pd.DataFrame, tests: list[str], rows: Rows, sources: RunSources
) -> None:
    for part, marker, colour in _parts(table, tests):
        y = rows.of(part["feature"]) + part["offset"].to_numpy(float)
        x = part["strength"].to_numpy(float)
        nothing = np.full(len(part), np.nan)
        mark(ax.hlines(y, 0, x, color=colour, linewidth=0.8, zorder=2), part.index, SPAN)
        filled = significant(part, sources.alpha)
        intervals(ax, x, nothing, nothing, y, colour, marker, filled, part.index)
    level = -math.log10(sources.alpha)
    ax.axvline(level, color=style.ink(), linewidth=0.8, linestyle="--", zorder=1)
    ax.annotate(f"{sources.alpha:g}", (level, 1), xycoords=("data", "axes fraction"),
                xytext=(2, -1), textcoords="offset points", va="top",
                fontsize=style.pt(6.5))  # fmt: skip
    ax.axvline(0, color=style.ink(), linewidth=0.8, zorder=1)
    ax.set_xlim(left=-0.05, right=max(1.05 * level, 1.08 * table["strength"].max()))
    ax.set_xlabel("−log₁₀ adjusted p")
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
