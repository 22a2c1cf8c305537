from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from tests.training.recipes import tiny_recipe
from xattn.splits.samples import Sample
from xattn.stats.weighted_metrics import score
from xattn.training.dataset import Dataset
from xattn.training.decoding import DecodedImages
from xattn.training.fit import train
from xattn.training.predictions import prediction_table, write_predictions


def dataset() -> Dataset:
    samples = (
        Sample("a", Path(), 0, "g1", "site 1"),
        Sample("b", Path(), 1),
        Sample("c", Path(), 2, "g2"),
        Sample("d", Path(), 0, None, "site 2"),
    )
    splits = {"a": "val", "b": "train", "c": "ood", "d": "val"}
    pixels = np.zeros((4, 2, 2, 3), dtype=np.uint8)
    return Dataset(
        Path(), ("nevus", "melanoma", "other one"), DecodedImages(samples, pixels, {}, ()), splits
    )


def test_every_image_has_a_row_with_its_names_and_softmax():
    logits = {
        "val": np.array([[1.0, 2.0, 3.0], [800.0, 1.0, -800.0]]),
        "ood": np.array([[0.0, 5.0, 1.0]]),
    }
    table = prediction_table(dataset(), logits)

    assert list(table.columns) == [
        "image_id", "split", "domain", "group", "label", "predicted",
        "logit_nevus", "logit_melanoma", "logit_other one",
        "prob_nevus", "prob_melanoma", "prob_other one",
    ]  # fmt: skip
    assert table["image_id"].tolist() == ["a", "d", "c"]
    assert table["split"].tolist() == ["val", "val", "ood"]
    assert table["label"].tolist() == ["nevus", "nevus", "other one"]
    assert table["predicted"].tolist() == ["other one", "nevus", "melanoma"]
    assert table["domain"].fillna("-").tolist() == ["site 1", "site 2", "-"]
    assert table["group"].fillna("-").tolist() == ["g1", "-", "g2"]
    both = np.concatenate(list(logits.values()))
    assert table.filter(like="logit_").to_numpy() == pytest.approx(both)
    assert table.filter(like="prob_").to_numpy() == pytest.approx(softmax(both, axis=1))


def test_a_table_that_is_written_reads_back_the_same(tmp_path: Path):
    table = prediction_table(dataset(), {"val": np.array([[1.0, 2, 3], [3, 2, 1]])})
    write_predictions(tmp_path / "predictions.parquet", table)
    again = pd.read_parquet(tmp_path / "predictions.parquet")
    pd.testing.assert_frame_equal(again, table)


def test_a_training_scores_what_stands_in_its_predictions(study, tmp_path: Path):
    labels = ["benign", "malignant"] * 20
    notes = study(labels, groups=[f"g{i // 2}" for i in range(40)])
    names = ("train", "val", "test", "ood")
    rows = [f"img{i:03d},{names[i // 2 % 4]},{'far' if i % 8 > 5 else ''}" for i in range(40)]
    (tmp_path / "mine.csv").write_text("\n".join(["image_id,split,domain", *rows]))
    result = train(
        tiny_recipe(), notes, tmp_path / "out", splits=tmp_path / "mine.csv", progress=False
    )
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")

    assert table["split"].unique().tolist() == ["val", "test", "ood"]
    assert set(table.loc[table["split"] == "ood", "domain"]) == {"far"}
    assert table.loc[table["split"] != "ood", "domain"].isna().all()
    assert set(result.scores) == {"val", "test", "ood"}
    for split, scores in result.scores.items():
        rows = table[table["split"] == split]
        classes = ["benign", "malignant"]
        codes = rows["label"].map(classes.index).to_numpy()
        again = score(
            rows[["logit_benign", "logit_malignant"]].to_numpy(), codes, classes, rows["group"]
        )
        assert again.balanced_accuracy.value == scores.balanced_accuracy.value
        assert again.auc.value == scores.auc.value
        assert result.metrics[f"{split}_n"] == len(rows) == 10
