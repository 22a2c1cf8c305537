"""From the options of the command line to a model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xattn.models import Model


def load_model(
    ckpt: Path,
    arch: str | None,
    classes: str | None,
    size: tuple[int, int] | None,
    input_mode: str | None,
    target_layer: str | None,
    unsafe_pickle: bool,
    device: str,
) -> Model:
    """Load a checkpoint as the shared options say."""
    from xattn.models import load
    from xattn.models.device import resolve_device

    names = [c.strip() for c in classes.split(",")] if classes else None
    model = load(
        ckpt,
        arch=arch,
        classes=names,
        target_layer=target_layer,
        unsafe_pickle=unsafe_pickle,
        device=resolve_device(device),
    )
    model.preprocessing = _changed(model.preprocessing, size, input_mode)
    return model


def _changed(preprocessing: Any, size: tuple[int, int] | None, mode: str | None) -> Any:
    """Apply --size and --input-mode; a crop keeps its margin when the size changes."""
    if size is None and mode is None:
        return preprocessing
    new_size, new_mode = size or preprocessing.size, mode or preprocessing.mode
    resize = None
    if new_mode == "crop":
        margin = (preprocessing.resize or max(preprocessing.size)) / max(preprocessing.size)
        resize = round(max(new_size) * margin)
    return replace(preprocessing, size=new_size, mode=new_mode, resize=resize)
