"""The learning rate over a training."""

from __future__ import annotations

import math
from collections.abc import Callable


def learning_rate(schedule: str, steps: int, warmup: float) -> Callable[[int], float]:
    """Return the factor (0 to 1) of the learning rate at each step, counted from 0.

    Args:
        schedule: "cosine" falls to 0 at the end (Loshchilov and Hutter 2017), "step" is a tenth
            from half of the training on and a hundredth from three quarters (He et al. 2016),
            "constant" stays.
        steps: optimisation steps of the whole training.
        warmup: fraction of the steps over which the factor rises linearly from near 0.
    """
    rising = round(warmup * steps)

    def factor(step: int) -> float:
        if step < rising:
            return (step + 1) / (rising + 1)
        if schedule == "cosine":
            return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))
        if schedule == "step":
            return 0.1 ** ((2 * step >= steps) + (4 * step >= 3 * steps))
        return 1.0

    return factor
