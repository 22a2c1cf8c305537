"""What is proposed for a trial, and when a trial is given up, as [search] says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna import Trial
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler

from xattn.training.search_table import Axis


def _tpe(seed: int) -> BaseSampler:
    return TPESampler(seed=seed)


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {"tpe": _tpe, "random": _random}


def make_pruner(name: str, epochs: int) -> BasePruner:
    """Return what gives trials up early.

    Args:
        name: "median", "hyperband" or "none".
        epochs: of a training.
    """
    if name == "median":  # the first fifth of a training says little of its end
        return MedianPruner(n_startup_trials=5, n_warmup_steps=epochs // 5)
    if name == "hyperband":
        return HyperbandPruner(min_resource=1, max_resource=epochs)
    return NopPruner()


def suggest(trial: Trial, key: str, axis: Axis) -> Any:
    """Let the study's sampler draw a value of an axis: a number, or the label of a choice."""
    low, high = axis.low, axis.high
    if low is None or high is None:
        return trial.suggest_categorical(key, axis.labels)
    if isinstance(low, int) and isinstance(high, int):
        return trial.suggest_int(key, low, high, log=axis.log)
    return trial.suggest_float(key, low, high, log=axis.log)
