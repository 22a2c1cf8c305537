"""Trained models behind one interface: architectures, checkpoints, and what can be explained."""

import xattn.models.study  # noqa: F401 -- importing registers
from xattn.models.checkpoint import save_checkpoint
from xattn.models.interface import Model
from xattn.models.loading import load
from xattn.models.registry import ARCHITECTURES, build
from xattn.models.wrapping import wrap

__all__ = ["ARCHITECTURES", "Model", "build", "load", "save_checkpoint", "wrap"]
