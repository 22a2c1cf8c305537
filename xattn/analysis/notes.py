"""What an analysis rests on, and what could not be measured: counts and notes for its record."""

from __future__ import annotations

from typing import Any

import pandas as pd

from xattn.analysis.dependence.given.sample import FEWEST_UNITS
from xattn.analysis.dependence.given.table import NONE
from xattn.analysis.settings import UsageSettings
from xattn.features.bookkeeping import describe
from xattn.features.feature_set import FeatureSet
from xattn.runs import RunFolder
from xattn.runs.places import spread_note
from xattn.settings import names


def counts(features: FeatureSet) -> dict[str, Any]:
    """Return how many images, labels, groups and masks there are.

    Args:
        features: of the run.
    """
    table = features.table
    return {
        "images": len(table),
        "annotated": features.annotated,
        "labelled": int(table["label"].notna().sum()),
        "groups": int(table["group"].nunique()),
        "labels": {str(k): int(v) for k, v in table["label"].value_counts().sort_index().items()},
        "masks": {name: int(table[f"{name}.masked"].sum()) for name in features.masked},
        "shown": {name: int((table[f"{name}.area"] > 0).sum()) for name in features.masked},
    }


def notes(run: RunFolder, features: FeatureSet) -> list[str]:
    """Say what could not be measured, and why; one line each.

    Args:
        run: a finished run.
        features: of it.

    Returns:
        Notes, one line each.
    """
    table, found = features.table, []
    if assumed := run.settings.get("readout", {}).get("note"):
        found.append(str(assumed))
    missing, unlabelled = len(table) - features.annotated, int(table["label"].isna().sum())
    if missing:
        found.append(f"{missing} of {len(table)} images of the run are not in the annotation file")
    if features.problems:
        found.append(f"{len(features.problems)} masks could not be used, see errors.csv")
    found += _unmeasured(features)
    if features.of_other_domains:
        found.append(
            f"Images of the domain {features.domain!r}: not measured, since made for others, are "
            f"{', '.join(features.of_other_domains)}; --domain names another"
        )
    if not features.masked:
        found.append(
            "No image has a mask: alignment.csv and interventions.csv are empty, and doses.csv has "
            "only edits that need none"
        )
    if features.outside:
        cut = ", ".join(f"{name} ({n:,})" for name, n in features.outside.items())
        found.append(
            f"Images whose masks lie wholly outside what the model's crop lets it see, and count "
            f"as without the feature: {cut}; --input-mode squash shows it the whole image"
        )
    if features.left_out:
        found.append(f"Left out of all tests: {describe(features.left_out)}")
    if not features.kinds:
        found.append("There is no feature to test: feature_usage.csv and bias.csv are empty")
    if not run.methods:
        found.append("The run has no maps: alignment.csv has no method of it, agreement.csv no row")
    if note := spread_note(run.spread_evenly):
        found.append(note)
    of = run.of_output
    if not features.labelled:
        known = f"Of no image it is known whether it shows {of}" if of else "No image has a label"
        known = f"Of no image {of} is known" if run.of_value else known
        found.append(f"{known}: feature_usage.csv and bias.csv are empty")
    elif unlabelled and of:
        what = f"{of} is not known" if run.of_value else f"it is not known whether they show {of}"
        found.append(f"Of {unlabelled} images {what}: left out")
    elif unlabelled:
        found.append(f"{unlabelled} images have no label and are left out")
    labels = table["label"].dropna().unique()
    if len(labels) == 1:
        found.append(f"All labels are {labels[0]!r}: usage is tested within it, bias needs two")
    own = run.predictions["label"]
    other = int((own.notna() & table["label"].notna() & (own != table["label"])).sum())
    if other:
        found.append(f"{other} images have another label in the run: the annotation's is used")
    return found


def missing_notes(usage: pd.DataFrame) -> list[str]:
    """Say of which features it is used whether they are known at all, one line a pattern.

    Args:
        usage: feature_usage.csv.

    Returns:
        Notes, one line a pattern.
    """
    if usage.empty:
        return []
    rows = usage[usage["test"].str.endswith("(missing)") & usage["used"].astype(bool)]
    return [
        f"The prediction goes with whether {str(row['stands_for']).replace('; ', ', ')} "
        f"{'is' if ';' not in str(row['stands_for']) else 'are'} known "
        f"(adjusted p = {row['p_adjusted']:.2g}): that is no use of the value"
        for _, row in rows.iterrows()
    ]


def given_notes(features: FeatureSet, usage: pd.DataFrame, settings: UsageSettings) -> list[str]:
    """Say what was not tested given other features, and which images a finer label left out.

    Args:
        features: of the run.
        usage: feature_usage.csv.
        settings: of the analysis.

    Returns:
        Notes, one line each.
    """
    found = []
    column = settings.label_column
    if column is not None:
        label = features.table["label"]
        lost = int((label.notna() & features.table[column].isna()).sum())
        if lost:
            found.append(f"{lost} images have no {column}: left out of the dependence tests")
        if len(usage) and not usage["n"].astype(float).max() > 0:
            found.append(
                f"No value of {column} occurs in several images: nothing can be exchanged within it"
            )
    asked = names(settings.given) != [NONE]
    if asked and len(usage) and usage["p_given"].isna().all():
        found.append(
            "Nothing was tested given other features: there are fewer than "
            f"{FEWEST_UNITS} groups, or none that varies"
        )
    return found


def _unmeasured(features: FeatureSet) -> list[str]:
    """Say why computed features have no value, one line a reason."""
    reasons: dict[str, dict[str, int]] = {}
    for feature, counted in features.unmeasured.items():
        for reason, n in counted.items():
            reasons.setdefault(reason, {})[feature] = n
    found = []
    for reason, images in sorted(reasons.items()):
        n, names = max(images.values()), list(images)
        those = f"{len(names)} computed features" if names[1:] else f"computed feature {names[0]}"
        found.append(f"{n} image{' has' if n == 1 else 's have'} no value of {those}: {reason}")
    return found
