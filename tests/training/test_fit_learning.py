"""What a training learns, and which epoch it keeps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.fitted import B, M, logits_of, run, same, weights_of
from tests.training.recipes import tiny_recipe
from xattn.annotations import read_annotations
from xattn.models import load
from xattn.training import folder
from xattn.training.loader import shuffled


def test_the_best_epoch_is_kept_not_the_last(study, tmp_path: Path, monkeypatch):
    scripted = iter([0.6, 0.9, 0.9, 0.7])
    monkeypatch.setattr(
        "xattn.training.module.sensitivities", lambda *_: np.full((1, 2), next(scripted))
    )
    seen: list[dict[str, torch.Tensor]] = []
    saved = folder.save_checkpoint

    def spy(path, module, **facts):
        seen.append({k: v.clone() for k, v in module.state_dict().items()})
        return saved(path, module, **facts)

    monkeypatch.setattr(folder, "save_checkpoint", spy)
    losses = {1: 0.5, 2: 0.4, 3: 0.6, 4: 0.1}
    monkeypatch.setattr(
        "xattn.training.history.Epoch.rank",
        lambda e, by: (getattr(e, by), -losses[e.epoch]),
    )
    result = run(study([B, M] * 20), tmp_path / "out", epochs=4)

    assert [e.val_balanced_accuracy for e in result.history] == pytest.approx([0.6, 0.9, 0.9, 0.7])
    assert result.best.epoch == 2
    assert len(seen) == 2
    assert same(weights_of(result.checkpoint), seen[1])


def test_patience_ends_a_training_that_gets_no_better(study, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("xattn.training.module.sensitivities", lambda *_: np.full((1, 2), 0.5))
    result = run(study([B, M] * 20), tmp_path / "out", epochs=9, recipe=tiny_recipe(patience=2))
    assert len(result.history) == 3


def test_a_class_that_shows_is_learned(study, tmp_path: Path):
    result = run(study([B, M] * 60), tmp_path / "out", recipe=tiny_recipe(lr=0.05), epochs=8)
    assert result.test.balanced_accuracy.value > 0.9
    assert result.test.balanced_accuracy.low > 0.5


def test_a_class_that_does_not_show_is_not_learned(study, tmp_path: Path):
    labels = [B, M] * 100
    result = run(study(labels, telling=False), tmp_path / "out", epochs=4)
    n = result.test.n / 2
    # Balanced accuracy of guessing: mean of two binomial fractions; four standard deviations.
    assert abs(result.test.balanced_accuracy.value - 0.5) < 4 * np.sqrt(0.25 / n / 2)
    assert result.test.balanced_accuracy.low <= 0.5 <= result.test.balanced_accuracy.high
    assert result.test.auc.low < 0.5 < result.test.auc.high


def test_imbalance_is_made_up_for_by_class_weights(study, tmp_path: Path):
    # Where images tell nothing, probabilities are the fractions of the classes, as weighted.
    notes = study([B] * 90 + [M] * 10, telling=False)
    files = [image.file for image in read_annotations(notes).images]
    malignant = {}
    for weights in ("balanced", "none"):
        recipe = tiny_recipe(class_weights=weights, lr=0.02, augment="none")
        model = load(run(notes, tmp_path / weights, recipe=recipe, epochs=6).checkpoint)
        malignant[weights] = float(logits_of(model, files).softmax(1)[:, 1].mean())
    assert malignant["balanced"] > 0.35
    assert malignant["none"] < 0.25


def test_rare_classes_are_made_up_for_by_sampling(study, tmp_path: Path):
    notes = study([B] * 90 + [M] * 10, telling=False)
    files = [image.file for image in read_annotations(notes).images]
    recipe = tiny_recipe(class_weights="none", sampling="balanced", lr=0.02, augment="none")
    model = load(run(notes, tmp_path / "out", recipe=recipe, epochs=6).checkpoint)
    assert float(logits_of(model, files).softmax(1)[:, 1].mean()) > 0.35


def test_every_epoch_has_an_order_of_its_own(study, tmp_path: Path, monkeypatch):
    places: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "xattn.training.module.shuffled",
        lambda rows, seed, epoch: places.append((seed, epoch)) or shuffled(rows, seed, epoch),
    )
    run(study([B, M] * 20), tmp_path / "out", epochs=3, seed=7)
    assert list(dict.fromkeys(places)) == [(7, 0), (7, 1), (7, 2)]


def test_a_longer_training_begins_with_the_same_epochs(study, tmp_path: Path):
    notes = study([B, M] * 20, telling=False)
    recipe = tiny_recipe(schedule="constant", warmup=0.0)
    short = run(notes, tmp_path / "short", recipe=recipe, epochs=2)
    long = run(notes, tmp_path / "long", recipe=recipe, epochs=3)
    assert long.history[:2] == short.history


def test_a_training_in_bfloat16_goes_another_way_to_the_same_kind_of_checkpoint(study, tmp_path):
    notes = study([B, M] * 30)
    recipe = tiny_recipe(lr=0.05, precision="bf16")
    mixed = run(notes, tmp_path / "mixed", recipe=recipe, epochs=8, device="cpu")
    full = run(notes, tmp_path / "full", recipe=tiny_recipe(lr=0.05), epochs=8, device="cpu")
    assert mixed.test.balanced_accuracy.value > 0.9
    assert mixed.history[0].train_loss == pytest.approx(full.history[0].train_loss, rel=0.1)
    a, b = weights_of(mixed.checkpoint), weights_of(full.checkpoint)
    assert not same(a, b)
    assert {key: value.dtype for key, value in a.items()} == {k: v.dtype for k, v in b.items()}
