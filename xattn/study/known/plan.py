"""From the table [known] of a recipe to the steps of a study of known answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xattn.study import actions
from xattn.study.known import actions as own
from xattn.study.known_table import KnownTable, Network
from xattn.study.recipe import StudyRecipe
from xattn.study.steps import Step
from xattn.training.recipe import Recipe

KNOWN = "known"
_PASSES = 2.4
"""Passes forwards of a training, of an image in an epoch, of the order of."""
_EDITS = 60.0
"""Edited copies of an image that interventions and doses look at, of the order of."""
_IMAGE_BYTES, _MODEL_BYTES, _RUN_BYTES = 5e3, 6e6, 2e7


def plan_known(recipe: StudyRecipe, table: KnownTable, out: Path, device: str) -> list[Step]:
    """Return the steps of a study of known answers, world by world; nothing is done.

    Args:
        recipe: of the study.
        table: its [known].
        out: folder of the study.
        device: where to compute.
    """
    trainings = table.trainings(str(recipe.source))
    steps, drawn, ends = list[Step](), set[str](), dict[str, Network]()
    for network in table.networks():
        world = network.world
        folder = out / "worlds" / world.name
        if world.name not in drawn:
            drawn.add(world.name)
            steps.append(_images(table, network, folder))
        of_network = _of_network(recipe, table, trainings, network, out, device)
        steps += of_network
        ends[of_network[-1].name] = network
    known, figures = out / KNOWN, out / "figures"
    alpha = recipe.feature_usage.alpha
    gather = own.gathering(out, ends, alpha, known)
    draw = own.drawing_known(known, figures, recipe.figures)
    facts = {"alpha": alpha, "networks": [one.name for one in ends.values()]}
    return [
        *steps,
        Step(KNOWN, gather, facts, known, gathers=tuple(ends), disk=1e7),
        Step("figures", draw, recipe.figures.to_dict(), figures, gathers=(KNOWN,), disk=1e6),
    ]


def _images(table: KnownTable, network: Network, folder: Path) -> Step:
    world = network.world
    settings: dict[str, Any] = {
        "world": world.model_dump(mode="json"),
        **table.model_dump(mode="json", include={"size", "train_images", "scenes"}),
        "without": bool(table.seeds_without),
    }
    work = own.images_of_world(world, table)
    return Step(
        f"images/{world.name}",
        own.drawing_world(world, table, folder),
        settings, folder, work=work, disk=work * _IMAGE_BYTES,
    )  # fmt: skip


def _of_network(
    recipe: StudyRecipe,
    table: KnownTable,
    trainings: dict[str, Recipe],
    network: Network,
    out: Path,
    device: str,
) -> list[Step]:
    """Return the steps of one network; the last one ends it."""
    from xattn.analysis.known.scenes import SCENES, annotations_in, images_of_scenes

    world, name, one = network.world, network.name, trainings[network.architecture]
    images, place = f"images/{world.name}", out / "worlds" / world.name
    model, run, measured = out / "models" / name, out / "runs" / name, place / "measured"
    learnt, known = annotations_in(place / network.part), annotations_in(measured)
    usage, n = recipe.feature_usage, world.images
    methods = len(recipe.explain.methods or ()) or 2
    train, explain, use, truth = (
        f"{kind}/{name}" for kind in ("train", "explain", "feature-usage", "truth")
    )
    facts = {"recipe": one.to_record(), "seed": network.seed, "images": network.part}
    passes = table.train_images * one.train.epochs * _PASSES
    return [
        Step(
            train,
            actions.training(one, None, learnt, model, network.seed, None, device),
            facts, model, needs=(images,), resumes=True,
            model=network.architecture, work=passes, disk=_MODEL_BYTES,
        ),
        Step(
            explain,
            actions.explaining(model, known, run, recipe.explain, device),
            recipe.explain.to_dict(), run, needs=(images, train), resumes=True,
            model=network.architecture, work=n * (1.0 + methods), disk=_RUN_BYTES,
            shared=("errors.csv", f"{own.TRUTH}.csv"),
        ),
        Step(
            use,
            actions.measuring(run, known, usage),
            usage.to_dict(), needs=(images, explain),
            model=network.architecture, work=2.0 * n + usage.interventions * _EDITS,
        ),
        Step(
            truth,
            own.measuring_effects(run, model, place / SCENES, device),
            {}, needs=(images, train, use),
            model=network.architecture, work=2.0 * images_of_scenes(table.scenes),
        ),
    ]  # fmt: skip
