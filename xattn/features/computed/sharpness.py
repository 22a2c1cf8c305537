"""How much fine detail an image has: focus, scanner and compression."""

from __future__ import annotations

import cv2
import numpy as np

from xattn.features.computed.registry import computed_feature
from xattn.features.computed.subject import Subject, UnmeasurableError
from xattn.images.domains import STAINED


@computed_feature(
    "sharpness",
    unit="log of squared L* per pixel^2",
    low=-np.inf,
    source="Pech-Pacheco et al. 2000",
    meaning="logarithm of the variance of the Laplacian of L*, without artifacts",
    domains=STAINED,
    needs_lesion=False,
)
def sharpness(subject: Subject) -> float:
    """Return the natural logarithm of the variance of the Laplacian of L*.

    Noise counts as detail, and so does what the image shows: tissue of many nuclei is sharper than
    fibres in the same focus.

    Raises:
        UnmeasurableError: there is no detail at all, or artifacts cover it.
    """
    detail = cv2.Laplacian(subject.light, cv2.CV_32F, ksize=1)[subject.clean]
    variance = float(detail.astype(np.float64).var()) if len(detail) else 0.0
    if variance < 1e-6:
        raise UnmeasurableError("no detail is seen in the image")
    return float(np.log(variance))
