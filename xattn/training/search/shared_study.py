"""The trials of a search, in a file that several processes use and that survives all of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from xattn.errors import RunError
from xattn.runs.identity import differences
from xattn.runs.locks import Hold, held, try_hold
from xattn.stats.seeds import seed_for
from xattn.training.search.journal import journal_storage
from xattn.training.search.proposals import SAMPLERS, make_pruner, suggest
from xattn.training.search_table import SearchTable


@dataclass(frozen=True)
class Claim:
    """A trial that this process, and no other, is to run.

    Attributes:
        trial: Optuna's, for `report` and `should_prune`.
        values: dotted key -> value of the recipe.
        hold: its lock.
        again: whether a process died over it.
    """

    trial: optuna.Trial
    values: dict[str, Any]
    hold: Hold
    again: bool

    @property
    def number(self) -> int:
        """Counted from 0."""
        return self.trial.number

    def report(self, epoch: int, value: float) -> None:
        """Tell the pruner the metric of an epoch; what is known already stays."""
        if epoch not in self._frozen.intermediate_values:
            self.trial.report(value, epoch)

    def is_hopeless(self) -> bool:
        """Say whether the pruner gives the trial up after the last epoch that was reported."""
        return bool(self._frozen.intermediate_values) and self.trial.should_prune()

    @property
    def _frozen(self) -> FrozenTrial:
        return self.trial.study.get_trials(deepcopy=False)[self.number]


class SharedStudy:
    """An Optuna study in OUT/study.journal, in which every trial is run once.

    A process holds the lock of the trial it runs. One that was begun and whose lock is free was
    left by a process that died: the next to ask gets it, with the same number and values. What is
    proposed for trial i is a function of the seed, i and what is known of the others, so that a
    search of one process comes to the same end with and without a kill.

    Args:
        out: folder of the search.
        table: space, sampler and pruner.
        epochs: of a training, for the pruner.
        seed: of the sampler.
        facts: what the search is about; a study of other facts is refused.
    """

    def __init__(
        self, out: Path, table: SearchTable, epochs: int, seed: int, facts: Mapping[str, Any]
    ) -> None:
        self._out, self._table, self._seed = out, table, seed
        with self.lock():
            self._study = optuna.create_study(
                storage=journal_storage(out / "study.journal", out / ".locks" / "journal"),
                study_name="search",
                direction="maximize",
                pruner=make_pruner(table.pruner, epochs),
                sampler=SAMPLERS[table.sampler](0),
                load_if_exists=True,
            )
            self._same_as_before(dict(facts))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other processes from changing the list of trials, and the files about it."""
        with held(self._out / ".locks" / "study"):
            yield

    @property
    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        return self._study.get_trials(deepcopy=False)

    def claim(self, most: int) -> Claim | None:
        """Take a trial that another process left, else a new one; None if there are `most`."""
        with self.lock():
            trials = self.trials
            for trial in trials:
                if trial.state == TrialState.RUNNING and (hold := self._hold(trial.number)):
                    left = optuna.Trial(self._study, trial._trial_id)
                    return Claim(left, self._values(left), hold, again=True)
            if len(trials) >= most:
                return None
            asked = self._study.ask()
            hold = self._hold(asked.number)
            assert hold is not None  # under the study's lock nobody else knows of it
            return Claim(asked, self._values(asked), hold, again=False)

    def finish(
        self, claim: Claim, state: str, value: float | None = None, **remarks: object
    ) -> None:
        """Write how a trial ended.

        Args:
            claim: the trial; its lock stays with the caller.
            state: "complete", "pruned" or "failed".
            value: of the metric, if it is complete.
            remarks: go into the table of trials.
        """
        for name, remark in remarks.items():
            claim.trial.set_user_attr(name, remark)
        states = {name: state for state, name in STATES.items()}
        self._study.tell(claim.number, value, states[state])

    def _values(self, trial: optuna.Trial) -> dict[str, Any]:
        """Draw what was not drawn before a process died, and return all as values of a recipe."""
        values = {}
        for i, (key, axis) in enumerate(self._table.space.items()):
            # A sampler of its own for every draw, for a killed process took its state with it.
            seed = seed_for(self._seed, trial.number, i) % 2**32  # NumPy's older seeds are shorter
            self._study.sampler = SAMPLERS[self._table.sampler](seed)
            values[key] = axis.value(suggest(trial, key, axis))
        return values

    def _hold(self, number: int) -> Hold | None:
        return try_hold(self._out / ".locks" / f"{number:04d}")

    def _same_as_before(self, facts: dict[str, Any]) -> None:
        known = self._study.user_attrs.get("facts")
        if known is None:
            self._study.set_user_attr("facts", facts)
            return
        for key, old, new in differences(known, facts):
            raise RunError(
                f"Expected the arguments that the search in {self._out} was begun with, but got "
                f"another {key} ({old} then, {new} now); repeat the first call to go on, or name "
                "another folder with --out"
            )


STATES = {
    TrialState.RUNNING: "running",
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
}


@contextmanager
def quiet_optuna() -> Iterator[None]:
    """Keep the search library from logging what the caller reports itself."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
