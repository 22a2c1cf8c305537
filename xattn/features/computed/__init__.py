"""Features computed from an image and its lesion mask: shape, border, colour, skin tone.

What the numbers mean, and what they do not: docs/features.md. How one is added: docs/extending.md.
"""

from xattn.features.computed.registry import (
    COMPUTED_FEATURES,
    ComputedFeature,
    computed_feature,
    measure_all,
)
from xattn.features.computed.skin_tone import TONES, tone_band
from xattn.features.computed.subject import Subject, UnmeasurableError

__all__ = [
    "COMPUTED_FEATURES",
    "TONES",
    "ComputedFeature",
    "Subject",
    "UnmeasurableError",
    "computed_feature",
    "measure_all",
    "tone_band",
]
