"""What does a medical image classifier look at: the medicine, or the ruler in the corner?

    import xattn

    model = xattn.load("model.pt")
    run = xattn.explain(model, "images/", methods=["gradcam"], out="run")
    found = xattn.feature_usage(run, "isic_attributes.json")

Importing `xattn` imports nothing heavy: each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from xattn._version import __version__

if TYPE_CHECKING:
    from xattn.analysis.comparison.compare import Comparison, compare
    from xattn.analysis.dependence.result import UsageResult
    from xattn.analysis.dependence.usage import usage_test
    from xattn.analysis.evaluation.evaluate import Evaluation, evaluate
    from xattn.analysis.feature_usage import feature_usage
    from xattn.analysis.over_training import usage_over_training
    from xattn.analysis.settings import (
        CompareSettings,
        EvaluateSettings,
        OverTrainingSettings,
        UsageSettings,
    )
    from xattn.analysis.usage_result import FeatureUsage
    from xattn.annotations import build_annotations, read_annotations
    from xattn.attribution.attribute import attribute
    from xattn.attribution.registry import methods
    from xattn.attribution.run.merge import merge
    from xattn.attribution.run.pipeline import explain
    from xattn.attribution.run.settings import ExplainSettings
    from xattn.figures.page.report import report
    from xattn.figures.registry import save_figures
    from xattn.figures.tables import save_tables
    from xattn.images.preprocessing import Preprocessing
    from xattn.models import Ensemble, Model, ensemble, load, wrap
    from xattn.runs import RunFolder
    from xattn.runs.verification import Verification
    from xattn.runs.verify import verify
    from xattn.settings.cluster import RaySettings
    from xattn.study.execute import run_study
    from xattn.synthetic.dataset import synthesize
    from xattn.training.detectors.detect import detect_artifacts
    from xattn.training.fit import train
    from xattn.training.result import TrainResult
    from xattn.training.search.search import SearchResult, search

_HOMES = {
    "CompareSettings": "xattn.analysis.settings",
    "Comparison": "xattn.analysis.comparison.compare",
    "Ensemble": "xattn.models",
    "EvaluateSettings": "xattn.analysis.settings",
    "Evaluation": "xattn.analysis.evaluation.evaluate",
    "ExplainSettings": "xattn.attribution.run.settings",
    "FeatureUsage": "xattn.analysis.usage_result",
    "Model": "xattn.models",
    "OverTrainingSettings": "xattn.analysis.settings",
    "Preprocessing": "xattn.images.preprocessing",
    "RaySettings": "xattn.settings.cluster",
    "RunFolder": "xattn.runs",
    "SearchResult": "xattn.training.search.search",
    "TrainResult": "xattn.training.result",
    "UsageResult": "xattn.analysis.dependence.result",
    "UsageSettings": "xattn.analysis.settings",
    "Verification": "xattn.runs.verification",
    "attribute": "xattn.attribution.attribute",
    "build_annotations": "xattn.annotations",
    "compare": "xattn.analysis.comparison.compare",
    "detect_artifacts": "xattn.training.detectors.detect",
    "ensemble": "xattn.models",
    "evaluate": "xattn.analysis.evaluation.evaluate",
    "explain": "xattn.attribution.run.pipeline",
    "feature_usage": "xattn.analysis.feature_usage",
    "load": "xattn.models",
    "merge": "xattn.attribution.run.merge",
    "methods": "xattn.attribution.registry",
    "read_annotations": "xattn.annotations",
    "report": "xattn.figures.page.report",
    "run_study": "xattn.study.execute",
    "save_figures": "xattn.figures.registry",
    "save_tables": "xattn.figures.tables",
    "search": "xattn.training.search.search",
    "synthesize": "xattn.synthetic.dataset",
    "train": "xattn.training.fit",
    "usage_over_training": "xattn.analysis.over_training",
    "usage_test": "xattn.analysis.dependence.usage",
    "verify": "xattn.runs.verify",
    "wrap": "xattn.models",
}

__all__ = [
    "CompareSettings",
    "Comparison",
    "Ensemble",
    "EvaluateSettings",
    "Evaluation",
    "ExplainSettings",
    "FeatureUsage",
    "Model",
    "OverTrainingSettings",
    "Preprocessing",
    "RaySettings",
    "RunFolder",
    "SearchResult",
    "TrainResult",
    "UsageResult",
    "UsageSettings",
    "Verification",
    "__version__",
    "attribute",
    "build_annotations",
    "compare",
    "detect_artifacts",
    "ensemble",
    "evaluate",
    "explain",
    "feature_usage",
    "load",
    "merge",
    "methods",
    "read_annotations",
    "report",
    "run_study",
    "save_figures",
    "save_tables",
    "search",
    "synthesize",
    "train",
    "usage_over_training",
    "usage_test",
    "verify",
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
