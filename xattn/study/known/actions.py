"""What the steps of a study of known answers do, beside those of any study."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.documents import read_json
from xattn.study.actions import Action

if TYPE_CHECKING:
    from xattn.analysis.known.world import World
    from xattn.study.known_table import KnownTable, Network
    from xattn.study.recipe import FiguresSettings
    from xattn.study.steps import Telling

TRUTH = "true_effects"


def drawing_world(world: World, table: KnownTable, folder: Path) -> Action:
    """Return what renders the images of a world."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.analysis.known.scenes import SCENES, draw_images, draw_scenes

        parts = {"with": True, "without": False} if table.seeds_without else {"with": True}
        total, done = images_of_world(world, table), [0]

        def count() -> None:
            done[0] += 1
            say.progress(done[0], total)

        written = []
        for part, planted in parts.items():
            specs = (world.to_learn(i, planted) for i in range(table.train_images))
            written.append(draw_images(specs, folder / part, table.size, count))
        measured = map(world.to_measure, range(world.images))
        written.append(draw_images(measured, folder / "measured", table.size, count))
        written.append(draw_scenes(world, table.scenes, folder / SCENES, table.size, count))
        return written

    return run


def images_of_world(world: World, table: KnownTable) -> int:
    """Return how many images are rendered for a world."""
    from xattn.analysis.known.scenes import images_of_scenes

    sets = 2 if table.seeds_without else 1
    return sets * table.train_images + world.images + images_of_scenes(table.scenes)


def measuring_effects(run_folder: Path, model: Path, scenes: Path, device: str) -> Action:
    """Return what measures what a network uses, on true counterfactuals."""

    def run(_say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.analysis.known.effects import effects_in_run
        from xattn.models import load
        from xattn.runs import RunFolder

        network = load(model / "model.pt", device=device)
        folder = RunFolder.open(run_folder)
        return [folder.write_table(TRUTH, effects_in_run(folder, network, scenes))]

    return run


def gathering(out: Path, networks: Mapping[str, Network], alpha: float, folder: Path) -> Action:
    """Return what gathers all networks into known.csv, and counts.

    Args:
        out: folder of the study.
        networks: of the step that ends each network.
        alpha: level of the tests.
        folder: for the tables.
    """

    def run(say: Telling, taken: tuple[str, ...]) -> list[Path]:
        import pandas as pd

        from xattn.analysis.known.rates import rates_of, with_truth
        from xattn.analysis.known.rows import rows_of_network
        from xattn.runs import RunFolder, TableFolder

        folder.mkdir(parents=True, exist_ok=True)
        own = [network for step, network in networks.items() if step in taken]
        parts = []
        for done, network in enumerate(own, 1):
            facts = read_json(out / "models" / network.name / "train.json")
            parts.append(
                rows_of_network(
                    RunFolder.open(out / "runs" / network.name),
                    network.world,
                    alpha=alpha,
                    network=network.name,
                    architecture=network.architecture,
                    seed=network.seed,
                    planted=network.planted,
                    accuracy=facts["test"]["balanced_accuracy"],
                )
            )
            say.progress(done, len(own))
        rows = with_truth(pd.concat(parts, ignore_index=True))
        tables = TableFolder(folder)
        return [
            tables.write_table("known", rows),
            tables.write_table("known_answers", rates_of(rows)),
        ]

    return run


def drawing_known(known: Path, folder: Path, settings: FiguresSettings) -> Action:
    """Return what draws the figures of the known answers."""

    def run(say: Telling, _taken: tuple[str, ...]) -> list[Path]:
        from xattn.figures.folders import KnownFolder
        from xattn.figures.registry import FIGURES, save_figures

        only: Sequence[str] = [name for name, card in FIGURES.items() if card.of is KnownFolder]
        return save_figures(
            known, only=only, out=folder, formats=settings.formats, venue=settings.venue,
            strict=False, on_note=say.note,
        )  # fmt: skip

    return run
