"""Every score of every image: one row per image, and map or control."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from xattn.analysis.faithfulness.controls import EDGES, RANDOM, edge_maps, random_maps, uniform
from xattn.analysis.faithfulness.curves import blurred, pixel_ranks, replacement_auc
from xattn.analysis.faithfulness.road import road
from xattn.analysis.faithfulness.sanity import (
    DEPTHS,
    Maps,
    make_maps,
    noisy,
    randomised_models,
    relative_change,
    similarity,
)
from xattn.attribution.run.plan import Plan
from xattn.images import Cells
from xattn.models.interface import Model

FAITHFULNESS = ("deletion", "insertion", "road_morf", "road_lerf")
"""Scores of whether the model needs what the map shows."""
SANITY = ("sensitivity", *(f"randomised_{depth}" for depth in DEPTHS))
HIGHER_IS_BETTER = frozenset({"insertion", "road_lerf"})

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ScoredImages:
    """Some images of a run as the model sees them.

    Attributes:
        ids: of each image.
        pixels: (n, height, width, 3) of 0 to 255, uint8 or float32, on the CPU.
        maps: what the run holds of them, (n, h, w) by name.
        cells: where the cells of these lie in the input, by name.
    """

    ids: tuple[str, ...]
    pixels: Tensor
    maps: Maps
    cells: Mapping[str, Cells]

    def batches(self, size: int) -> Iterator[slice]:
        """Cut into slices of at most `size` images.

        Args:
            size: images in a slice.

        Returns:
            Slices that cover all images.
        """
        yield from (slice(i, i + size) for i in range(0, len(self.ids), size))


@dataclass(frozen=True)
class Judged:
    """One map of one target, or a control with the same cells.

    Attributes:
        method: as the maps are stored, or a control's name.
        target: index of the plan's target.
        cells: where they lie in the input.
    """

    method: str
    target: int
    cells: Cells


class Scorer:
    """Scores the maps of one run, batch by batch."""

    def __init__(
        self, model: Model, fast: Model, plan: Plan, images: ScoredImages, size: int, seed: int
    ) -> None:
        """`fast` predicts as `model` does; maps for the sanity checks are made with it too."""
        self.model, self.fast, self.plan = model, fast, plan
        self.images, self.size, self.seed = images, size, seed
        self.methods = [Judged(n, i, images.cells[n]) for n, (_, i) in plan.jobs.items()]
        # By what the table calls them: cells of two layers may lie alike.
        alike = {(j.target, j.cells.grid, j.cells.ends): (j.target, j.cells) for j in self.methods}
        places = alike.values()
        self.controls = [Judged(c, *place) for place in places for c in (RANDOM, EDGES)]
        self.values: dict[tuple[Judged, str], list[Any]] = {}

    def run(self, progress: Progress | None = None) -> pd.DataFrame:
        """Return one row per image and map: image_id, method, target, grid, cells and scores.

        Args:
            progress: called as progress(done, total).
        """
        batches = list(self.images.batches(self.size))
        total = len(batches) * (1 + len(DEPTHS))
        done = 0
        for part in batches:
            self._faithfulness(part)
            self._sensitivity(part)
            done += 1
            if progress:
                progress(done, total)
        for depth, model in randomised_models(self.model, self._all_inputs, self.seed):
            for part in batches:
                self._similarity(part, depth, model)
                done += 1
                if progress:
                    progress(done, total)
        if progress:
            progress(total, total)
        return self._table()

    def _inputs(self, part: slice) -> Tensor:
        return self.model.normalise(self.images.pixels[part].to(self.model.device))

    def _all_inputs(self) -> Iterator[Tensor]:
        yield from (self._inputs(part) for part in self.images.batches(self.size))

    def _targets(self, part: slice, inputs: Tensor) -> list[Tensor]:
        """Return the explained class of each image, for each target."""
        with torch.inference_mode():
            predicted = self.fast.logits(inputs).argmax(dim=1)
        return [
            torch.tensor(
                [
                    int(p) if (w := target.rule(id_)) is None else w
                    for id_, p in zip(self.images.ids[part], predicted, strict=True)
                ],
                device=inputs.device,
            )
            for target in self.plan.targets
        ]

    def _faithfulness(self, part: slice) -> None:
        inputs, ids = self._inputs(part), self.images.ids[part]
        targets, size = self._targets(part, inputs), (inputs.shape[2], inputs.shape[3])
        ties = uniform(ids, (size[0] * size[1],), self.seed, "ties")
        blank, blur = torch.zeros_like(inputs), blurred(inputs)
        for judged in [*self.methods, *self.controls]:
            maps = self._maps_of(judged, part, inputs, ids)
            ranked = _rankable(maps)
            wanted = targets[judged.target]
            ranks = pixel_ranks(torch.where(ranked[:, None, None], maps, 0), judged.cells, ties)
            found = {
                "deletion": replacement_auc(self.fast, inputs, blank, ranks, wanted),
                "insertion": replacement_auc(self.fast, blur, inputs, ranks, wanted),
            }
            found["road_morf"], found["road_lerf"] = road(
                self.fast, inputs, ranks, wanted, ids, self.seed
            )
            for name, values in found.items():
                self._note(judged, name, torch.where(ranked, values, torch.nan))

    def _maps_of(
        self, judged: Judged, part: slice, inputs: Tensor, ids: Sequence[str], draw: str = ""
    ) -> Tensor:
        if judged.method == RANDOM:
            return random_maps(ids, judged.cells.grid, self.seed, draw)
        if judged.method == EDGES:
            return edge_maps(inputs, judged.cells)
        return self.images.maps[judged.method][part]

    def _sensitivity(self, part: slice) -> None:
        inputs, ids = self._inputs(part), self.images.ids[part]
        targets = self._targets(part, inputs)
        changes: dict[Judged, list[Tensor]] = {}
        for draw, changed in enumerate(noisy(self.model, inputs, ids, self.seed)):
            maps = make_maps(self.fast, self.plan, changed, targets)
            for judged in [*self.methods, *self.controls]:
                before = self._maps_of(judged, part, inputs, ids)
                after = maps.get(judged.method)
                if after is None:
                    after = self._maps_of(judged, part, changed, ids, f"noise {draw}")
                changes.setdefault(judged, []).append(relative_change(before, after))
        for judged, values in changes.items():
            self._note(judged, "sensitivity", torch.stack(values).mean(dim=0))

    def _similarity(self, part: slice, depth: str, model: Model) -> None:
        inputs, ids = self._inputs(part), self.images.ids[part]
        maps = make_maps(model, self.plan, inputs, self._targets(part, inputs))
        for judged in [*self.methods, *self.controls]:
            before = self._maps_of(judged, part, inputs, ids)
            after = maps.get(judged.method)
            if after is None:
                after = self._maps_of(judged, part, inputs, ids, depth)
            self._note(judged, f"randomised_{depth}", torch.from_numpy(similarity(before, after)))

    def _note(self, judged: Judged, score: str, values: Tensor) -> None:
        self.values.setdefault((judged, score), []).append(values.numpy())

    def _table(self) -> pd.DataFrame:
        """Put the scores together; a score that could not be made is NaN throughout."""
        missing = [np.full(len(self.images.ids), np.nan)]
        frames = [
            pd.DataFrame(
                {
                    "image_id": self.images.ids,
                    "method": judged.method,
                    "target": self.plan.targets[judged.target].name,
                    "grid": "{}x{}".format(*judged.cells.grid),
                    "cells": judged.cells.ends,
                    **{
                        score: np.concatenate(self.values.get((judged, score), missing))
                        for score in (*FAITHFULNESS, *SANITY)
                    },
                }
            )
            for judged in [*self.methods, *self.controls]
        ]
        return pd.concat(frames, ignore_index=True)


def _rankable(maps: Tensor) -> Tensor:
    """Say which maps (n, h, w) are finite and not the same everywhere, (n,)."""
    flat = maps.flatten(1)
    finite = torch.isfinite(flat).all(dim=1)
    return finite & (flat.amax(dim=1) > flat.amin(dim=1))
