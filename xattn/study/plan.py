"""From a recipe of a study to its steps, in an order in which each comes after what it needs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from xattn.settings import names
from xattn.study import actions, gathering
from xattn.study.claims.measured import Measured
from xattn.study.declared import declared, images_in
from xattn.study.inputs import Outside, annotated, below, leads_to_images
from xattn.study.known.plan import plan_known
from xattn.study.names import (
    require_buildable,
    require_known_features,
    require_known_names,
)
from xattn.study.recipe import StudyRecipe
from xattn.study.steps import Step
from xattn.training.recipe import Recipe, read_recipe

DATA, SPLITS, COMPARE, CLAIMS = "data", "splits", "compare", "claims"
_PLACES = ("root", "lesion_masks", "artifact_masks", "flags", "metadata", "labels")
_CELL_BYTES, _IMAGE_BYTES = 4e3, 6e4
"""Stored of an image's maps, and of an overlay or a generated image: of the order of."""
_BACKWARD = 3.0
"""A training's pass over an image, in passes forwards: there, back and the weights."""
_TRAINED = 0.7
"""Fraction of the images that a training takes, of the order of."""
_FRACTIONS = {"train": 0.6, "val": 0.1, "test": 0.1, "ood": 0.2}
"""Fraction of the images in a split, of the order of."""
_EDITS = 60.0
"""Edited copies of an image that interventions and doses look at, of the order of."""


def plan_study(recipe: StudyRecipe, out: Path, device: str = "auto") -> list[Step]:
    """Return the steps of a study; nothing is written or trained.

    Args:
        recipe: of the study.
        out: its folder.
        device: where to compute.

    Raises:
        XattnError: a recipe of a training is wrong, or a name in the study's is not known.
    """
    trainings = trainings_of(recipe)
    require_known_names(recipe, trainings)
    require_buildable(recipe, trainings)
    if recipe.known is not None:
        return plan_known(recipe, recipe.known, out, device)
    known = declared(recipe)
    if known is not None:
        require_known_features(recipe, known)
    planner = _Planner(recipe, images_in(recipe, known), out, device)
    steps = planner.first()
    for name, one in trainings.items():
        steps += planner.of_model(name, one)
    return [*steps, *planner.together(list(trainings))]


def trainings_of(recipe: StudyRecipe) -> dict[str, Recipe]:
    """Return the recipes of trainings by their names, with the study's values in them.

    Raises:
        XattnError: one is wrong.
    """
    if recipe.known is not None:
        return recipe.known.trainings(str(recipe.source))
    return {Path(path).stem: _training(recipe, Path(path)) for path in recipe.models.recipes}


def _training(recipe: StudyRecipe, path: Path) -> Recipe:
    own, values = read_recipe(path), recipe.values_of(path.stem)
    tables = "[models.values]" + (" and [[models.overrides]]" if recipe.overrides else "")
    place = f"{path} with {tables} of {recipe.source}"
    changed = own.with_values(values, place) if values else own
    return changed.model_copy(update={"search": own.search})


class _Planner:
    """Makes the steps of a study.

    Args:
        recipe: of the study.
        n: images that it has; 0 if that is not known yet.
        out: its folder.
        device: where to compute.
    """

    def __init__(self, recipe: StudyRecipe, n: int, out: Path, device: str) -> None:
        self._recipe, self._n, self._out, self._device = recipe, n, out, device
        given = recipe.data.annotations
        skin = recipe.synthesize is not None and not recipe.synthesize.tissue
        name = "isic_attributes.json" if skin else "annotations.json"
        self._known = Path(given) if given else out / "data" / name
        self._splits = None if recipe.data.splits is None else Path(recipe.data.splits)
        self._before: tuple[str, ...] = (DATA,)
        if recipe.splits is not None:
            self._splits = out / SPLITS / "splits.csv"
            self._before = (DATA, SPLITS)

    def first(self) -> list[Step]:
        """Return the steps that bring the data, and split them if that is done once for all."""
        settings = self._recipe.splits
        if settings is None or self._splits is None:
            return [self._data()]
        run = actions.splitting(settings, self._known, self._splits)
        return [
            self._data(),
            Step(SPLITS, run, settings.to_dict(), self._out / SPLITS, needs=(DATA,)),
        ]

    def _data(self) -> Step:
        recipe, n, folder = self._recipe, self._n, self._out / "data"
        if recipe.synthesize is not None:
            settings = {**recipe.synthesize.to_dict(), "effects": dict(recipe.effects)}
            run, disk = actions.synthesizing(recipe, folder), n * _IMAGE_BYTES * 3
            return Step(DATA, run, settings, folder, work=n, disk=disk)
        if recipe.data.folder is None:
            run = actions.reading(recipe, self._known)
            return Step(DATA, run, {}, work=n, files=annotated(self._known))
        build = recipe.data.to_build()
        places = {name: Path(build[name]) for name in _PLACES if build[name]}
        settings = {name: value for name, value in build.items() if name not in _PLACES}
        run = actions.building(recipe, self._known)
        return Step(
            DATA, run, settings, folder, work=n, files=below(places, self._out),
            stands=lambda: leads_to_images(self._known),
        )  # fmt: skip

    def of_model(self, name: str, one: Recipe) -> list[Step]:
        """Return the steps of a recipe of a training: its search, and all of every seed."""
        models = self._recipe.models
        needs, found = self._before, None
        steps = list[Step]()
        passes = self._n * one.train.epochs * (_BACKWARD * _TRAINED + 0.5 * (1 - _TRAINED))
        if models.search_trials:
            folder, trials = self._out / "search" / name, models.search_trials
            run = actions.searching(one, self._known, folder, trials, self._splits, self._device)
            settings = {"recipe": one.model_dump(mode="json"), "trials": trials}
            steps.append(
                Step(
                    f"search/{name}", run, settings, folder, needs=needs, resumes=True, model=name,
                    work=passes * trials, files=self._given_splits(),
                )
            )  # fmt: skip
            needs, found = (*needs, f"search/{name}"), folder / "best.toml"
        for seed in range(models.seeds):
            folder = self._out / "models" / f"{name}-{seed}"
            run = actions.training(
                one, found, self._known, folder, seed, self._splits, self._device
            )
            settings = {"recipe": one.to_record(), "seed": seed}
            steps.append(
                Step(
                    f"train/{name}/{seed}", run, settings, folder, needs=needs, resumes=True,
                    model=name, work=passes, disk=1e8, files=self._given_splits(),
                )
            )  # fmt: skip
            steps += self._measured(name, seed, folder)
        return steps

    def _measured(self, name: str, seed: int, model: Path) -> list[Step]:
        """Return the steps that measure a trained model."""
        recipe, known, device = self._recipe, self._known, self._device
        n = self._n * _fraction(recipe.explain.split)
        cells = _CELL_BYTES + (0 if recipe.explain.overlay == "none" else _IMAGE_BYTES)
        scored, run = (self._out / room / model.name for room in ("evaluated", "runs"))
        methods = len(recipe.explain.methods or ()) or 2
        explain, usage = f"explain/{name}/{seed}", recipe.feature_usage
        needs = (DATA, f"train/{name}/{seed}")
        return [
            Step(
                f"evaluate/{name}/{seed}",
                actions.evaluating(model, known, scored, recipe.evaluate, device),
                recipe.evaluate.to_dict(),
                scored, needs=needs, resumes=True, model=name, work=0.3 * self._n,
                disk=1e5,
            ),
            Step(
                explain,
                actions.explaining(model, known, run, recipe.explain, device),
                recipe.explain.to_dict(),
                run, needs=needs, resumes=True, model=name, work=n * (1.0 + methods),
                shared=("errors.csv",),
                disk=n * methods * cells,
            ),
            Step(
                f"feature-usage/{name}/{seed}",
                actions.measuring(run, known, usage),
                usage.to_dict(),
                needs=(DATA, explain), model=name, disk=n * _CELL_BYTES,
                work=2.0 * n + usage.interventions * _EDITS,
            ),
        ]  # fmt: skip

    def together(self, models: list[str]) -> list[Step]:
        """Return the steps that take all models: comparison, figures, tables, page."""
        recipe, out = self._recipe, self._out
        labels = [(name, seed) for name in models for seed in range(recipe.models.seeds)]
        scored = {
            f"evaluate/{name}/{seed}": (name, out / "evaluated" / f"{name}-{seed}")
            for name, seed in labels
        }
        runs = {
            f"feature-usage/{name}/{seed}": out / "runs" / f"{name}-{seed}" for name, seed in labels
        }
        comparison, steps, all_of_it = out / "comparison", list[Step](), tuple(runs)
        if len(models) > 1:
            run = gathering.comparing(scored, comparison, recipe.compare)
            settings = recipe.compare.to_dict()
            steps.append(
                Step(
                    COMPARE, run, settings, comparison, gathers=tuple(scored), disk=1e5,
                    lacking=lambda done: _second_model(scored, done),
                )
            )  # fmt: skip
            all_of_it += (COMPARE,)
        figures, tables, page = (out / room for room in ("figures", "tables", "report"))
        draw = gathering.drawing(runs, comparison, figures, recipe.figures)
        write = gathering.tabulating(runs, comparison, tables, recipe.tables)
        report = gathering.reporting(runs, page / "report.html")
        drawn, written = recipe.figures.to_dict(), recipe.tables.to_dict()
        if recipe.claims:
            steps.append(self._claims(scored, runs, comparison))
        return [
            *steps,
            Step("figures", draw, drawn, figures, gathers=all_of_it, disk=3e6),
            Step("tables", write, written, tables, gathers=all_of_it, disk=1e6),
            Step("report", report, {}, page, gathers=tuple(runs), disk=5e6),
        ]

    def _claims(
        self, scored: Mapping[str, tuple[str, Path]], runs: Mapping[str, Path], comparison: Path
    ) -> Step:
        """Return the step that holds claims against what was found."""
        claims, alpha = self._recipe.claims, self._recipe.feature_usage.alpha
        folder = self._out / CLAIMS
        networks = [
            (step, other, Measured(name, run, place))
            for (step, run), (other, (name, place)) in zip(
                runs.items(), scored.items(), strict=True
            )
        ]
        compared = (COMPARE,) if len(self._recipe.models.recipes) > 1 else ()
        return Step(
            CLAIMS,
            gathering.claiming(claims, networks, comparison, folder, alpha),
            {"claims": [one.to_dict() for one in claims], "alpha": alpha},
            folder,
            gathers=(*runs, *scored, *compared),
        )

    def _given_splits(self) -> Outside:
        """Identify the splits that the recipe names."""
        path = self._recipe.data.splits
        if path is None:
            return lambda _inputs: {}
        file = Path(path)
        return lambda inputs: {"splits": inputs.digest([file], file.parent)}


def _fraction(splits: str | Sequence[str] | None) -> float:
    """Return the fraction of the images that are in some splits; all without any."""
    return sum(_FRACTIONS.get(name, 0) for name in names(splits)) or 1.0


def _second_model(scored: Mapping[str, tuple[str, Path]], done: Collection[str]) -> list[str]:
    """Name the evaluations without which there are no two models to compare."""
    if len({scored[name][0] for name in done}) > 1:
        return []
    return [name for name in scored if name not in done]
