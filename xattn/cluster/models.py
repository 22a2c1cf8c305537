"""How a model gets to a worker: from its file where that says all, else as it is in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from xattn.models.averaging import Ensemble
from xattn.models.interface import Model

Sent = Model | tuple[str, dict[str, Any]]
"""A model, or its file and how it is loaded."""


def to_send(model: Model) -> Sent:
    """Return what a worker needs to have the same model.

    Args:
        model: any.
    """
    path, asked = model.source.get("path"), model.source.get("asked")
    same = model.preprocessing == model.source.get("preprocessing")
    if path is None or asked is None or asked.unsaid() or isinstance(model, Ensemble) or not same:
        return model
    return str(Path(path).absolute()), dict(vars(asked))


def received(sent: Sent) -> Model:
    """Return the model, on a worker.

    Args:
        sent: by `to_send`.
    """
    if isinstance(sent, Model):
        return sent
    from xattn.models import load

    path, asked = sent
    return load(path, **asked)
