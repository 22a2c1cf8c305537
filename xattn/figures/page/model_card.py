"""What is known of a run's model, its data and its inputs, in words."""

from __future__ import annotations

from typing import Any

from xattn.images import Cells
from xattn.runs import RunFolder
from xattn.runs.precision_words import precision_in_words


def model_name(run: RunFolder) -> str:
    """Return the architecture, or "the model" where it was not recorded."""
    name = run.settings.get("architecture")
    return str(name) if name else "the model"


def model_card(run: RunFolder) -> list[tuple[str, str]]:
    """Return what is known of the model as (title, text) pairs, without what is not recorded."""
    facts = run.settings
    pre = run.preprocessing
    pairs = [
        ("Architecture", _worded(facts.get("architecture"), facts.get("options"))),
        ("Checkpoint", _worded(facts.get("checkpoint"), facts.get("checkpoint_format"))),
        ("Ensemble", _ensemble(facts.get("ensemble") or {})),
        ("SHA-256", _worded(facts.get("checkpoint_sha256"))),
        ("Classes", ", ".join(run.classes)),
        ("Input", f"{pre.size[0]} × {pre.size[1]} pixels (height × width), {pre.scaling}, "
                  f"{pre.interpolation}; mean {_triple(pre.mean)}, std {_triple(pre.std)}"),
        ("Explained layer", _worded(facts.get("target_layer"), _grid(facts.get("target_grid")))),
        ("Cells of maps", _places(facts.get("cells") or {}, pre.size)),
        ("Attention layers", _worded(facts.get("attention_layers"))),
        ("Explained class", _worded(facts.get("target"))),
        ("Methods", ", ".join(f"{m} ({_grid(run.map_array(m).shape[1:])})" for m in run.methods)),
        ("Training", _training(facts.get("training") or {})),
        ("Device", _worded(facts.get("device"))),
        ("Precision", precision_in_words(facts)),
        ("Seed", _worded(facts.get("seed"))),
        ("Versions", _worded(facts.get("versions"))),
    ]  # fmt: skip
    return [(title, text) for title, text in pairs if text]


def _ensemble(facts: dict[str, Any]) -> str:
    """Say what is averaged, of which files, and how maps are made."""
    if not facts:
        return ""
    members = [m["checkpoint"] or m["architecture"] for m in facts["members"]]
    maps = dict.fromkeys(facts["maps"].values())
    ways = [f"{way}: {_worded([n for n, h in facts['maps'].items() if h == way])}" for way in maps]
    return "; ".join([f"mean of the {facts['average']} of {_worded(members)}", *ways])


def _places(recorded: dict[str, Any], size: tuple[int, int]) -> str:
    """Say where the first and the last cell of each layer look, in pixels of the input."""
    cells = {layer: Cells.from_dict(values) for layer, values in recorded.items()}
    told = [f"{layer} {c.ends}" for layer, c in cells.items() if c.grid != size]
    return f"{', '.join(told)} (row, column of first and last, in pixels)" if told else ""


def _training(facts: dict[str, Any]) -> str:
    """Sum up what a checkpoint says of its training; the whole of it stands in run.json."""
    parts = [f"{s['images']:,} images in {name}" for name, s in facts.get("splits", {}).items()]
    best = facts.get("best", {})
    if "epoch" in best and "val_balanced_accuracy" in best:
        parts.append(
            f"epoch {best['epoch']}, validation balanced accuracy "
            f"{best['val_balanced_accuracy']:.3f}"
        )
    return ", ".join(parts)


def _worded(value: Any, more: Any = None) -> str:
    """Write a recorded value in words, what belongs to it in brackets; "" for nothing."""
    if isinstance(value, dict):
        text = ", ".join(f"{k} {_worded(v)}" for k, v in value.items())
    elif isinstance(value, list | tuple):
        text = ", ".join(map(str, value))
    else:
        text = "" if value is None else str(value)
    extra = _worded(more) if more else ""
    return f"{text} ({extra})" if text and extra else text


def _grid(size: Any) -> str:
    return " × ".join(str(v) for v in size) if size else ""


def _triple(values: tuple[float, ...]) -> str:
    return ", ".join(f"{v:g}" for v in values)
