"""`xattn models` and `xattn inspect`."""

from __future__ import annotations

from typing import Any

import rich_click as click

from xattn.cli.options import common, model_options
from xattn.cli.terminal import Terminal


@click.command("models")
@click.option("--methods", is_flag=True, help="List the explanation methods instead.")
@common
def models_command(methods: bool, quiet: bool, as_json: bool, debug: bool) -> None:
    """List the architectures known by name, or with --methods the explanation methods.

    Beside these, every architecture of timm and torchvision can be named.
    """
    import pandas as pd

    terminal = Terminal(quiet, as_json)
    rows = _method_rows() if methods else _architecture_rows()
    terminal.table(pd.DataFrame(rows), "Explanation methods" if methods else "Architectures")
    terminal.summary({"methods" if methods else "architectures": rows})


def _architecture_rows() -> list[dict[str, Any]]:
    import torch

    from xattn.models import ARCHITECTURES, build

    rows = []
    for name, entry in ARCHITECTURES.items():
        with torch.device("meta"):
            module = build(name, 2)
        count = sum(p.numel() for p in module.parameters())
        rows.append(
            {
                "name": name,
                "family": entry.family,
                "parameters": f"{count / 1e6:.1f} M",
                "what": entry.summary,
            }
        )
    return rows


def _method_rows() -> list[dict[str, Any]]:
    from xattn.explain.registry import METHODS, get_methods

    get_methods([])
    return [
        {
            "name": name,
            "family": method.card.family,
            "models": method.card.models,
            "needs": ", ".join(sorted(method.card.needs)),
            "cost": method.card.cost,
            "resolution": method.card.resolution,
            "signed": "yes" if method.card.signed else "no",
            "source": method.card.source,
        }
        for name, method in METHODS.items()
    ]


@click.command("inspect")
@model_options(required=True)
@common
def inspect_command(quiet: bool, as_json: bool, debug: bool, **model_choice: Any) -> None:
    """Show what is in a checkpoint and how it would be explained."""
    from xattn.cli.loading import load_model
    from xattn.explain.provenance import describe_run

    terminal = Terminal(quiet, as_json)
    model = load_model(**model_choice, device="cpu")
    record = describe_run(model, [], "predicted", 1)
    source = model.source
    p = model.preprocessing
    how = "whole image squashed" if p.mode == "squash" else f"shorter side to {p.resize}, cropped"
    lines = {
        "file": f"{source['path']} ({source['format']}, sha256 {source['sha256'][:12]}...)",
        "architecture": model.architecture,
        "parameters": f"{sum(w.numel() for w in model.module.parameters()):,}",
        "classes": ", ".join(model.classes),
        "input": f"{p.size[0]} x {p.size[1]}, {how}, {p.interpolation}",
        "mean, std": f"{list(p.mean)}, {list(p.std)}",
        "target layer": f"{model.target_layer} {list(model.target.shape[1:])}, "
        f"{model.target_layout.kind}, grid {model.target_layout.grid}",
    }
    for key, value in lines.items():
        terminal.say(f"{key:14} {value}")
    for layer in model.attention_layers:
        read = f"read at token {list(layer.readout)}" if layer.readout else "received by position"
        grid = f"grid {layer.grid}, {layer.heads} heads"
        terminal.say(f"{'attention':14} {layer.name} ({layer.kind}), {grid}, {read}")
    if not model.attention_layers:
        terminal.say(f"{'attention':14} none that can be read")
    terminal.summary(record)
