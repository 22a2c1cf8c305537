"""`search`: many trainings of one recipe, to find what its [search] table leaves open."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna
import torch

from xattn.disk import writing_into, writing_to
from xattn.errors import DiskError, RunError, UsageError, XattnError
from xattn.models.device import resolve_device
from xattn.paths import as_path, relative_to
from xattn.runs.atomic import read_record
from xattn.runs.record import file_sha256, text_sha256, versions
from xattn.splits.assign import Images, choose_samples
from xattn.splits.findings import chosen_findings
from xattn.splits.samples import Failure, Sample, exclude_each_other
from xattn.training.dataset import Dataset, load_dataset
from xattn.training.decoding import Progress
from xattn.training.fit import fit
from xattn.training.folder import PACKAGES
from xattn.training.history import Epoch
from xattn.training.init_weights import build_network
from xattn.training.lightning_quiet import isolated_chance
from xattn.training.loop import Hardware
from xattn.training.progress import bar
from xattn.training.recipe import Recipe, read_recipe
from xattn.training.search.shared_study import Claim, SharedStudy, quiet_optuna
from xattn.training.search.trials import Trial, best_of, read_trials, trial_folder, write_search
from xattn.training.search_table import SearchTable

if TYPE_CHECKING:
    from xattn.annotations import Annotations


@dataclass(frozen=True)
class SearchResult:
    """What a search has come to; if others still work on it, so far.

    Attributes:
        out: its folder.
        trials: all trials, by number.
        best: the complete trial of the largest value; its validation scores are flattered by the
            choice among all. None if another process has yet to finish the first.
        recipe: best.toml, which `train` takes; None with `best`.
        skipped: files that could not be used.
    """

    out: Path
    trials: tuple[Trial, ...]
    best: Trial | None
    recipe: Path | None
    skipped: tuple[Failure, ...]

    def __repr__(self) -> str:
        best = "none complete" if self.best is None else f"best {self.best.number}"
        return f"<xattn.SearchResult in {self.out}: {len(self.trials)} trials, {best}>"


def search(
    recipe: str | Path | Recipe,
    annotations: str | Path | Annotations,
    out: str | Path,
    *,
    images: Images = None,
    splits: str | Path | None = None,
    trials: int | None = None,
    epochs: int | None = None,
    timeout: float | None = None,
    seed: int = 0,
    device: str = "auto",
    workers: int | None = None,
    progress: bool | Progress = True,
    on_trial: Callable[[Trial], None] | None = None,
    on_problem: Callable[[object], None] | None = None,
    on_note: Callable[[str], None] | None = None,
) -> SearchResult:
    """Search the values that the recipe's [search] table leaves open.

    Every trial is a training in OUT/trials; only the validation images are looked at, never the
    test images. Writes OUT/trials.csv, best.toml (the best setting as a recipe) and search.json,
    anew after every trial.

    The same call goes on with a search that was killed: a trial that was cut off is taken up after
    its last finished epoch, under its number and with its values. Several processes may make the
    call at the same time, also on several machines that share a folder with working file locks.
    On a CPU, a search of one process comes to the same end with and without a kill.

    Args:
        recipe: a TOML file with a [search] table, or one that was read.
        annotations: an annotation file, or one that was read.
        out: a new folder, or that of the search to go on with or to join.
        images: where the images are, by id, if only some of them are meant.
        splits: splits.csv of a training, to use the same; images that are not in it are left out.
        trials: in place of the recipe's; more than the first time to go on longer.
        epochs: of every training, in place of the recipe's.
        timeout: seconds after which this call ends; a training in progress is left after its epoch.
        seed: of what is proposed. Trainings have the recipe's.
        device: "auto", "cpu", "cuda" or "mps".
        workers: threads that decode.
        progress: True for bars on the terminal, or a function called with (stage, done, total).
        on_trial: called with every trial that this call has finished.
        on_problem: called with files that are left out and trials that failed.
        on_note: called with what is to be known of an unknown domain, and of lists of findings.

    Returns:
        The trials, the best of them, and the best setting as a recipe (`recipe`, a path).

    Raises:
        XattnError: the inputs are wrong, or not one trial came to its end.
        UsageError: the recipe has no [search].
        RunError: `out` holds something else, or a search of other arguments.

    Examples:
        >>> found = xattn.search(
        ...     "models/resnet18-ela.toml", "isic_attributes.json", "searches/ela"
        ... )  # doctest: +SKIP
        >>> found.best.values  # doctest: +SKIP
        {'train.lr': 0.0007, ...}
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    if epochs is not None:
        recipe = recipe.with_train(epochs=epochs)
    table = recipe.search
    if table is None:
        raise UsageError(
            "Expected a recipe with a [search] table, but it has none"
            "; docs/search.md has one to copy"
        )
    hardware = Hardware(resolve_device(device))
    folder = _own(as_path(out, "a folder"))
    if isinstance(annotations, str | Path):
        from xattn.annotations import read_annotations

        annotations = read_annotations(annotations, on_problem=on_problem)
    domain = annotations.likely_domain
    doubts, recipe = recipe.doubts(domain), recipe.for_domain(domain)
    annotations, left_out = chosen_findings(annotations, recipe.data)
    chosen = choose_samples(annotations, images, recipe.data, splits)
    if not exclude_each_other(chosen[0]):
        doubts += [*left_out, _about_findings(annotations, table)]
    if on_note is not None:
        for note in doubts:
            on_note(note)
    facts = {
        "recipe": recipe.to_record(),
        "search": table.model_dump(mode="json", exclude={"trials"}, exclude_none=True),
        "annotations_sha256": file_sha256(annotations.path),
        "images_sha256": text_sha256(repr(_identity(chosen[0]))),
        "seed": seed,
        "device": hardware.describe(),
    }
    most = trials or table.trials
    with bar(progress) as move, quiet_optuna(), writing_into(folder):
        shared = SharedStudy(folder, table, recipe.train.epochs, seed, facts)
        work = _Search(
            recipe,
            table,
            annotations,
            chosen,
            folder,
            hardware,
            shared,
            facts,
            deadline=time.monotonic() + timeout if timeout is not None else float("inf"),
            workers=workers,
            progress=move,
            on_problem=on_problem,
        )
        return work.run(most, on_trial)


class _TimeUp(Exception):  # noqa: N818 -- nothing is wrong
    """Ends a training that is to be gone on with later."""


@dataclass
class _Search:
    """One process's part in a search."""

    recipe: Recipe
    table: SearchTable
    annotations: Annotations
    chosen: tuple[list[Sample], list[Failure]]
    out: Path
    hardware: Hardware
    shared: SharedStudy
    facts: dict[str, Any]
    deadline: float
    workers: int | None
    progress: Progress | None
    on_problem: Callable[[object], None] | None
    datasets: dict[str, Dataset] = field(default_factory=dict)

    def run(self, most: int, on_trial: Callable[[Trial], None] | None) -> SearchResult:
        """Run trials until there are `most` or time is up, and say what the search has come to."""
        self._show(most)
        while time.monotonic() < self.deadline and (claim := self.shared.claim(most)) is not None:
            with claim.hold:
                self._dataset(self.recipe)  # images that cannot be used are not due to a trial
                try:
                    self._try(claim)
                except _TimeUp:
                    break
                result = self._written()
            if on_trial is not None:
                on_trial(result.trials[claim.number])
            self._show(most)
        result = self._written()
        if result.best is None and result.trials and all(t.error for t in result.trials):
            raise XattnError(
                f"Expected a trial that comes to its end, but all {len(result.trials)} failed; "
                f"the first: {result.trials[0].error}"
            )
        return result

    def _try(self, claim: Claim) -> None:
        """Run a trial, from the start or from where another process died, and write its end."""
        folder = trial_folder(self.out, claim.number)
        try:
            if not (folder / "train.json").exists():
                self._train(claim, folder)
            self._complete(claim, folder)
        except optuna.TrialPruned:
            self.shared.finish(claim, "pruned")
        except (RunError, DiskError):  # meddled with, or full: not due to these values
            raise
        except (XattnError, torch.OutOfMemoryError) as err:
            self.shared.finish(claim, "failed", error=str(err))
            if self.on_problem is not None:
                self.on_problem(f"trial {claim.number}: {err}")

    def _train(self, claim: Claim, folder: Path) -> None:
        if claim.again and claim.is_hopeless():
            raise optuna.TrialPruned
        recipe = self.recipe.with_values(claim.values).for_domain(self.annotations.likely_domain)

        def watch(epoch: Epoch) -> None:
            claim.report(epoch.epoch, getattr(epoch, self.table.metric))
            if claim.is_hopeless():
                raise optuna.TrialPruned
            if time.monotonic() >= self.deadline:
                raise _TimeUp

        with isolated_chance(self.hardware.device):
            start = build_network(recipe, len(self.annotations.labels))
            fit(
                start,
                recipe,
                self._dataset(recipe),
                folder,
                self.hardware,
                scored=("val",),
                progress=self.progress,
                on_epoch=watch,
            )

    def _complete(self, claim: Claim, folder: Path) -> None:
        training = read_record(folder / "train.json")
        self.shared.finish(
            claim,
            "complete",
            training["best"][self.table.metric],
            best_epoch=training["best_epoch"],
            epochs=training["epochs"],
            seconds=round(sum(training["timings"]["epoch_seconds"]), 3),
        )

    def _dataset(self, recipe: Recipe) -> Dataset:
        """Decode the images, once for every size and mode."""
        key = repr((recipe.data.size, recipe.data.mode, recipe.data.resize))
        if key not in self.datasets:
            self.datasets[key] = load_dataset(
                self.annotations, recipe, self.chosen, workers=self.workers, progress=self.progress
            )
            failures = self.datasets[key].skipped[len(self.annotations.problems) :]
            if self.on_problem is not None and len(self.datasets) == 1:
                for failure in failures:
                    self.on_problem(failure)
        return self.datasets[key]

    def _written(self) -> SearchResult:
        """Write the files of the search as it stands."""
        with self.shared.lock():
            trials = read_trials(self.shared.trials, self.table.space)
            best = best_of(trials)
            setting = self.recipe.with_values(best.values).to_toml() if best is not None else ""
            facts = {
                **self.facts,
                "annotations": relative_to(self.annotations.path, self.out.parent),
                "classes": list(self.annotations.labels),
                "versions": versions(*PACKAGES) | {"optuna": optuna.__version__},
            }
            write_search(self.out, trials, self.table.space, setting, facts)
        return SearchResult(
            out=self.out,
            trials=trials,
            best=best,
            recipe=None if best is None else self.out / "best.toml",
            skipped=next((dataset.skipped for dataset in self.datasets.values()), ()),
        )

    def _show(self, most: int) -> None:
        if self.progress is not None:
            done = sum(trial.state.is_finished() for trial in self.shared.trials)
            self.progress("trials", done, max(most, done))


def _about_findings(annotations: Annotations, table: SearchTable) -> str:
    by_auc = table.metric == "val_auc"
    more = "" if by_auc else '; metric = "val_auc" under [search] ranks the trials by it too'
    return (
        f"Labels are lists of findings: {table.metric} is the mean over "
        f"{len(annotations.labels)} of them, and the best epoch of a trial is that of the largest "
        f"val_auc{more}"
    )


def _identity(samples: list[Sample]) -> list[dict[str, Any]]:
    """Return what must be the same for trials to be compared."""
    return [asdict(sample) | {"file": None} for sample in samples]


def _own(folder: Path) -> Path:
    with writing_to(folder, "write into"):
        if folder.exists() and not folder.is_dir():
            raise RunError(f"Expected a folder for the search, but got the file {folder}")
        folder.mkdir(parents=True, exist_ok=True)
    found = {path.name for path in folder.iterdir()}
    if found - {".locks"} and "study.journal" not in found:
        raise RunError(
            f"Expected an empty folder or that of a search, but {folder} holds other files"
            "; name another folder with --out"
        )
    return folder
