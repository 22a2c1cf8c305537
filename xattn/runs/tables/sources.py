"""The commands that write several tables each."""

from __future__ import annotations

from xattn.runs.tables.table import Source

USAGE = Source("xattn feature-usage --annotations isic_attributes.json", "analysis.json")
EVALUATE = Source(
    "xattn evaluate --ckpt model.pt --annotations isic_attributes.json", "evaluation.json"
)
COMPARE = Source("xattn compare RUN...", "comparison.json")
STUDY = Source("xattn study RECIPE", "claims.json")
