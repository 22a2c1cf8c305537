"""The concept vectors of a run, as a part of `feature_usage`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xattn.analysis.asked_again import AskedAgain
from xattn.analysis.concepts.pooled import PooledLayer, pooled_layer
from xattn.analysis.concepts.table import concept_table, yes_no_columns
from xattn.analysis.question import Question
from xattn.analysis.settings import UsageSettings
from xattn.errors import XattnError
from xattn.features.feature_set import FeatureSet
from xattn.features.masks import Progress
from xattn.runs import RunFolder


def concept_layer(
    run: RunFolder,
    features: FeatureSet,
    asked: AskedAgain,
    questions: Sequence[Question],
    settings: UsageSettings,
    workers: int,
    progress: Progress | None,
) -> tuple[PooledLayer | None, list[str]]:
    """Return what the model holds of the images with a label, or a note where it cannot be seen.

    Args:
        run, features: of the analysis.
        asked: the model that made the run.
        questions: an image is needed if one of them knows its label.
        settings: of the analysis.
        workers: threads that decode.
        progress: called as progress(done, total).
    """
    labels = [features.of(q.run).table["label"].notna().to_numpy() for q in questions]
    rows = np.flatnonzero(np.any(labels, axis=0))
    wanted = any(len(yes_no_columns(features.of(q.run), settings.seed)) > 1 for q in questions)
    if not settings.concepts or not len(rows) or not wanted:
        return None, []
    try:
        return pooled_layer(run, asked.model, asked.fast, rows, workers, progress), []
    except XattnError as err:
        return None, [f"No concept vectors: {err}"]


def concepts(
    layer: PooledLayer | None, features: FeatureSet, question: Question, settings: UsageSettings
) -> pd.DataFrame:
    """Return concepts.csv of one question, empty where nothing could be seen.

    Args:
        layer: of `concept_layer`.
        features: with the labels of the question.
        question: what the run is asked.
        settings: of the analysis.
    """
    if layer is None or not features.labelled:
        return pd.DataFrame()
    columns = yes_no_columns(features, settings.seed)
    table = features.table
    return concept_table(
        layer, columns, table["label"], table["group"], question, **settings.testing
    )
