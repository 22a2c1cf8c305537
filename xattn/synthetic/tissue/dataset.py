"""A folder of generated patches, in the layout of Camelyon17 as WILDS has it, with exact masks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.annotations import AnnotatedImage, write_annotations
from xattn.disk import replacing
from xattn.errors import UsageError
from xattn.images.prefetch import prefetch
from xattn.synthetic.dataset import claim_folder
from xattn.synthetic.tissue.drawing import check_tissue_size, render_tissue
from xattn.synthetic.tissue.plan import (
    ARTIFACTS,
    LABELS,
    NUCLEI,
    PLACES,
    TRAITS,
    TissuePlan,
    TissueSpec,
    kinds,
)

ANNOTATIONS = "annotations.json"
GENERATOR = 1
"""Counts up whenever the same settings give other pixels."""
_ID_VAL = "id_val"


def synthesize_tissue(
    out: str | Path,
    n: int = 200,
    *,
    size: tuple[int, int] = (96, 96),
    seed: int = 0,
    effects: Mapping[str, float] | None = None,
    prevalence: Mapping[str, float] | None = None,
    positive_rate: float = 0.5,
    workers: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write `n` patches of generated tissue with exact masks and planted dependence.

    A stand-in for Camelyon17, of which it is no part: 50 slides of 5 centres that differ in stain,
    sharpness and scanner; small round nuclei everywhere, and in tumour patches large pale ones
    where tumour grows; pen marks, folds and bubbles. By default nuclei that grow belong to the
    disease, and a stronger stain goes with the label, as a shortcut.

    Written under `out`: metadata.csv and `patches/`, as WILDS has them; `masks/<feature>/<id>.png`
    and `growth_masks/<id>.png`; truth.json (what was planted); and last annotations.json, with the
    features, the official split and the slide as group. Patch i depends on the seed and i alone. A
    call that was stopped goes on where it was.

    Args:
        out: a new or empty folder, or one of the same settings.
        n: number of patches.
        size: (height, width) in pixels, each at least 48.
        seed: of everything.
        effects: by artifact (pen, fold, bubble) or trait (nuclear_size, nuclear_density, stain):
            log odds ratio of presence (of a trait: log odds per standard deviation) for tumour
            against normal. Those not named are independent of the label; None takes the defaults.
        prevalence: by artifact: fraction of all patches that have it.
        positive_rate: probability of "tumor".
        workers: threads; 0 draws in the calling one.
        progress: called after each patch with the number of patches done.

    Returns:
        The path of annotations.json.

    Raises:
        UsageError: a name is unknown or a number out of its range.
        XattnError: the folder holds something else.

    Examples:
        >>> from xattn.synthetic.tissue.dataset import synthesize_tissue
        >>> path = synthesize_tissue("tissue", 4)
        >>> xattn.read_annotations(path).labels
        ('normal', 'tumor')
    """
    if n < 1:
        raise UsageError(f"Expected at least 1 image, but got n={n}")
    check_tissue_size(size)
    plan = TissuePlan(seed, positive_rate, effects, prevalence or {})
    specs = [plan.draw(index) for index in range(n)]
    root = Path(out)
    claim_folder(root, json.dumps(_describe(plan, specs, size), indent=1) + "\n")
    folders = {f"patches/{spec.case}" for spec in specs} | {"growth_masks"}
    for folder in (*folders, *(f"masks/{name}" for name in (NUCLEI, *ARTIFACTS))):
        (root / folder).mkdir(parents=True, exist_ok=True)
    done = prefetch(lambda spec: _write_patch(root, spec, size), specs, workers)
    for count, _ in enumerate(done, start=1):
        if progress is not None:
            progress(count)
    with replacing(root / "metadata.csv") as scratch:
        _metadata(specs).to_csv(scratch)
    return write_annotations(
        root / ANNOTATIONS,
        (_annotated(root, spec) for spec in specs),
        labels=LABELS,
        features=kinds(),
        domain="tissue",
    )


def _annotated(root: Path, spec: TissueSpec) -> AnnotatedImage:
    places = _places(spec)
    values: dict[str, int | float | str] = {name: places[name] for name in PLACES}
    values |= {NUCLEI: 1} | {name: int(name in spec.present) for name in ARTIFACTS}
    values |= {name: round(spec.level(name), 4) for name in TRAITS}
    tumor = spec.label == LABELS[1]
    return AnnotatedImage(
        id=spec.id,
        file=root / _patch_file(spec),
        label=spec.label,
        group=str(spec.slide),
        lesion=root / f"growth_masks/{spec.id}.png" if tumor else None,
        masks={
            name: root / f"masks/{name}/{spec.id}.png"
            for name in (NUCLEI, *ARTIFACTS)
            if name == NUCLEI or name in spec.present
        },
        values=values,
    )


def _places(spec: TissueSpec) -> dict[str, str]:
    """Return where a patch comes from, as the layout of WILDS has it in annotation files."""
    patient, node = spec.case.removeprefix("patient_").split("_node_")
    return {
        "center": str(spec.center),
        "slide": str(spec.slide),
        "patient": patient,
        "node": node,
        "official_split": spec.official_split,
    }


def _metadata(specs: Sequence[TissueSpec]) -> pd.DataFrame:
    """Return metadata.csv as WILDS has it, with an index without a name."""
    return pd.DataFrame(
        [
            {
                "patient": _places(spec)["patient"],
                "node": _places(spec)["node"],
                "x_coord": spec.place[0],
                "y_coord": spec.place[1],
                "tumor": int(spec.label == LABELS[1]),
                "slide": spec.slide,
                "center": spec.center,
                "split": int(spec.official_split == _ID_VAL),
            }
            for spec in specs
        ]
    )


def _patch_file(spec: TissueSpec) -> str:
    return f"patches/{spec.case}/{spec.id}.png"


def _write_patch(root: Path, spec: TissueSpec, size: tuple[int, int]) -> None:
    path = root / _patch_file(spec)
    if path.is_file():  # written last, so its masks are there
        return
    rendered = render_tissue(spec, size)
    for name, mask in rendered.masks.items():
        _write_png(root / f"masks/{name}/{spec.id}.png", mask.astype(np.uint8) * 255)
    if spec.label == LABELS[1]:
        _write_png(root / f"growth_masks/{spec.id}.png", rendered.lesion.astype(np.uint8) * 255)
    _write_png(path, rendered.image[:, :, ::-1])


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    _, encoded = cv2.imencode(".png", pixels)
    with replacing(path, durable=False) as scratch:
        scratch.write_bytes(encoded.tobytes())


def _describe(
    plan: TissuePlan, specs: Sequence[TissueSpec], size: tuple[int, int]
) -> dict[str, Any]:
    """Return plain JSON values: settings, what was planted, and the counts that came out."""
    tumor = np.array([spec.label == LABELS[1] for spec in specs])
    variables: dict[str, Any] = {}
    for name in ARTIFACTS:
        shown, chance = np.array([name in spec.present for spec in specs]), plan.chance(name)
        variables[name] = {
            "kind": "artifact",
            "effect": plan.effect(name),
            "chance": {LABELS[0]: round(chance.benign, 6), LABELS[1]: round(chance.malignant, 6)},
            "present": {
                LABELS[0]: int((shown & ~tumor).sum()),
                LABELS[1]: int((shown & tumor).sum()),
            },
        }
    for name in TRAITS:
        scores = np.array([spec.traits[name] for spec in specs])
        means = (scores[~tumor], scores[tumor])
        variables[name] = {
            "kind": "metadata",
            "effect": plan.effect(name),
            "realised_mean": {
                label: round(float(own.mean()), 4) if own.size else None
                for label, own in zip(LABELS, means, strict=True)
            },
        }
    return {
        "schema": "xattn-truth/1",
        "what": "generated tissue, a stand-in for Camelyon17",
        "generator": GENERATOR,
        "seed": plan.seed,
        "n": len(specs),
        "size": list(size),
        "positive_rate": plan.positive_rate,
        "labels": {LABELS[0]: int((~tumor).sum()), LABELS[1]: int(tumor.sum())},
        "groups": len({spec.slide for spec in specs}),
        "variables": variables,
    }
