"""Trained models behind one interface: architectures, checkpoints, and what can be explained."""

from xattn.models.architectures.registry import ARCHITECTURES, build
from xattn.models.averaging import Ensemble, ensemble
from xattn.models.checkpoints.checkpoint import save_checkpoint
from xattn.models.interface import Model
from xattn.models.loading import load
from xattn.models.wrapping import wrap

__all__ = [
    "ARCHITECTURES",
    "Ensemble",
    "Model",
    "build",
    "ensemble",
    "load",
    "save_checkpoint",
    "wrap",
]
