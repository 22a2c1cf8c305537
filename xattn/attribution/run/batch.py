"""What happens to one batch: the model's pass, maps, rows of the table, overlays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from xattn.attribution.attribute import attribute_each
from xattn.attribution.passes.relevance import Conservation, pool
from xattn.attribution.run.memory import Fitting
from xattn.attribution.run.plan import Plan
from xattn.attribution.run.sources import DecodedImage, Failure
from xattn.attribution.targets import Target
from xattn.errors import MethodError
from xattn.images.cells import Cells
from xattn.images.overlay import degenerate, draw_overlay, write_image
from xattn.models.interface import Model
from xattn.splits.membership import Membership

ENDINGS = {"png": ".png", "jpeg": ".jpg", "none": ""}


Check = Callable[[list[dict[str, Any]], list[dict[str, str]]], None]
"""Looks at rows and errors of a batch before its overlays are drawn, and raises what is wrong."""


@dataclass(frozen=True)
class Batch:
    """The results for one batch; `paintings` are overlays still being written."""

    rows: list[dict[str, Any]]
    maps: dict[str, NDArray[np.float32]]
    errors: list[dict[str, str]]
    paintings: list[Future[None]]
    size: int


class Worker:
    """Explains batches of images for one run."""

    def __init__(
        self,
        model: Model,
        plan: Plan,
        places: Mapping[str, Cells],
        labels: Mapping[str, str | None],
        member: Membership,
        out: Path,
        overlay: str,
        check: Check | None = None,
        fitting: Fitting | None = None,
    ) -> None:
        self.fitting = fitting or Fitting()
        self.model = model
        self.plan = plan
        self.places = places
        self.check = check
        self.labels = labels
        self.member = member
        self.folders = {name: out / "overlays" / name for name in plan.jobs}
        self.conserved: dict[str, Conservation] = {}
        self.ending = ENDINGS[overlay]
        if self.ending:
            for folder in self.folders.values():
                folder.mkdir(parents=True, exist_ok=True)

    def run(self, images: list[DecodedImage | Failure], painters: ThreadPoolExecutor) -> Batch:
        """Explain what could be decoded; overlays are handed to the painters."""
        errors = [p.to_row() for p in images if isinstance(p, Failure)]
        good = [p for p in images if isinstance(p, DecodedImage)]
        if not good:
            if self.check is not None:
                self.check([], errors)
            return Batch([], {}, errors, [], len(images))
        parts = self.fitting.run(good, self._forward)
        logits = np.concatenate([part[0] for part in parts])
        maps = {name: np.concatenate([part[1][name] for part in parts]) for name in parts[0][1]}
        explained = np.concatenate([part[2] for part in parts], axis=1)
        finite = np.asarray(np.isfinite(logits).all(axis=1))
        errors += [
            Failure(p.named, "predict", "Expected finite logits, but got NaN or infinity").to_row()
            for p, ok in zip(good, finite, strict=True)
            if not ok
        ]
        kept = [p for p, ok in zip(good, finite, strict=True) if ok]
        maps = {name: m[finite] for name, m in maps.items()}
        rows = self._rows(kept, logits[finite], explained[:, finite], maps)
        if self.check is not None:
            self.check(rows, errors)
        paintings = [
            painters.submit(self._paint, image, name, values[i])
            for i, image in enumerate(kept)
            for name, values in maps.items()
            if self.ending
        ]
        return Batch(rows, maps, errors, paintings, len(images))

    def _forward(
        self, images: Sequence[DecodedImage]
    ) -> tuple[NDArray[np.float64], dict[str, NDArray[np.float32]], NDArray[np.int64]]:
        """Return logits (n, classes), the maps, and the explained classes (targets, n)."""
        pixels = torch.from_numpy(np.stack([p.pixels for p in images]))
        if self.model.device.type == "cuda":
            pixels = pixels.pin_memory()  # so that the copy need not wait for the one before
        batch = self.model.normalise(pixels.to(self.model.device, non_blocking=True))
        targets = [self._wanted(target, images) for target in self.plan.targets]
        captured, found = attribute_each(self.model, batch, self.plan.jobs, targets)
        pool(self.conserved, captured[0].conserved)
        maps = {name: m.to("cpu", torch.float32).numpy() for name, m in found.items()}
        self._require_on_grid(maps)
        logits = captured[0].logits.to("cpu", torch.float64).numpy()
        return logits, maps, np.stack([each.targets.cpu().numpy() for each in captured])

    def _require_on_grid(self, maps: Mapping[str, NDArray[np.float32]]) -> None:
        for name, values in maps.items():
            (h, w), (rows, columns) = values.shape[1:], self.places[name].grid
            if (h, w) != (rows, columns):
                raise MethodError(
                    f"Expected maps of {name!r} of {rows} x {columns} cells, as its layer has, but "
                    f"got {h} x {w}; its map_layer must name another layer"
                )

    def _wanted(self, target: Target, images: Sequence[DecodedImage]) -> torch.Tensor:
        wanted = [target.rule(p.named.id) for p in images]
        return torch.tensor([-1 if w is None else w for w in wanted], device=self.model.device)

    def _rows(
        self,
        images: list[DecodedImage],
        logits: NDArray[np.float64],
        explained: NDArray[np.int64],
        maps: dict[str, NDArray[np.float32]],
    ) -> list[dict[str, Any]]:
        classes = self.model.classes
        outputs = self.model.outputs
        columns = (
            {"value": logits}
            if outputs.of_value
            else {
                "logit": logits,
                "prob": outputs.probabilities(torch.from_numpy(logits)).numpy(),
            }
        )
        rows = []
        for i, image in enumerate(images):
            row: dict[str, Any] = {
                "image_id": image.named.id,
                "file": image.named.file,
                "width": image.size[0],
                "height": image.size[1],
                "label": self.labels.get(image.named.id),
                "predicted": classes[int(logits[i].argmax())] if outputs.exclusive else None,
            }
            for what, values in columns.items():
                row |= {f"{what}_{c}": float(v) for c, v in zip(classes, values[i], strict=True)}
            row["explained"] = classes[int(explained[0, i])]
            row["converted"] = image.note
            if self.member.known:
                row["split"] = str(self.member.splits.get(image.named.id, ""))
            row |= {
                target.stored("explained"): classes[int(explained[j, i])]
                for j, target in enumerate(self.plan.targets)
                if j and target.name in ("predicted", "label")
            }
            row |= {f"degenerate_{name}": degenerate(m[i]) for name, m in maps.items()}
            rows.append(row)
        return rows

    def _paint(self, image: DecodedImage, method: str, values: NDArray[np.float32]) -> None:
        view = self.model.preprocessing.view(*image.size)
        drawn = draw_overlay(image.thumb, values, self.places[method], view, image.size)
        write_image(self.folders[method] / f"{image.named.id}{self.ending}", drawn)
