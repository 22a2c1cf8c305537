"""`xattn models` and `xattn inspect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import rich_click as click

from xattn.cli.from_settings import options_of, taken
from xattn.cli.options import checkpoint_option, common
from xattn.cli.terminal import Terminal
from xattn.settings.load import LoadSettings

if TYPE_CHECKING:
    from xattn.models import Model

SIDE = 224
"""Side of the image, in pixels, that multiply-adds are counted for."""


@click.command("models")
@click.argument("names", nargs=-1)
@click.option("--methods", is_flag=True, help="List the explanation methods instead.")
@common
def models_command(
    names: tuple[str, ...], methods: bool, quiet: bool, as_json: bool, debug: bool
) -> None:
    """List the study's architectures; for NAMES try every explanation method.

    Beside the study's, every architecture of timm and torchvision can be named, and every one of
    timm with convolutional stages as a hybrid, such as convnext_tiny-la. With --methods the
    explanation methods are listed.
    """
    import pandas as pd

    terminal = Terminal(quiet, as_json)
    if methods:
        rows = _method_rows()
        terminal.table(pd.DataFrame(rows), "Explanation methods")
        terminal.summary({"methods": rows})
        return
    from xattn.models import ARCHITECTURES

    rows = [_architecture_row(name, tried=bool(names)) for name in names or ARCHITECTURES]
    title = f"Architectures of two classes; multiply-adds of an image of {SIDE} x {SIDE}"
    terminal.table(pd.DataFrame([_worded(row) for row in rows]), title)
    terminal.summary({"architectures": rows, "size": [SIDE, SIDE]})


def _architecture_row(name: str, tried: bool) -> dict[str, Any]:
    from xattn.models import ARCHITECTURES
    from xattn.models.cost import cost_of

    entry, cost = ARCHITECTURES.get(name), cost_of(name, size=(SIDE, SIDE))
    return {
        "name": name,
        "family": entry.family if entry else "other",
        "parameters": cost.parameters,
        "multiply_adds": cost.multiply_adds,
        "maps": _methods_that_work(name) if tried else _main_maps(cost.attends),
        "what": entry.meaning if entry else "",
    }


def _main_maps(attends: bool) -> list[str]:
    return ["gradcam", "attention"] if attends else ["gradcam"]


def _methods_that_work(name: str) -> list[str]:
    """Ask every explanation method, by the check that it makes before a run."""
    from xattn.attribution.registry import METHODS
    from xattn.errors import MethodError
    from xattn.images.preprocessing import Preprocessing
    from xattn.models import build, wrap

    module = build(name, 2).eval()
    size = Preprocessing(size=(SIDE, SIDE))
    model = wrap(module, classes=["a", "b"], preprocessing=size, arch=name)
    found = []
    for key, method in METHODS.items():
        try:
            method.check(model)
        except MethodError:
            continue
        found.append(key)
    return found


def _worded(row: dict[str, Any]) -> dict[str, str]:
    """Write a row for a person."""
    return {
        "name": row["name"],
        "family": row["family"],
        "parameters": f"{row['parameters'] / 1e6:.2f} M",
        "multiply-adds": f"{row['multiply_adds'] / 1e9:.2f} G",
        "maps": ", ".join(row["maps"]),
    }


def _method_rows() -> list[dict[str, Any]]:
    from xattn.attribution.registry import methods

    return [
        {
            "name": name,
            "family": card.family,
            "models": card.models,
            "needs": str(card.needs),
            "cost": card.cost,
            "resolution": card.resolution,
            "signed": "yes" if card.signed else "no",
            "source": card.source,
        }
        for name, card in methods().items()
    ]


@click.command("inspect")
@checkpoint_option(required=True)
@options_of(LoadSettings, without=("device", "ensemble"))
@common
def inspect_command(ckpt: Path, quiet: bool, as_json: bool, debug: bool, **chosen: Any) -> None:
    """Show what is in a checkpoint and how it would be explained."""
    from xattn.attribution.run.provenance import describe_run
    from xattn.cli.loading import load_model

    terminal = Terminal(quiet, as_json)
    model = load_model(ckpt, taken(LoadSettings, chosen, device="cpu"))
    record = describe_run(model, [], "predicted", 1)
    source = model.source
    p = model.preprocessing
    lines = {
        "file": f"{source['path']} ({source['format']}, sha256 {source['sha256'][:12]}...)",
        "architecture": model.architecture,
        "parameters": f"{sum(w.numel() for w in model.module.parameters()):,}",
        "classes": ", ".join(model.classes),
        "outputs": model.outputs.describe(model.classes),
        "input": f"{p.size[0]} x {p.size[1]}, {p.scaling}, {p.interpolation}",
        "mean, std": f"{_numbers(p.mean)}, {_numbers(p.std)} ({source['normalisation']})",
        "target layer": _target(model),
    }
    if source["weights"] != "raw":
        lines["weights"] = "averaged" if source["weights"] == "ema" else source["weights"]
    for key, value in lines.items():
        terminal.say(f"{key:14} {value}")
    for layer in model.attention_layers:
        read = f"read at token {list(layer.readout)}" if layer.readout else "received by position"
        read = "pooled" if layer.pools else read
        grid = f"grid {layer.grid}, {layer.heads} heads"
        terminal.say(f"{'attention':14} {layer.name} ({layer.kind}), {grid}, {read}")
    if model.outputs_note not in ("", lines["outputs"]):
        terminal.say(f"Note: {model.outputs_note}")
    if unread := model.unread_in_words():
        terminal.say(f"{'attention':14} not read: {unread}")
    elif not model.attention_layers:
        terminal.say(f"{'attention':14} none that can be read")
    if source["format"] in ("state-dict", "lightning"):
        from xattn.models.matching.candidates import others

        also = others(model.module.state_dict(), model.architecture)
        if also:
            terminal.say(f"{'but':14} {also}")
            record["also_fits"] = also
    terminal.summary(record)


def _target(model: Model) -> str:
    from xattn.models.checkpoints.programs import shows_no_layers

    hidden = shows_no_layers(model.module)
    if hidden is not None:
        return f"none: {hidden} shows no layers"
    shape, layout = list(model.target.shape[1:]), model.target_layout
    return f"{model.target_layer} {shape}, {layout.kind}, grid {layout.grid}"


def _numbers(values: tuple[float, ...]) -> list[float]:
    return [round(value, 4) for value in values]
