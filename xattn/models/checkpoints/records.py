"""How images become inputs, as far as a checkpoint, the files beside it or its architecture say."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from xattn.errors import XattnError
from xattn.images.preprocessing import Preprocessing, before_crop
from xattn.models.architectures.registry import variants
from xattn.models.checkpoints.checkpoint import Checkpoint
from xattn.models.checkpoints.folders import read_json
from xattn.models.checkpoints.own_format import LARGEST_SIDE, MOST_CLASSES
from xattn.models.checkpoints.pickles import fields
from xattn.models.probing.normalisation import scale_of

BESIDE = ("preprocessor_config.json", "config.json", "args.yaml", "hparams.yaml")
"""Files in which hubs and trainings say how a checkpoint's inputs are made."""

LARGEST_FILE = 2_000_000
DEEPEST = 4

_PROBLEMS = {
    "multi_label_classification": "sigmoid",
    "single_label_classification": "softmax",
    "regression": "value",
}
"""Hugging Face's words for what the outputs are."""

_RESAMPLING = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Pillow's numbers, as Hugging Face stores them."""

_NAMES: dict[str, tuple[str, ...]] = {
    "mean": ("mean", "image_mean", "img_mean", "pixel_mean", "norm_mean", "normalize_mean"),
    "std": ("std", "image_std", "img_std", "pixel_std", "norm_std", "normalize_std"),
    "interpolation": ("interpolation", "resample"),
    "size": (
        "input_size", "img_size", "image_size", "crop_size", "val_crop_size", "size", "imgsz",
    ),
    "resize": ("val_resize_size", "resize_size"),
    "crop_pct": ("crop_pct",),
    "crop_mode": ("crop_mode",),
    "architecture": (
        "architecture", "arch", "model", "model_name", "backbone", "backbone_name", "encoder",
        "encoder_name", "base_model", "net", "network", "model_arch", "timm_model",
    ),
    "classes": (
        "label_names", "class_names", "classes", "id2label", "class_to_idx", "idx_to_class",
        "label2id", "CLASSES", "categories", "target_names", "labels", "names", "vocab",
    ),
    "outputs": ("problem_type",),
}  # fmt: skip
"""What is looked for, and how it is called in the field."""


@dataclass(frozen=True)
class Record:
    """What is said about a checkpoint's inputs.

    Attributes:
        values: mean, std, interpolation, size, resize, crop_pct, crop_mode, architecture, classes,
            outputs; each if it is said.
        sources: where each is from, in words.
        others: other lists of classes than the one taken, and where each is from.
    """

    values: dict[str, Any] = field(default_factory=dict)
    sources: dict[str, str] = field(default_factory=dict)
    others: dict[str, list[str]] = field(default_factory=dict)

    def named_classes(self) -> dict[str, list[str]]:
        """Return every list of classes by who names it, the one taken first."""
        if "classes" not in self.values:
            return {}
        return {self.sources["classes"]: self.values["classes"], **self.others}

    def apply(self, published: Preprocessing) -> Preprocessing:
        """Change a published preprocessing as far as something else is said."""
        said = self.values
        size = said.get("size", published.size)
        mode = published.mode
        if "crop_mode" in said:
            mode = "squash" if said["crop_mode"] == "squash" else "crop"
        changes: dict[str, Any] = {
            name: said[name] for name in ("mean", "std", "interpolation") if name in said
        }
        if mode == "crop" and "resize" in said:
            changes["resize"] = max(said["resize"], *size)
        elif mode == "crop" and "crop_pct" in said:
            changes["resize"] = before_crop(size, 1 / said["crop_pct"])
        return replace(published.at(size, mode), **changes)


def find_record(checkpoint: Checkpoint, architecture: str | None) -> Record:
    """Gather what the checkpoint and the files beside it say, the checkpoint first.

    A file beside it that is of another architecture is passed over.
    """
    record = Record()
    for source, content in _sources(checkpoint):
        said = dict(_read(content))
        if ("mean" in said) != ("std" in said):
            said = {k: v for k, v in said.items() if k not in ("mean", "std")}
        named = said.get("architecture")
        if architecture and named and is_known(named) and _bare(named) != _bare(architecture):
            continue
        for name, value in said.items():
            if name not in record.values:
                record.values[name] = value
                record.sources[name] = source
            elif name == "classes" and value != record.values[name]:
                record.others[source] = value
    return record


def _bare(architecture: str) -> str:
    return architecture.rpartition("/")[2].split(".")[0]


def _sources(checkpoint: Checkpoint) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for key, value in checkpoint.content.items():
        inner = fields(value)
        if inner:
            yield f"the checkpoint's {key}", inner
    yield (
        "the checkpoint",
        {
            k: v
            for k, v in checkpoint.content.items()
            if k in _NAMES["classes"] or not (fields(v) or k == "state_dict")
        },
    )
    buffers = _buffers(checkpoint.state)
    if buffers and checkpoint.module is not None:  # what runs normalises inside
        where = buffers.pop("where")
        inside = {"mean": [0.0] * 3, "std": [scale_of(buffers["mean"])] * 3}
        yield f"the network, which normalises inside ({where})", inside
    elif buffers:
        yield f"the checkpoint's buffers {buffers.pop('where')}", buffers
    folders = [checkpoint.path.parent]
    if folders[0].name == "checkpoints":  # lightning keeps hparams.yaml one level up
        folders.append(folders[0].parent)
    for folder in folders:
        for name in BESIDE:
            content = _read_file(folder / name)
            if isinstance(content, Mapping):
                yield f"{name} beside it", content


def _buffers(state: Mapping[str, Tensor]) -> dict[str, Any]:
    """Find mean and standard deviation that a first layer normalises by."""
    for key, value in state.items():
        stem, _, name = key.rpartition(".")
        other = state.get(f"{stem}.std")
        if name == "mean" and value.numel() == 3 and other is not None and other.numel() == 3:
            mean, std = value.flatten().tolist(), other.flatten().tolist()
            return {"where": f"{key} and {stem}.std", "mean": mean, "std": std}
    return {}


def _read_file(path: Path) -> Any:
    try:
        if not path.is_file() or path.stat().st_size > LARGEST_FILE:
            return None
        if path.suffix == ".json":
            return read_json(path)
        import yaml  # type: ignore[import-untyped]

        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except Exception:  # a record that cannot be read says nothing
        return None


def _read(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what a record says, in this project's terms, the outermost word first."""
    flat = list(_levels(content, DEEPEST))
    if any(level.get("do_normalize") is False for level in flat):
        yield "mean", (0.0, 0.0, 0.0)
        yield "std", (1.0, 1.0, 1.0)
        said = {*_NAMES["mean"], *_NAMES["std"]}
        flat = [{k: v for k, v in level.items() if k not in said} for level in flat]
    yield from _resizing(content)
    for name, aliases in _NAMES.items():
        parse = _PARSE[name]
        found = (
            value
            for level in flat
            for alias in aliases
            if alias in level and (value := parse(level[alias])) is not None
        )
        first = next(found, None)
        if name == "architecture":  # of a word that anything may be called by, a known one
            first = next((one for one in (first, *found) if one and is_known(one)), first)
        if first is not None:
            yield name, first


def _resizing(content: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield how an image processor of Hugging Face resizes, beside networks of another library."""
    size = content.get("size")
    if not isinstance(size, Mapping) or "do_resize" not in content:
        return
    if not content.get("do_center_crop"):
        if "height" in size:
            yield "crop_mode", "squash"
    elif (edge := _side(size.get("shortest_edge"))) is not None:
        yield "resize", edge


def is_known(architecture: str) -> bool:
    """Whether a name is one that can be built."""
    try:
        return bool(variants(architecture))
    except XattnError:
        return False


def _levels(content: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    """Yield a record and those within it, level by level."""
    level = [content]
    for _ in range(depth):
        yield from level
        level = [f for one in level for v in list(one.values())[:200] if (f := fields(v))][:50]


def _colours(value: Any) -> tuple[float, float, float] | None:
    """Read three numbers, or a list of one for all channels; those of 8-bit values are scaled.

    A bare number may be anything, such as the mean of a score.
    """
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) not in (1, 3):
        return None
    if not all(type(x) in (int, float) and math.isfinite(x) for x in value):
        return None
    numbers = [float(x) for x in value] * (3 // len(value))
    if max(map(abs, numbers)) > 2:
        numbers = [x / 255 for x in numbers]
    r, g, b = numbers
    return r, g, b


def _deviations(value: Any) -> tuple[float, float, float] | None:
    found = _colours(value)
    return found if found and min(found) > 0 else None


def _side(value: Any) -> int | None:
    return value if type(value) is int and 1 <= value <= LARGEST_SIDE else None


def _size(value: Any) -> tuple[int, int] | None:
    if isinstance(value, Mapping):
        edge = value.get("shortest_edge")
        value = [value.get("height", edge), value.get("width", edge)]
    if type(value) is int:
        value = [value, value]
    if not isinstance(value, Sequence) or isinstance(value, str) or not 2 <= len(value) <= 3:
        return None
    height, width = _side(value[-2]), _side(value[-1])
    return (height, width) if height and width else None


def _filter(value: Any) -> str | None:
    name = _RESAMPLING.get(value) if type(value) is int else value
    return name if name in _RESAMPLING.values() else None


def _fraction(value: Any) -> float | None:
    return float(value) if type(value) in (int, float) and 0.1 <= value <= 1 else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) < 100 else None


def _class_names(value: Any) -> list[str] | None:
    if isinstance(value, Mapping) and value:
        keys, values = list(value), list(value.values())
        if all(type(v) is int for v in values):  # class -> index
            keys, values = values, keys
        if not all(str(k).isdecimal() for k in keys):
            return None
        numbered = sorted(zip(map(int, keys), values, strict=True), key=lambda one: one[0])
        if [number for number, _ in numbered] != list(range(len(numbered))):
            return None  # a gap: which output is whose is not said
        value = [v for _, v in numbered]
    if not isinstance(value, Sequence) or isinstance(value, str):
        return None
    names = 1 < len(value) <= MOST_CLASSES and all(isinstance(v, str) for v in value)
    return list(value) if names and len(set(value)) == len(value) else None


def _outputs(value: Any) -> str | None:
    return _PROBLEMS.get(value) if isinstance(value, str) else None


_PARSE: dict[str, Any] = {
    "mean": _colours, "std": _deviations, "interpolation": _filter, "size": _size,
    "resize": _side, "crop_pct": _fraction, "crop_mode": _text, "architecture": _text,
    "classes": _class_names, "outputs": _outputs,
}  # fmt: skip
