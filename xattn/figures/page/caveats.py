"""What limits a run's findings, in sentences."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from xattn.analysis.interventions.known import caveats_of
from xattn.analysis.interventions.shown import BY_DETECTOR
from xattn.figures.numbers import listed
from xattn.figures.page.performance import Performance
from xattn.figures.page.run_tables import Tables
from xattn.figures.page.verdict_words import meanings
from xattn.figures.run_sources import RunSources
from xattn.runs.again import record_again
from xattn.runs.places import off_by_spreading, spread_note
from xattn.splits.membership import unlike_in
from xattn.splits.samples import SPLITS


def caveats(tables: Tables, scores: Performance | None, defects: dict[str, int]) -> list[str]:
    """Return all that limits what the run's tables say.

    Args:
        tables: of the run.
        scores: performance, or None where labels are missing.
        defects: method -> number of maps without positive attribution.
    """
    sources = tables.sources
    return [
        *_about_images(sources, scores),
        *_about_maps(sources, defects),
        *_about_tests(tables),
        *_about_edits(sources),
        *_about_doses(sources),
        *_about_truth(sources),
        *(f"\u201c{m.verdict}\u201d: {m.says_not}" for m in meanings(sources)),
    ]


def _about_edits(sources: RunSources) -> Iterator[str]:
    """Say which edits are of a detector's masks."""
    table = sources.table("interventions")
    if table is None or "masks" not in table:
        return
    found = table.loc[(table["masks"] == BY_DETECTOR) & table["p_value"].notna(), "feature"]
    if len(found):
        yield (
            f"The edits of {listed(list(found.drop_duplicates()))} are of masks of a detector: "
            "what it missed stays in the image, and the change comes out too small."
        )


def _about_doses(sources: RunSources) -> Iterator[str]:
    """Say which graded edits are of a detector's masks."""
    table = sources.table("doses")
    if table is None:
        return
    table = table[table["slope"].notna()]
    found = table.loc[table["masks"] == BY_DETECTOR, "feature"].drop_duplicates()
    if len(found):
        yield (
            f"The doses of {listed(list(found))} are of masks of a detector: what it missed stays "
            "in the image, what it marked wrongly is edited, and the slope comes out too small."
        )


def _about_truth(sources: RunSources) -> Iterator[str]:
    """Say which edits are poor where the truth is known, or were not held against it."""
    done: list[tuple[str, str]] = []
    for name, said in (("interventions", "delta_logit"), ("doses", "slope")):
        table = sources.table(name)
        if table is not None:
            shown = table[table[said].notna() & (table["kind"] != "control")]
            done += zip(shown["intervention"], shown["feature"], strict=True)
    yield from caveats_of(done, None if sources.features is None else sources.features.domain)


def _about_images(sources: RunSources, scores: Performance | None) -> Iterator[str]:
    run = sources.run
    if "split" in run.predictions and not _splits_unknown(sources):
        yield from _parts_in_training(run.predictions["split"], scores)
    else:
        yield _whether_trained_on(run.settings.get("training") or {})
    if scores is not None:
        yield from (f"In the training, {one}." for one in unlike_in(run.settings.get("training")))
    notes = sources.analysis.get("notes", [])  # one of them is a finding
    yield from (f"{note}." for note in notes if note != sources.not_learned)
    known = sources.features
    if known is not None and known.table["group"].isna().all():
        yield (
            f"No groups ({sources.words.groups}) are annotated, so every image counts "
            "as independent; where several are of one, intervals are too narrow."
        )


def _splits_unknown(sources: RunSources) -> bool:
    """Say whether an evaluation left its column of splits empty for want of the training's."""
    empty = not sources.run.predictions["split"].isin(SPLITS).any()
    return empty and "splits" in sources.evaluation and sources.evaluation["splits"] is None


def _parts_in_training(split: pd.Series[Any], scores: Performance | None) -> Iterator[str]:
    """Say which images the model knew, and which numbers count them."""
    of = {name: int((split == name).sum()) for name in SPLITS}
    unknown = len(split) - sum(of.values())
    if unknown == len(split):
        yield (
            "None of these images is in the splits of the model's training by its id; the same "
            "image under another id would not be noticed."
        )
        return
    parts = [f"The model was trained on {of['train']:,} of these images"] if of["train"] else []
    if of["val"]:
        which = "" if parts else " of these images"
        parts.append(f"{of['val']:,}{which} were used for model selection (validation)")
    held_out = scores is not None and scores.held_out
    if parts:
        known = " and ".join(parts)
        if scores is None:
            yield f"{known}; gaps may be too small."
        elif held_out:
            yield (
                f"{known}. Accuracy leaves them out; all other numbers do not, and gaps may be too "
                "small."
            )
        else:
            yield f"{known}. Too few are left, so accuracy counts them and is too good."
    if unknown:
        left_out = "; accuracy leaves them out" if held_out else ""
        are = "image is" if unknown == 1 else "images are"
        yield f"{unknown:,} {are} in none of the splits of the training{left_out}."
    if held_out and of["test"] and of["ood"]:
        yield (
            f"Accuracy is over {of['test']:,} images like those of the training and {of['ood']:,} "
            "of other origin together; `xattn evaluate` tells them apart."
        )


def _whether_trained_on(training: dict[str, Any]) -> str:
    images = training.get("splits", {}).get("train", {}).get("images")
    known = "" if images is None else f" ({images:,} images)"
    return (
        f"The run does not record which of these images the model was trained on{known}. Where it "
        "was, its accuracy here is too good, and gaps may be too small."
    )


def _about_maps(sources: RunSources, defects: dict[str, int]) -> Iterator[str]:
    note, facts = spread_note(sources.run.spread_evenly), sources.analysis
    if note and note not in facts.get("notes", []):
        yield f"{note}."
    elsewhere = off_by_spreading(sources.run.settings)
    scored_spread = facts.get("cells_spread_evenly", sources.run.methods)
    moved = [method for method in elsewhere if method in scored_spread]
    if moved and sources.table("alignment") is not None:
        again = record_again(sources.run.path, "analysis.json", here=False)
        yield (
            f"The scores of {listed(moved)} are of an earlier version, with the cells of maps "
            f"spread evenly; the images show them where they lie. Repeat {again} to score them "
            "there."
        )
    total = len(sources.run.predictions)
    for method, n in defects.items():
        if n:
            yield (
                f"{n:,} of {total:,} {method} maps have no positive attribution (all zero, "
                "constant, or not finite); they are shown as such and left out of the scores."
            )


def _about_tests(tables: Tables) -> Iterator[str]:
    sources = tables.sources
    if sources.run.of_value:
        yield (
            f"The output is a value and no class: where this page says logit, it is "
            f"{sources.run.of_output} in its own units; labels are strata of the reference value, "
            "within which images are still not alike."
        )
    if sources.positive and len(sources.run.classes) > 2:
        yield (
            f"The analysis is of {sources.positive} against all other classes together: scores, "
            "rates and changed decisions refer to that alone."
        )
    if tables.alignment is not None:
        yield (
            "Where a map lies is not yet what the model uses: a map may lie on a feature that "
            "changes nothing. Read alignment together with usage."
        )
    if tables.usage is not None and tables.verdicts is None:
        yield (
            "A feature without a significant result is not shown to be unused: the data may be "
            "too few."
        )
