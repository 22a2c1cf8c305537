"""`xattn train`."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click

from xattn.cli.cells import cell, is_known
from xattn.cli.options import common, device_option
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import FILE, PLACE

if TYPE_CHECKING:
    from xattn.stats.weighted_metrics import Estimate, Scores
    from xattn.training.dataset import Dataset
    from xattn.training.history import Epoch
    from xattn.training.init_weights import Start
    from xattn.training.recipe import Recipe


@click.command("train")
@click.argument("recipe", type=FILE)
@click.option("--annotations", type=FILE, required=True, help="Images and labels.")
@click.option("--out", type=PLACE, required=True, help="Folder for model.pt and its record.")
@click.option("--images", type=PLACE, help="Only the images found here, by id.")
@click.option("--splits", type=FILE, help="splits.csv of another training, to use the same.")
@click.option("--epochs", type=click.IntRange(1), help="Default: the recipe's.")
@click.option("--seed", type=int, help="Default: the recipe's.")
@device_option
@click.option("--devices", type=click.IntRange(1), default=1, show_default=True, help="How many.")
@click.option("--tensorboard", is_flag=True, help="Write OUT/logs for TensorBoard.")
@common
def command(
    recipe: Path,
    annotations: Path,
    out: Path,
    images: Path | None,
    splits: Path | None,
    epochs: int | None,
    seed: int | None,
    device: str,
    devices: int,
    tensorboard: bool,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Train an architecture from a recipe on the labels of an annotation file."""
    from xattn.training.fit import train as fit
    from xattn.training.recipe import read_recipe

    # With several devices the command is run again for each; the first speaks for all.
    helps = devices > 1 and os.environ.get("LOCAL_RANK", "0") != "0"
    terminal = Terminal(quiet or helps, as_json and not helps)
    settings = read_recipe(recipe)
    lines = _Lines(terminal, epochs or settings.train.epochs)
    result = fit(
        settings,
        annotations,
        out,
        images=images,
        splits=splits,
        epochs=epochs,
        seed=seed,
        device=device,
        devices=devices,
        tensorboard=tensorboard,
        progress=not (quiet or as_json or helps),
        on_start=lambda start, used: lines.start(start, used, settings.train.augment),
        on_dataset=lines.begin,
        on_epoch=lines.epoch,
        on_problem=None if helps else terminal.problem,
    )
    for split, scores in result.scores.items():
        terminal.say(f"{_SPLITS[split]}: {_sentence(scores)}")
        for line in _findings(scores):
            terminal.say(line)
    terminal.say(f"{result.checkpoint}, from epoch {result.best.epoch}")
    facts = {"checkpoint": str(result.checkpoint), "metrics": result.metrics}
    terminal.summary({**facts, "notes": list(result.notes)})


class _Lines:
    """What is told before and during the training.

    Args:
        terminal: a line per epoch goes to stderr, unless that shows a bar.
        epochs: in all.
    """

    def __init__(self, terminal: Terminal, epochs: int) -> None:
        self._terminal, self._epochs, self._last = terminal, epochs, 0.0

    def start(self, start: Start, recipe: Recipe, augment: str) -> None:
        """Say what the recipe left open: weights to begin with, if not random ones; augmentation.

        Args:
            start: the network.
            recipe: as it is trained.
            augment: as the recipe said it.
        """
        from xattn.training.recipe import UNKNOWN

        if recipe.train.augment != augment:
            # A note follows where the domain is not known.
            why = "" if recipe.train.augment == UNKNOWN else ", as the images are"
            self._terminal.say(f"augment: {recipe.train.augment}{why}")
        if start.init is None:
            return
        init = start.init
        new = ", ".join(init["left"][:4]) + (", ..." if len(init["left"]) > 4 else "")
        source = f"{init['pretrained']} ({init['file']})" if "pretrained" in init else init["file"]
        self._terminal.say(
            f"starts from {source}: {init['loaded']} tensors; "
            + (f"{len(init['left'])} are new ({new})" if new else "none is new")
        )
        for key in ("mean", "std"):
            theirs, ours = init.get(key), getattr(recipe.data, key)
            if theirs is not None and tuple(theirs) != ours:
                self._terminal.say(
                    f"note: {init['pretrained']} was trained with {key} {list(theirs)}, and this "
                    f"recipe has {list(ours)}; without `{key}` under [data] it is theirs"
                )

    def begin(self, dataset: Dataset) -> None:
        """Say what is wrong with the splits, while there is time to do something about it."""
        self._last = time.perf_counter()
        if not dataset.exclusive:
            self._terminal.say(
                f"labels are lists of findings: {len(dataset.classes)} independent outputs, binary "
                "cross-entropy; the best epoch is by the mean AUC"
            )
        for note in dataset.notes:
            self._terminal.say(f"note: {note}")
        columns = dataset.balance.columns
        if columns and not dataset.balance.unlike:
            least = min(column.adjusted_p for column in columns)
            self._terminal.say(
                f"train, val and test are alike in {len(columns)} column{'s' * (len(columns) > 1)} "
                f"(chance {least:.2f}{' or more' * (len(columns) > 1)})"
            )

    def epoch(self, epoch: Epoch) -> None:
        """Say what an epoch came to."""
        now = time.perf_counter()
        seconds, self._last = now - self._last, now
        if not sys.stderr.isatty():
            self._terminal.remark(
                f"epoch {epoch.epoch}/{self._epochs}: train loss {epoch.train_loss:.4f}, "
                f"val loss {epoch.val_loss:.4f}, "
                f"val balanced accuracy {cell(epoch.val_balanced_accuracy, '.3f')}, "
                f"val AUC {cell(epoch.val_auc, '.3f')}, lr {epoch.lr:.2e}, {seconds:.1f} s"
            )


_SPLITS = {"val": "validation", "test": "test", "ood": "of other origin"}


def _sentence(scores: Scores) -> str:
    accuracy = _measured("balanced accuracy", scores.balanced_accuracy, scores.chance)
    return f"{accuracy}, {_measured('AUC', scores.auc)}, {scores.n} images" + (
        f"; means over {_scored(scores)} findings" if scores.findings else ""
    )


def _measured(name: str, found: Estimate, chance: float | None = None) -> str:
    if not is_known(found.value):
        return f"{name} cannot be computed, a class is missing"
    by_chance = "" if chance is None else f"; chance {chance:.2f}"
    ends = f"{cell(found.low, '.3f')} to {cell(found.high, '.3f')}"
    return f"{name} {found.value:.3f} ({ends}{by_chance})"


def _scored(scores: Scores) -> int:
    return sum(is_known(one.auc.value) for one in scores.findings.values())


def _findings(scores: Scores) -> list[str]:
    """Return a line for each independent finding."""
    width = max(map(len, scores.findings), default=0)
    lines = []
    for name, one in scores.findings.items():
        said = _measured("AUC", one.auc) if is_known(one.auc.value) else "not scored: all alike"
        lines.append(f"  {name:<{width}}  {said}, in {one.shown} of {one.n} images")
    return lines
