"""The trained networks to compare, read from the folders of `xattn train` or `xattn evaluate`."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd

from xattn.addresses.address import is_address
from xattn.analysis.exclusive import require_exclusive
from xattn.analysis.one_output import outputs_of
from xattn.annotations.findings import absent, answers
from xattn.errors import RunError, UsageError, XattnError, near
from xattn.paths import as_path
from xattn.runs.again import run_again, training_again
from xattn.runs.folder import RunFolder
from xattn.runs.parquet import read_parquet
from xattn.runs.table_folder import read_settings


@dataclass(frozen=True)
class Trained:
    """One trained network and what it predicts.

    Attributes:
        model: name of what was trained: the architecture, and the options in which it differs
            from others of that architecture here.
        seed: of the training; None if it is not known.
        path: the folder.
        classes: in the order of the logits.
        predictions: image_id, split, group, label, logit_<class>.
        architecture, options: as in the registry.
        recipe: what it was trained by; empty if that is not known.
        splits_sha256: hash of the splits it was trained with; "" if that is not known.
    """

    model: str
    seed: int | None
    path: Path
    classes: tuple[str, ...]
    predictions: pd.DataFrame
    architecture: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    splits_sha256: str = ""


def read_trained(runs: Sequence[str | Path], target: str | None = None) -> list[Trained]:
    """Read the folders that a user names, each a path or NAME=path.

    Args:
        runs: the folders.
        target: of independent outputs the one that is compared, there or not.

    Raises:
        UsageError: outputs are independent and none is named, or there is none of the name; or
            they are values.
        RunError: a folder is neither a finished training nor a run, or has no predictions.
        XattnError: two folders hold the same model and seed, or their classes differ.
    """
    found = _named_apart([_read(one, target) for one in runs])
    for first, other in pairwise(found):
        if first.classes != other.classes:
            raise XattnError(
                f"Expected the same classes in all runs, but {first.path} has "
                f"{', '.join(first.classes)} and {other.path} has {', '.join(other.classes)}"
            )
    seen: dict[tuple[str, int | None], Path] = {}
    for one in found:
        other_path = seen.setdefault((one.model, one.seed), one.path)
        if other_path is not one.path:
            seed = "without a known seed" if one.seed is None else f"with seed {one.seed}"
            raise XattnError(
                f"Expected every model and seed once, but {other_path} and {one.path} both hold "
                f"{one.model} {seed}; tell them apart as NAME={one.path}, or leave one out"
            )
    return found


def as_named(run: str | Path) -> tuple[str, Path]:
    """Tell a name that stands before a folder, with its "=", from the folder; "" for none."""
    text = str(run)
    name, equals, rest = text.partition("=")
    named = bool(equals) and not is_address(text) and not Path(text).exists()
    return (f"{name}=", as_path(rest, "a run")) if named else ("", as_path(text, "a run"))


def _read(run: str | Path, target: str | None) -> Trained:
    name, path = as_named(run)
    if (path / "train.json").is_file():
        one = _from_training(path, target)
    elif (path / "run.json").is_file():
        one = _from_run(path, target)
    else:
        raise RunError(
            f"Expected a training or a run folder at {path}, but got no train.json or run.json"
            " there; a training that was interrupted is finished by repeating its command"
        )
    return replace(one, model=name.removesuffix("=") if name else one.architecture)


def _from_training(path: Path, target: str | None) -> Trained:
    facts = read_settings(path / "train.json")
    recipe, classes = facts.get("recipe", {}), facts["classes"]
    found = _trained(path, classes, recipe, facts.get("splits_sha256"), recipe.get("model"))
    independent = facts.get("outputs", "softmax") != "softmax"
    if not independent and target is None:
        return found
    if not independent:
        raise UsageError(
            f"Expected independent outputs to choose {target} from, but the classes of {path} "
            f"exclude each other: {', '.join(classes)}; leave out --target"
        )
    if target is None:
        raise UsageError(
            f"Expected classes that exclude each other for `xattn compare`, but the outputs of "
            f"{path} are independent; name one, such as --target {shlex.quote(classes[0])}"
        )
    if target not in classes:
        raise UsageError(f"Unknown output {target!r}{near(target, classes)}")
    table, no = found.predictions.copy(), absent(target)
    table["label"], table[f"logit_{no}"] = answers(table["label"], target), 0.0
    return replace(found, classes=(no, target), predictions=table[table["label"].notna()])


def _from_run(path: Path, target: str | None) -> Trained:
    facts, run = read_settings(path / "run.json"), RunFolder(path)
    if target is not None:
        (run,) = outputs_of(run, [target])
    require_exclusive(run, "`xattn compare`")
    training = facts.get("training") or {}
    found = _trained(
        path, facts["classes"], training.get("recipe", {}), training.get("splits_sha256"), facts
    )
    if not run.of_output:
        return found
    table = run.predictions
    return replace(found, classes=tuple(run.classes), predictions=table[table["label"].notna()])


def _trained(
    path: Path,
    classes: Sequence[str],
    recipe: Mapping[str, Any],
    splits_sha256: str | None,
    model: Mapping[str, Any] | None,
) -> Trained:
    file, trained = path / "predictions.parquet", (path / "train.json").is_file()
    again = f"repeat {training_again(path) if trained else run_again(path)}"
    if not file.is_file():
        raise RunError(f"Expected {file}, but it is not there; {again}")
    table = read_parquet(file, again)
    missing = [c for c in ("image_id", "label", *(f"logit_{c}" for c in classes)) if c not in table]
    if missing:
        raise RunError(f"Expected the columns {', '.join(missing)} in {file}; {again}")
    model = model or {}
    return Trained(
        model="",
        seed=recipe.get("train", {}).get("seed"),
        path=path,
        classes=tuple(classes),
        predictions=table,
        architecture=str(model.get("architecture", path.name)),
        options=model.get("options") or {},
        recipe=recipe,
        splits_sha256=splits_sha256 or "",
    )


def _named_apart(found: list[Trained]) -> list[Trained]:
    """Add to a model's name the options in which it differs from others of the name."""
    result = []
    for one in found:
        peers = [p.options for p in found if p.model == one.model]
        keys = sorted({key for options in peers for key in options})
        differ = [k for k in keys if any(p.get(k) != one.options.get(k) for p in peers)]
        more = ", ".join(f"{k}={_short(one.options.get(k, 'default'))}" for k in differ)
        result.append(replace(one, model=f"{one.model} ({more})") if more else one)
    return result


def remarks(found: Sequence[Trained]) -> list[str]:
    """Say what about the trainings makes their comparison doubtful.

    Args:
        found: the networks.

    Returns:
        Notes, one line each.
    """
    notes = []
    for model in dict.fromkeys(one.model for one in found):
        recipes = [_without_seed(one.recipe) for one in found if one.model == model]
        differ = sorted({k for r in recipes for k in r if any(r[k] != p.get(k) for p in recipes)})
        if differ:
            notes.append(f"The seeds of {model} differ in more than the seed: {', '.join(differ)}")
    if len({one.splits_sha256 for one in found}) > 1:
        notes.append(
            "The networks were not all trained with the same splits.csv: some may have been "
            "trained on images that they are tested on here"
        )
    return notes


def _without_seed(recipe: Mapping[str, Any]) -> dict[str, str]:
    """Return the keys of a recipe as table.key, all but the seed."""
    flat = {
        f"{table}.{key}": json.dumps(value, sort_keys=True, default=str)
        for table, values in recipe.items()
        if isinstance(values, Mapping)
        for key, value in values.items()
    }
    flat.pop("train.seed", None)
    return flat


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 24 else text[:21] + "..."
