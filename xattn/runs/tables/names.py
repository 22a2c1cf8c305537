"""What readers know values of tables as."""

from __future__ import annotations

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "tpr": "sensitivity (TPR)",
    "fpr": "false-positive rate",
    "auc": "AUC",
    "average_precision": "average precision",
    "f1": "F1",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "calibration error",
    "ece_adaptive": "calibration error, bins of equal mass",
    "equalized_odds_difference": "equalised odds, difference",
    "equalized_odds_ratio": "equalised odds, ratio",
    "demographic_parity_difference": "demographic parity, difference",
}

SPLITS = {"ood-test": "ood − test"}
