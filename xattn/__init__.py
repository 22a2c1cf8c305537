"""What does a medical image classifier look at: the medicine, or the ruler in the corner?

    import xattn

    model = xattn.load("model.pt")
    run = xattn.explain(model, "images/", methods=["gradcam"], out="run")
    tables = xattn.feature_usage(run, "isic_attributes.json")

Importing `xattn` imports nothing heavy: each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xattn._version import __version__

if TYPE_CHECKING:
    from xattn.analysis.comparison.compare import Comparison, compare
    from xattn.analysis.dependence.usage import UsageResult, usage_test
    from xattn.analysis.evaluation.evaluate import Evaluation, evaluate
    from xattn.analysis.feature_usage import feature_usage
    from xattn.analysis.over_training import usage_over_training
    from xattn.annotations import build_annotations, read_annotations
    from xattn.attribution.attribute import attribute
    from xattn.attribution.registry import methods
    from xattn.attribution.run.pipeline import explain
    from xattn.figures.page.report import report
    from xattn.models import Model, load, wrap
    from xattn.runs import RunFolder
    from xattn.synthetic.dataset import synthesize
    from xattn.training.fit import train
    from xattn.training.search.search import search

_HOMES = {
    "Comparison": "xattn.analysis.comparison.compare",
    "Evaluation": "xattn.analysis.evaluation.evaluate",
    "Model": "xattn.models",
    "RunFolder": "xattn.runs",
    "UsageResult": "xattn.analysis.dependence.usage",
    "attribute": "xattn.attribution.attribute",
    "build_annotations": "xattn.annotations",
    "compare": "xattn.analysis.comparison.compare",
    "evaluate": "xattn.analysis.evaluation.evaluate",
    "explain": "xattn.attribution.run.pipeline",
    "feature_usage": "xattn.analysis.feature_usage",
    "load": "xattn.models",
    "methods": "xattn.attribution.registry",
    "read_annotations": "xattn.annotations",
    "report": "xattn.figures.page.report",
    "search": "xattn.training.search.search",
    "synthesize": "xattn.synthetic.dataset",
    "train": "xattn.training.fit",
    "usage_over_training": "xattn.analysis.over_training",
    "usage_test": "xattn.analysis.dependence.usage",
    "wrap": "xattn.models",
}

__all__ = [
    "Comparison",
    "Evaluation",
    "Model",
    "RunFolder",
    "UsageResult",
    "__version__",
    "attribute",
    "build_annotations",
    "compare",
    "evaluate",
    "explain",
    "feature_usage",
    "load",
    "methods",
    "read_annotations",
    "report",
    "search",
    "synthesize",
    "train",
    "usage_over_training",
    "usage_test",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'xattn' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
