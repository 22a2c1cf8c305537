"""The augmentations that recipes come with."""

from xattn.training.augmentations import AUGMENTATIONS
from xattn.training.augmentations.image_batch import ImageAugmentation

AUGMENTATIONS.add("none", None)
# Mirrored skin is skin; little else is taken for granted.
AUGMENTATIONS.add("light", ImageAugmentation(flips=True, brightness=0.1, contrast=0.1))
# A dermatoscope has no up and down, stands where the hand puts it, and has its own lamp.
AUGMENTATIONS.add(
    "dermoscopy",
    ImageAugmentation(
        flips=True,
        quarter_turns=True,
        rotation=15.0,
        zoom=(0.9, 1.25),
        shift=0.05,
        brightness=0.15,
        contrast=0.15,
        saturation=0.15,
        white_balance=0.05,
    ),
)
# Tissue has no up and down and its scale is fixed; laboratories stain and scan differently.
AUGMENTATIONS.add(
    "histology",
    ImageAugmentation(
        flips=True, quarter_turns=True, brightness=0.1, contrast=0.1, stain=0.1, blur=1.0
    ),
)
