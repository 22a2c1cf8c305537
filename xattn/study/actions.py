"""What the steps of a study do: each calls one function of the library.

Heavy modules are imported when a step runs, so that a plan is made at once.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.errors import Remark, XattnError
from xattn.runs.atomic import read_record
from xattn.runs.record import FILES
from xattn.study.declared import Declared
from xattn.study.names import require_known_features

if TYPE_CHECKING:
    from xattn.analysis.settings import EvaluateSettings, UsageSettings
    from xattn.attribution.run.settings import ExplainSettings
    from xattn.study.recipe import SplitsSettings, StudyRecipe
    from xattn.study.steps import Telling
    from xattn.training.recipe import Recipe

Action = Callable[["Telling", tuple[str, ...]], list[Path]]


def synthesizing(recipe: StudyRecipe, folder: Path) -> Action:
    """Return what generates images."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.annotations import read_annotations
        from xattn.synthetic.dataset import synthesize
        from xattn.synthetic.tissue.dataset import synthesize_tissue

        chosen = recipe.synthesize
        assert chosen is not None
        draw = synthesize_tissue if chosen.tissue else synthesize
        written = draw(
            folder,
            effects=dict(recipe.effects) or None,
            progress=lambda done: say.progress(done, chosen.n),
            **chosen.to_draw(),
        )
        require_known_features(recipe, Declared.of(read_annotations(written)))
        return [written]

    return run


def building(recipe: StudyRecipe, file: Path) -> Action:
    """Return what writes the annotation file of a data set."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.annotations import build_annotations

        file.parent.mkdir(parents=True, exist_ok=True)
        built = build_annotations(out=file, **recipe.data.to_build())
        for note in built.notes:
            say.note(note)
        require_known_features(recipe, Declared.of(built))
        return [file]

    return run


def reading(recipe: StudyRecipe, file: Path) -> Action:
    """Return what checks that the annotation file can be read."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.annotations import read_annotations

        known = read_annotations(file, on_problem=say.problem)
        require_known_features(recipe, Declared.of(known))
        return [file]

    return run


def splitting(settings: SplitsSettings, known: Path, file: Path) -> Action:
    """Return what divides the images."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.annotations import read_annotations
        from xattn.splits.make import split_images

        made = split_images(
            read_annotations(known),
            data={"val": settings.val, "test": settings.test, "split_seed": settings.seed},
            trap=settings.trap,
            trap_share=settings.trap_share,
            trap_strength=settings.trap_strength,
            on_problem=say.problem,
        )
        for note in made.notes:
            say.note(note)
        return [made.write(file)]

    return run


def searching(
    one: Recipe, known: Path, folder: Path, trials: int, splits: Path | None, device: str
) -> Action:
    """Return what searches the values of a recipe."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.training.search.search import search

        done = [0]

        def count(_trial: object) -> None:
            done[0] += 1
            say.progress(done[0], trials)

        found = search(
            one,
            known,
            folder,
            trials=trials,
            splits=splits,
            device=device,
            progress=False,
            on_trial=count,
        )
        if found.recipe is None:
            raise XattnError(f"Expected a finished trial in {folder}, but got none")
        return [found.recipe]

    return run


def training(
    one: Recipe,
    found: Path | None,
    known: Path,
    folder: Path,
    seed: int,
    splits: Path | None,
    device: str,
) -> Action:
    """Return what trains a model; `found` is the recipe of a search, in place of `one`."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.training.fit import train

        # A training that was killed after its last file and before the step's record is whole.
        if not (folder / "train.json").is_file():
            result = train(
                found or one,
                known,
                folder,
                seed=seed,
                splits=splits,
                device=device,
                progress=False,
                on_epoch=lambda epoch: say.progress(epoch.epoch, one.train.epochs),
            )
            for note in result.notes:
                say.note(note)
        return [folder / name for name in ("model.pt", "splits.csv", "train.json")]

    return run


def _loaded(folder: Path, device: str) -> Any:
    from xattn.models import load

    return load(folder / "model.pt", device=device)


def evaluating(
    model: Path, known: Path, folder: Path, settings: EvaluateSettings, device: str
) -> Action:
    """Return what evaluates a model on test and OOD images."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.analysis.evaluation.evaluate import evaluate

        network = _loaded(model, device)
        found = evaluate(network, known, folder, settings=settings, progress=say.progress)
        for note in found.notes:
            say.note(note)
        return of_record(folder / "evaluation.json")

    return run


def explaining(
    model: Path, known: Path, folder: Path, settings: ExplainSettings, device: str
) -> Action:
    """Return what makes the maps of a model."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.attribution.run.pipeline import explain

        made = explain(
            _loaded(model, device),
            out=folder,
            annotations=known,
            settings=settings,
            progress=say.progress,
            on_note=lambda note: say.note(note) if isinstance(note, Remark) else say.problem(note),
        )
        for method, why in made.settings.get("left_out", {}).items():
            say.note(f"without {method}: {why}")
        if skipped := made.settings["counts"]["skipped"]:
            say.problem(f"{skipped} images could not be explained, see {folder / 'errors.csv'}")
        return [folder / "predictions.parquet"]

    return run


def measuring(folder: Path, known: Path, settings: UsageSettings) -> Action:
    """Return what measures the feature usage of a run."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.analysis.feature_usage import feature_usage

        feature_usage(folder, known, settings=settings, progress=say.progress, on_note=say.note)
        return of_record(folder / "analysis.json")

    return run


def of_record(record: Path) -> list[Path]:
    """Return the files that a record names as made with it."""
    return [record.with_name(name) for name in read_record(record)[FILES]]
