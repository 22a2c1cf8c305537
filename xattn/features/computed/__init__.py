"""Features computed from a picture and its lesion mask: shape, border, colour, skin tone.

One idea a file; a new feature is a function with a card:

    @measure("name", unit="1", low=0, high=1, source="Author et al. 2020", meaning="...")
    def name(subject: Subject) -> float:
        ...

It takes part in `xattn feature-usage` by being registered. What the numbers mean, and what they
do not: docs/features.md.
"""

from xattn.features.computed import border, colour, shape, skin_tone  # noqa: F401  they register
from xattn.features.computed.registry import MEASURES, Card, measure_all
from xattn.features.computed.skin_tone import TONES, tone_band
from xattn.features.computed.subject import Subject, UnmeasurableError

__all__ = ["MEASURES", "TONES", "Card", "Subject", "UnmeasurableError", "measure_all", "tone_band"]
