"""predictions.parquet: what a trained model says of every image it was not trained on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.annotations.findings import label_text
from xattn.runs.parquet import write_parquet
from xattn.splits.samples import NOT_KNOWN, SHOWN, Sample, Split
from xattn.training.dataset import Dataset


def prediction_table(dataset: Dataset, logits: Mapping[Split, NDArray[np.float64]]) -> pd.DataFrame:
    """Return one row per image, split after split, in the order of the images.

    Args:
        dataset: the images.
        logits: split -> (images of the split, classes).

    Returns:
        image_id, split, domain and group (None where not known), label and predicted (names of
        classes), then logit_<class> and prob_<class> (softmax) for every class. Of independent
        findings the label is all that is known (`label_text`), predicted is missing, and each
        probability is a sigmoid.
    """
    parts = [_rows(dataset, split, values) for split, values in logits.items()]
    return pd.concat(parts, ignore_index=True)


def write_predictions(path: Path, table: pd.DataFrame) -> None:
    """Write predictions.parquet whole or not at all."""
    write_parquet(table, path)


def _rows(dataset: Dataset, split: Split, logits: NDArray[np.float64]) -> pd.DataFrame:
    samples = [dataset.images.samples[row] for row in dataset.rows(split)]
    classes = np.array(dataset.classes, dtype=object)
    if dataset.exclusive:
        shifted = np.exp(logits - logits.max(1, keepdims=True))
        probabilities = shifted / shifted.sum(1, keepdims=True)
        labels = classes[[sample.label for sample in samples]]
        predicted = classes[logits.argmax(1)]
    else:
        probabilities = 0.5 * (1 + np.tanh(logits / 2))
        labels = np.array([_told(classes, sample) for sample in samples], dtype=object)
        predicted = np.full(len(samples), None)
    columns = {
        "image_id": [sample.id for sample in samples],
        "split": split,
        "domain": pd.array([sample.domain for sample in samples], dtype="string"),
        "group": pd.array([sample.group for sample in samples], dtype="string"),
        "label": labels,
        "predicted": predicted,
    }
    columns |= {f"logit_{name}": logits[:, i] for i, name in enumerate(classes)}
    columns |= {f"prob_{name}": probabilities[:, i] for i, name in enumerate(classes)}
    return pd.DataFrame(columns)


def _told(findings: NDArray[Any], sample: Sample) -> str:
    known = np.array(sample.findings)
    return label_text(findings[known == SHOWN], findings[known == NOT_KNOWN])
