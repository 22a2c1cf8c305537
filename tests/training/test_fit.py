from __future__ import annotations

import csv
import json
import logging
import os
import random
import signal
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from tests.training.recipes import tiny_recipe
from xattn.annotations import build_annotations, read_annotations
from xattn.errors import RunError, UsageError, XattnError
from xattn.images import read_image
from xattn.models import Model, load
from xattn.training import folder
from xattn.training.data import shuffled
from xattn.training.fit import train
from xattn.training.recipe import parse_recipe, read_recipe
from xattn.training.scores import sensitivities

B, M = "benign", "malignant"


def weights_of(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def logits_of(model: Model, files: list[Path]) -> torch.Tensor:
    pixels = np.stack([model.preprocessing.pixels(read_image(file).image) for file in files])
    with torch.no_grad():
        return model.logits(model.normalise(torch.from_numpy(pixels))).double()


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def run(annotations, out, *, recipe=None, **options):
    return train(recipe or tiny_recipe(), annotations, out, progress=False, **options)


def test_a_training_leaves_a_checkpoint_that_loads_and_its_record(study, tmp_path: Path):
    notes = study([B, M] * 20)
    out = tmp_path / "new" / "out"
    result = run(notes, out)

    assert {path.name for path in out.iterdir()} == {
        "model.pt", "history.csv", "splits.csv", "train.json", "recipe.toml", "errors.csv",
        "predictions.parquet",
    }  # fmt: skip
    assert result.checkpoint == out / "model.pt"
    model = load(result.checkpoint)
    assert model.classes == [B, M]
    assert model.preprocessing == tiny_recipe().preprocessing
    assert read_recipe(out / "recipe.toml") == tiny_recipe()
    record = json.loads((out / "train.json").read_text())
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
        shares = sensitivities(logits, labels, np.ones((1, len(labels))))[0]
        assert scores.balanced_accuracy.value == pytest.approx(shares.mean())
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
        assert (a / name).read_bytes() == (b / name).read_bytes()
    # Trainings of several seeds are compared on the same images.
    assert (a / "splits.csv").read_bytes() == (c / "splits.csv").read_bytes()


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
        property(lambda e: (e.val_balanced_accuracy, -losses[e.epoch])),
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
    # Balanced accuracy of guessing: mean of two binomial shares; four standard deviations.
    assert abs(result.test.balanced_accuracy.value - 0.5) < 4 * np.sqrt(0.25 / n / 2)
    assert result.test.balanced_accuracy.low <= 0.5 <= result.test.balanced_accuracy.high
    assert result.test.auc.low < 0.5 < result.test.auc.high


def test_imbalance_is_made_up_for_by_class_weights(study, tmp_path: Path):
    # Where images tell nothing, probabilities are the shares of the classes as they are weighted.
    notes = study([B] * 90 + [M] * 10, telling=False)
    files = [image.file for image in read_annotations(notes).images]
    malignant = {}
    for weights in ("balanced", "none"):
        recipe = tiny_recipe(class_weights=weights, lr=0.02, augment="none")
        model = load(run(notes, tmp_path / weights, recipe=recipe, epochs=6).checkpoint)
        malignant[weights] = float(logits_of(model, files).softmax(1)[:, 1].mean())
    assert malignant["balanced"] > 0.35
    assert malignant["none"] < 0.25


def test_images_that_cannot_be_used_are_told_and_the_others_go_on(study, tmp_path: Path):
    path = study([B, M] * 20 + [None])
    (path.parent / "images" / "img003.png").write_bytes(b"no image")
    content = json.loads(path.read_text())
    content["images"].append({"id": "gone", "file": "gone.png", "label": B})
    path.write_text(json.dumps(content))
    told: list[str] = []
    result = run(path, tmp_path / "out", on_fault=lambda fault: told.append(str(fault)))

    assert len(told) == len(result.skipped) == 3
    table = pd.read_csv(tmp_path / "out" / "errors.csv")
    assert set(table["stage"]) == {"annotation", "label", "decode"}
    assert "study/images/img003.png" in set(table["file"])
    splits = pd.read_csv(tmp_path / "out" / "splits.csv")
    assert len(splits) == 39
    assert json.loads((tmp_path / "out" / "train.json").read_text())["skipped"] == 3


def test_splits_of_another_training_are_used_again(study, tmp_path: Path):
    notes = study([B, M] * 20)
    run(notes, tmp_path / "a", recipe=tiny_recipe(split_seed=3))
    table = pd.read_csv(tmp_path / "a" / "splits.csv").drop(index=[0])
    table.to_csv(tmp_path / "mine.csv", index=False)
    run(notes, tmp_path / "b", splits=tmp_path / "mine.csv")
    again = pd.read_csv(tmp_path / "b" / "splits.csv")
    assert again.equals(table.reset_index(drop=True))


def test_splits_of_other_images_are_refused(study, tmp_path: Path):
    (tmp_path / "mine.csv").write_text("image_id,split\nother,train\n")
    with pytest.raises(XattnError, match="share no id: img000 here, other there"):
        run(study([B, M] * 20), tmp_path / "out", splits=tmp_path / "mine.csv")


def test_leaking_splits_are_refused(study, tmp_path: Path):
    notes = study([B, M] * 20, groups=[f"g{i // 4}" for i in range(40)])
    rows = [f"img{i:03d},{('train', 'val', 'test')[i // 2 % 3]}" for i in range(40)]
    (tmp_path / "mine.csv").write_text("image_id,split\n" + "\n".join(rows))
    with pytest.raises(XattnError, match="group g0 is in two"):
        run(notes, tmp_path / "out", splits=tmp_path / "mine.csv")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("labels", "groups", "said"),
    [
        ([B] * 20, None, "none of malignant"),
        ([None] * 4, None, "none of 4 has one"),
        # All malignant images are of one patient, who can be on one side only.
        ([B] * 20 + [M] * 6, [None] * 20 + ["p"] * 6, "'val', but got none of malignant"),
    ],
)
def test_data_that_cannot_be_trained_on_leave_no_folder(study, tmp_path, labels, groups, said):
    with pytest.raises(XattnError, match=said):
        run(study(labels, groups=groups), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_unknown_architecture_is_told_before_any_image_is_read(study, tmp_path: Path):
    told: list[object] = []
    with pytest.raises(UsageError, match="Unknown architecture"):
        train(
            tiny_recipe(architecture="resnet_18"),
            study([B, M] * 5),
            tmp_path / "out",
            progress=lambda *what: told.append(what),
        )
    assert told == []


def test_a_training_that_diverges_says_so_and_leaves_whole_files(study, tmp_path: Path):
    recipe = tiny_recipe(lr=1e30, clip=0.0, warmup=0.0, augment="none")
    with pytest.raises(XattnError, match=r"Expected a finite loss, but got \w+ in epoch 1, .*`lr`"):
        run(study([B, M] * 20), tmp_path / "out", recipe=recipe)
    assert {p.name for p in (tmp_path / "out").iterdir()} == {
        "splits.csv", "recipe.toml", "errors.csv",
    }  # fmt: skip


def test_a_finished_training_is_never_overwritten(study, tmp_path: Path):
    notes = study([B, M] * 20)
    run(notes, tmp_path / "out")
    before = (tmp_path / "out" / "model.pt").read_bytes()
    with pytest.raises(RunError, match="name another folder with --out"):
        run(notes, tmp_path / "out", seed=3)
    assert (tmp_path / "out" / "model.pt").read_bytes() == before
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="but got the file"):
        run(notes, tmp_path / "file")


def test_an_interrupted_training_leaves_whole_files(study, tmp_path: Path):
    notes = study([B, M] * 20)
    out = tmp_path / "out"
    handler = signal.getsignal(signal.SIGINT)

    def interrupt(epoch):
        if epoch.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(notes, out, epochs=3, on_epoch=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    assert not (out / "train.json").exists()
    assert not [path for path in out.iterdir() if path.suffix == ".part"]
    assert load(out / "model.pt").classes == [B, M]
    assert len(pd.read_csv(out / "history.csv")) == 2


class GiveUpError(Exception):
    """What a search raises to give a training up."""


def test_what_on_epoch_raises_ends_the_training(study, tmp_path: Path):
    def give_up(epoch):
        raise GiveUpError

    with pytest.raises(GiveUpError):
        run(study([B, M] * 20), tmp_path / "out", on_epoch=give_up)


def state_of_the_process() -> dict[str, object]:
    numpy_state = np.random.get_state()  # noqa: NPY002 -- what users' code may rely on
    return {
        "torch": torch.get_rng_state().tolist(),
        "numpy": (numpy_state[1].tolist(), numpy_state[2]),
        "python": random.getstate(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "cudnn": (torch.backends.cudnn.benchmark, torch.backends.cudnn.deterministic),
        "grad": torch.is_grad_enabled(),
        "dtype": torch.get_default_dtype(),
        "precision": torch.get_float32_matmul_precision(),
        "filters": list(warnings.filters),
        "environment": dict(os.environ),
        "levels": [logging.getLogger(f"lightning.{n}").level for n in ("pytorch", "fabric")],
        "signals": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "hook": sys.excepthook,
    }


@pytest.mark.parametrize("lr", [0.01, 1e30])
def test_the_process_is_left_as_it_was(study, tmp_path: Path, monkeypatch, capfd, lr: float):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    notes = study([B, M] * 20)
    recipe = tiny_recipe(lr=lr, clip=0.0, warmup=0.0)
    before = state_of_the_process()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        during = list(warnings.filters)
        try:
            train(recipe, notes, tmp_path / "out")  # a bar only on a terminal, which this is not
        except XattnError:
            assert lr > 1
        assert list(warnings.filters) == during

    assert state_of_the_process() == before
    assert [str(warning.message) for warning in told] == []
    assert capfd.readouterr() == ("", "")
    assert list(here.iterdir()) == []


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


def test_a_device_that_is_not_there_is_told(study, tmp_path: Path):
    if torch.backends.mps.is_available():
        pytest.skip("this machine has the device")
    with pytest.raises(UsageError, match="mps"):
        run(study([B, M]), tmp_path / "out", device="mps")
    with pytest.raises(UsageError, match="Unknown device 'gpu'"):
        run(study([B, M], name="other"), tmp_path / "out", device="gpu")


def test_rare_classes_are_made_up_for_by_sampling(study, tmp_path: Path):
    notes = study([B] * 90 + [M] * 10, telling=False)
    files = [image.file for image in read_annotations(notes).images]
    recipe = tiny_recipe(class_weights="none", sampling="balanced", lr=0.02, augment="none")
    model = load(run(notes, tmp_path / "out", recipe=recipe, epochs=6).checkpoint)
    assert float(logits_of(model, files).softmax(1)[:, 1].mean()) > 0.35


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


def test_what_a_device_cannot_do_is_told_before_anything_is_read(study, tmp_path: Path):
    with pytest.raises(UsageError, match='cuda device for precision = "16", but got cpu'):
        run(tmp_path / "none", tmp_path / "out", recipe=tiny_recipe(precision="16"), device="cpu")


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

    record = json.loads((tmp_path / "out" / "train.json").read_text())
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
