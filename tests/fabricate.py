"""Run folders made by hand, with known content, for tests of what comes after `explain`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import zarr
from PIL import Image

from xattn.images import Cells, Preprocessing
from xattn.runs import RunFolder
from xattn.runs.places import to_record
from xattn.runs.writer import RunWriter


def fabricate_run(
    root: Path,
    logits: np.ndarray,
    maps: dict[str, np.ndarray],
    labels: list[str] | None = None,
    classes: tuple[str, ...] = ("benign", "malignant"),
    image_size: tuple[int, int] = (48, 32),
    input_size: tuple[int, int] = (32, 32),
    seed: int = 0,
    cells: dict[str, Cells] | None = None,
) -> RunFolder:
    """Write `root/images/img_0000.png ...` and `root/run`, as `xattn explain` would.

    Args:
        logits: (n, classes); predicted classes and probabilities follow from it.
        maps: method -> (n, h, w).
        labels: the reference class of each image, or None where it is unknown.
        image_size: (width, height) of the images, random noise.
        input_size: (height, width) of the model's input; images are squashed to it.
        cells: method -> where its cells lie, default spread evenly; {} records nothing, as
            earlier versions did.
    """
    rng = np.random.default_rng(seed)
    n = len(logits)
    (root / "images").mkdir(parents=True, exist_ok=True)
    prob = np.exp(logits - logits.max(1, keepdims=True))
    prob /= prob.sum(1, keepdims=True)
    rows = []
    for i in range(n):
        pixels = rng.integers(0, 256, (image_size[1], image_size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"img_{i:04d}.png")
        row = {
            "image_id": f"img_{i:04d}",
            "file": f"images/img_{i:04d}.png",
            "width": image_size[0],
            "height": image_size[1],
            "label": None if labels is None else labels[i],
            "predicted": classes[int(np.argmax(logits[i]))],
        }
        row |= {f"logit_{c}": float(v) for c, v in zip(classes, logits[i], strict=True)}
        row |= {f"prob_{c}": float(v) for c, v in zip(classes, prob[i], strict=True)}
        rows.append(row)
    settings = {
        "schema": "xattn-run/1",
        "architecture": "none",
        "checkpoint": "model.pt",
        "checkpoint_sha256": "0" * 64,
        "classes": list(classes),
        "preprocessing": Preprocessing(size=input_size).to_dict(),
        "methods": list(maps),
        "target": "predicted",
        "target_layer": "none",
        "base": "..",
    }
    if cells is None:
        cells = {m: Cells.spread(values.shape[1:], input_size) for m, values in maps.items()}
    if cells:
        layers = {method: f"layer of {method}" for method in cells}
        settings |= to_record(layers, {layers[method]: lie for method, lie in cells.items()})
    writer = RunWriter.start(root / "run", settings)
    writer.commit(rows, maps)
    return writer.finish()


def change_maps(run: RunFolder, method: str, rows: slice | int, values: np.ndarray | float) -> None:
    """Write other maps into a run; chunks that come to be all zeros stay there, as explain's do."""
    with zarr.config.set({"array.write_empty_chunks": True}):
        zarr.open_array(run.path / "maps.zarr" / method, mode="r+")[rows] = values
