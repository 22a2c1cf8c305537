"""A training from files to files: checkpoint, record, scores, logs."""

from __future__ import annotations

import csv
import filecmp
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tests.training.fitted import B, M, logits_of, run, same, weights_of
from tests.training.recipes import tiny_recipe
from xattn.annotations import build_annotations, read_annotations
from xattn.models import load
from xattn.runs.atomic import read_record
from xattn.stats.weighted_metrics import sensitivities
from xattn.training.fit import train
from xattn.training.recipe import parse_recipe, read_recipe


def test_a_training_leaves_a_checkpoint_that_loads_and_its_record(study, tmp_path: Path):
    notes = study([B, M] * 20)
    out = tmp_path / "new" / "out"
    result = run(notes, out)

    assert {path.name for path in out.iterdir()} == {
        "model.pt", "history.csv", "splits.csv", "splits_alike.csv",
        "train.json", "recipe.toml", "errors.csv",
        "predictions.parquet",
    }  # fmt: skip
    assert result.checkpoint == out / "model.pt"
    model = load(result.checkpoint)
    assert model.classes == [B, M]
    assert model.preprocessing == tiny_recipe().preprocessing
    assert read_recipe(out / "recipe.toml") == tiny_recipe().for_domain(None)
    record = read_record(out / "train.json")
    assert record["annotations"] == "../study/annotations.json"
    assert record["splits"]["train"]["images"] == 20
    assert record["test"]["balanced_accuracy"] == result.test.balanced_accuracy.value
    assert record["test"]["chance"] == 0.5
    assert record["best_epoch"] == result.best.epoch
    assert model.source["extra"]["recipe"] == record["recipe"]
    assert model.source["extra"]["splits_sha256"] == record["splits_sha256"]
    assert record["checkpoint_sha256"] == model.source["sha256"]
    history = pd.read_csv(out / "history.csv")
    assert list(history.columns) == [
        "epoch", "train_loss", "val_loss", "val_balanced_accuracy", "val_auc", "lr",
    ]  # fmt: skip
    assert history["epoch"].tolist() == [1, 2]


def test_the_scores_are_those_of_the_checkpoint_on_its_splits(study, tmp_path: Path):
    notes = read_annotations(study([B, M] * 20, telling=False))
    result = run(notes, tmp_path / "out")
    model = load(result.checkpoint)
    with (tmp_path / "out" / "splits.csv").open() as file:
        splits = {row["image_id"]: row["split"] for row in csv.DictReader(file)}
    for split, scores in (("val", result.val), ("test", result.test)):
        inside = [image for image in notes.images if splits[image.id] == split]
        logits = logits_of(model, [i.file for i in inside]).numpy()
        labels = np.array([notes.labels.index(i.label) for i in inside])
        recalls = sensitivities(logits, labels, np.ones((1, len(labels))))[0]
        assert scores.balanced_accuracy.value == pytest.approx(recalls.mean())
        assert scores.n == len(inside)
    assert result.best.val_balanced_accuracy == pytest.approx(result.val.balanced_accuracy.value)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not(study, tmp_path: Path):
    notes = study([B, M] * 20, telling=False)
    recipe = tiny_recipe(augment="dermoscopy")
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        torch.rand(3)  # whatever came before does not matter
        run(notes, tmp_path / name, recipe=recipe, seed=seed)
    a, b, c = (tmp_path / name for name in "abc")

    assert same(weights_of(a / "model.pt"), weights_of(b / "model.pt"))
    assert not same(weights_of(a / "model.pt"), weights_of(c / "model.pt"))
    for name in ("history.csv", "splits.csv", "recipe.toml", "model.pt"):
        assert filecmp.cmp(a / name, b / name, shallow=False)
    # Trainings of several seeds are compared on the same images.
    assert filecmp.cmp(a / "splits.csv", c / "splits.csv", shallow=False)


def test_splits_of_another_training_are_used_again(study, tmp_path: Path):
    notes = study([B, M] * 20)
    run(notes, tmp_path / "a", recipe=tiny_recipe(split_seed=3))
    table = pd.read_csv(tmp_path / "a" / "splits.csv").drop(index=[0])
    table.to_csv(tmp_path / "mine.csv", index=False)
    run(notes, tmp_path / "b", splits=tmp_path / "mine.csv")
    again = pd.read_csv(tmp_path / "b" / "splits.csv")
    assert again.equals(table.reset_index(drop=True))


def test_progress_runs_over_all_images_and_then_all_batches(study, tmp_path: Path):
    told: list[tuple[str, int, int]] = []
    train(
        tiny_recipe(),
        study([B, M] * 20),
        tmp_path / "out",
        progress=lambda *what: told.append(what),
    )
    assert [what for what in told if what[0] == "decode"] == [
        ("decode", i, 40) for i in range(1, 41)
    ]
    assert [what for what in told if what[0] == "train"] == [("train", i, 6) for i in range(1, 7)]


def test_tensorboard_logs_say_what_the_history_says(study, tmp_path: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(study([B, M] * 20), tmp_path / "out", epochs=3, tensorboard=True)
    logs = EventAccumulator(str(tmp_path / "out" / "logs"))
    logs.Reload()
    for name in ("train_loss", "val_loss", "val_balanced_accuracy", "val_auc"):
        written = [event.value for event in logs.Scalars(name)]
        assert written == pytest.approx([getattr(epoch, name) for epoch in result.history])


@pytest.mark.slow
def test_two_processes_train_one_model(study, tmp_path: Path):
    notes = study([B, M] * 30)
    (tmp_path / "recipe.toml").write_text(tiny_recipe(lr=0.05, epochs=6).to_toml())
    script = Path(__file__).with_name("killed.py")
    words = [tmp_path / "recipe.toml", notes, tmp_path / "out", "never", "0", "2"]
    subprocess.run([sys.executable, script, *words], check=True, timeout=300)

    record = read_record(tmp_path / "out" / "train.json")
    assert record["device"] == "2 x cpu"
    assert record["epochs"] == 6
    assert record["test"]["balanced_accuracy"] > 0.9
    # Both processes score their validation images with the same network: that of the checkpoint.
    for name in ("balanced_accuracy", "auc"):
        assert record["best"][f"val_{name}"] == pytest.approx(record["val"][name])
    table = pd.read_parquet(tmp_path / "out" / "predictions.parquet")
    part = table[table["split"] == "val"]
    logits = torch.tensor(part[[f"logit_{B}", f"logit_{M}"]].to_numpy())
    loss = F.cross_entropy(logits, torch.tensor((part["label"] == M).to_numpy(int)))
    assert record["best"]["val_loss"] == pytest.approx(float(loss), rel=1e-4)  # equal classes
    assert not (tmp_path / "out" / ".progress").exists()


def test_a_training_can_run_in_a_thread(study, tmp_path: Path):
    with ThreadPoolExecutor(1) as pool:
        result = pool.submit(run, study([B, M] * 20), tmp_path / "out").result()
    assert result.checkpoint.is_file()


@pytest.mark.slow
def test_a_recipe_of_the_study_trains_on_real_images(tmp_path: Path):
    root = Path(__file__).parents[2]
    data = root / ".." / "shared" / "data" / "isic2018"
    if not data.is_dir():
        pytest.skip("the ISIC-2018 images are not at ../shared/data")
    whole = tmp_path / "isic_attributes.json"
    build_annotations("isic2018", data, out=whole, flags=data / "artifact_flags.csv")
    content = json.loads(whole.read_text())
    of = {label: [i for i in content["images"] if i["label"] == label] for label in (B, M)}
    content["images"] = of[B][:24] + of[M][:16]
    whole.write_text(json.dumps(content))

    recipe = read_recipe(root / "models" / "resnet18-ga.toml")
    small = parse_recipe({**recipe.model_dump(), "data": {"size": 64, "val": 0.3}}, "the test")
    result = run(whole, tmp_path / "out", recipe=small, epochs=1)

    model = load(result.checkpoint)
    assert model.architecture == "resnet18-ga"
    assert [layer.name for layer in model.attention_layers] == ["layer3.ga", "layer4.ga"]
    assert result.val.n == 12
