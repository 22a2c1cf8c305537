"""What readers know values of tables as."""

from __future__ import annotations

METHODS = {
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "hirescam": "HiResCAM",
    "xgradcam": "XGrad-CAM",
    "layercam": "LayerCAM",
    "eigencam": "Eigen-CAM",
    "scorecam": "Score-CAM",
    "ablationcam": "Ablation-CAM",
    "lrp": "LRP",
    "attnlrp": "AttnLRP",
}
"""Attribution methods that have a name of their own; others are called as on the command line."""

METRICS = {
    "balanced_accuracy": "balanced accuracy",
    "tpr": "sensitivity (TPR)",
    "fpr": "false-positive rate",
    "auc": "AUC",
    "average_precision": "average precision",
    "r2": "R²",
    "mae": "mean absolute error",
    "mean_error": "mean error",
    "spearman": "rank correlation (Spearman)",
    "f1": "F1",
    "brier": "Brier score",
    "log_loss": "log loss",
    "quadratic_kappa": "quadratic weighted kappa",
    "grade_mae": "mean absolute error in grades",
    "ece": "calibration error",
    "ece_adaptive": "calibration error, bins of equal mass",
    "equalized_odds_difference": "equalised odds, difference",
    "equalized_odds_ratio": "equalised odds, ratio",
    "demographic_parity_difference": "demographic parity, difference",
}

SPLITS = {"ood-test": "ood − test"}
