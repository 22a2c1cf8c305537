"""Reading a run folder, and writing tables into it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xattn.errors import RunError, near
from xattn.images.cells import Cells
from xattn.images.geometry import View
from xattn.images.preprocessing import Preprocessing
from xattn.notebook import facts_html
from xattn.paths import as_path, joined
from xattn.runs.again import record_again, run_again
from xattn.runs.places import recorded_cells
from xattn.runs.record import predictions_sha256
from xattn.runs.table_folder import TableFolder, read_settings
from xattn.runs.tables import TABLES

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from xattn.runs.arrays import StoredArray

DEFAULT_RUN = "xattn-run"
REPLACING = ".replacing"
"""There while maps and table of a run may be of different images."""


@dataclass(frozen=True)
class RunFolder(TableFolder):
    """A finished run on disk.

    Attributes:
        path: the folder.

    `predictions` row i, `maps(method)[i]` and `view(i)` are of the same image.
    """

    @property
    def of_output(self) -> str:
        """Name of the one output that a run of independent outputs is seen as; "" for all."""
        return ""

    def _repr_html_(self) -> str:
        facts = self.settings
        there = [name for name in TABLES if self.has_table(name)]
        return facts_html(
            f"Run {self.path.resolve().name}",
            {
                "model": str(facts.get("architecture") or ""),
                "images": f"{len(self.predictions):,}",
                "classes": ", ".join(self.classes),
                "methods": ", ".join(self.methods) or "none",
                "tables": ", ".join(there) or "none",
            },
        )

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open the run folder at `path`.

        Raises:
            RunError: there is none, or its run never finished.
        """
        folder = cls(as_path(path, "a run folder"))
        if not (folder.path / "run.json").is_file():
            raise RunError(
                f"Expected a run folder at {path}, but got no run.json there"
                f"; make one with {run_again(folder.path)}"
            )
        if not (folder.path / "predictions.parquet").is_file():
            raise RunError(
                f"Expected a finished run in {path}, but got no predictions.parquet"
                f"; repeat {run_again(folder.path)} to go on where it stopped"
            )
        if (folder.path / REPLACING).is_file():
            raise RunError(
                f"Expected a finished run in {path}, but it was stopped while images that had been "
                f"replaced were done again; repeat {run_again(folder.path, last=True)} to go on"
            )
        return folder

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Content of run.json."""
        return read_settings(self.path / "run.json")

    @property
    def classes(self) -> list[str]:
        """Class names, in the order of the logits."""
        return list(self.settings["classes"])

    @property
    def exclusive(self) -> bool:
        """Whether one of the classes is true of an image and no two, as a softmax has it."""
        return bool(self.settings.get("readout", {}).get("exclusive", True))

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """How images became model inputs in this run."""
        return Preprocessing.from_dict(self.settings["preprocessing"])

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """One row per image: image_id, file, width, height, label, predicted, logit_*, prob_*."""
        return read_predictions(self.path / "predictions.parquet")

    def require_whole(self) -> None:
        """Make sure that records, tables and predictions belong together; see `TableFolder`."""
        super().require_whole()
        if outdated := self.outdated_analysis():
            told = "Expected an analysis of the predictions that are there"
            raise RunError(f"{told}, but {outdated}")

    def outdated_analysis(self) -> str:
        """Say that the analysis in the folder is of other predictions; "" if of these, or none."""
        name = "analysis.json"
        try:
            facts = read_settings(self.path / name) if (self.path / name).is_file() else {}
        except RunError:  # whoever reads it is told
            return ""
        known = facts.get("predictions_sha256")
        if known is None or known == predictions_sha256(self.predictions):
            return ""
        n = len(self.predictions)
        of = facts.get("counts", {}).get("images", n)
        what = f"{of} images, and there are {n} now" if of != n else "images that were done again"
        again = record_again(self.path, name)
        return f"the analysis in {self.path} is of {what}; repeat {again}"

    @property
    def of_value(self) -> bool:
        """Whether the outputs are values, as of a regression, of which none is a class."""
        return self.settings.get("outputs") == "value"

    @property
    def ordered(self) -> bool:
        """Whether the classes are grades, the lowest first, as of an ordinal head."""
        return self.settings.get("outputs") in ("ordinal", "corn")

    def own(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return what a record such as analysis.json says of what this folder is seen as.

        Args:
            record: its content.
        """
        return record

    def stored(self, method: str) -> str:
        """Return the name under which the maps and overlays of a method are stored.

        Args:
            method: one of `methods`.
        """
        return method

    @property
    def methods(self) -> list[str]:
        """Names of the explanation methods whose maps are stored."""
        return list(self.settings["methods"])

    def map_array(self, method: str) -> StoredArray:
        """Return the stored maps of one method, float32 (n, h, w), unread.

        Raises:
            RunError: the method is not part of this run, or its maps are damaged.
        """
        if method not in self.methods:
            raise RunError(f"Run {self.path} holds no {method!r} maps{near(method, self.methods)}")
        stored = self.stored_maps(method)
        path = stored.path
        if len(stored) < len(self.predictions):
            raise RunError(
                f"Expected a map of {method!r} for each of {len(self.predictions)} images, but got "
                f"{len(stored)} in {path}; delete it and repeat {run_again(self.path, last=True)}"
            )
        return stored

    def stored_maps(self, method: str) -> StoredArray:
        """Return the stored maps of one method as they are, of however many images.

        Raises:
            RunError: they are damaged.
        """
        from xattn.runs.arrays import StoredArray

        again = f"delete it and repeat {run_again(self.path, last=True)}"
        path = self.path / "maps.zarr" / method
        return StoredArray(path, f"{again}, which does {method!r} again")

    def maps(self, method: str) -> NDArray[np.float32]:
        """Read all maps of one method: float32 (n, h, w) at the method's own resolution."""
        import numpy as np

        # A kill while images were added can leave maps whose rows are not in the table yet.
        return np.asarray(self.map_array(method)[: len(self.predictions)], dtype=np.float32)

    def cells(self, method: str) -> Cells:
        """Return where the cells of a method's maps lie in what the model saw.

        Spread evenly over it where an older run does not say, see `spread_evenly`.

        Raises:
            RunError: the method is not part of this run, or its maps have other cells.
        """
        grid = self.map_array(method).shape[1:]
        cells = recorded_cells(self.settings, method)
        if cells is None:
            return Cells.spread((grid[0], grid[1]), self.preprocessing.size)
        if cells.grid != grid:
            raise RunError(
                f"Expected {grid[0]} x {grid[1]} cells of {method!r} in {self.path / 'run.json'}, "
                f"but got {cells.grid[0]} x {cells.grid[1]}"
            )
        return cells

    @cached_property
    def spread_evenly(self) -> list[str]:
        """Methods whose cells are taken to be spread evenly, since the run does not say where.

        Maps of the input's own pixels are not among them: there is nothing to know.
        """
        size = self.preprocessing.size
        return [
            method
            for method in self.methods
            if recorded_cells(self.settings, method) is None
            and self.map_array(method).shape[1:] != size
        ]

    def view(self, row: int) -> View:
        """Return the part of image `row` that the model saw: the region its map covers."""
        size = self.predictions.iloc[row]
        return self.preprocessing.view(int(size["width"]), int(size["height"]))

    def image_path(self, row: int) -> Path:
        """Return where image `row` was read from."""
        base: str = self.settings["base"]
        return joined(self.path / base, str(self.predictions["file"].iloc[row]))


def read_predictions(path: Path) -> pd.DataFrame:
    """Read a predictions.parquet.

    Raises:
        RunError: it is damaged.
    """
    from xattn.runs.parquet import read_parquet

    again = run_again(path.parent)
    return read_parquet(path, f"delete it and repeat {again} to have all images done again")


def last_run(here: str | Path = ".") -> RunFolder:
    """Return the run folder meant when none is named: `xattn-run`, else the newest beside it.

    Raises:
        RunError: there is no run folder under `here`.
    """
    here = Path(here)
    if (here / DEFAULT_RUN / "run.json").is_file():
        return RunFolder.open(here / DEFAULT_RUN)
    runs = sorted(here.glob("*/run.json"), key=lambda p: p.stat().st_mtime)
    if not runs:
        raise RunError(
            "Expected a run folder here, but found none"
            "; make one with `xattn explain --ckpt model.pt --images dir/`, or name one with --run"
        )
    return RunFolder.open(runs[-1].parent)
