"""The augmentations that recipes come with."""

from xattn.training.augmentations import AUGMENTATIONS, Augmentation, augmentation
from xattn.training.augmentations.image_batch import ImageAugmentation

AUGMENTATIONS.add("none", Augmentation("none", "Images as they are.", None))
# Mirrored skin is skin; little else is taken for granted.
augmentation("light", meaning="Mirrored, and a little brighter or darker.")(
    ImageAugmentation(flips=True, brightness=0.1, contrast=0.1)
)
# A dermatoscope has no up and down, stands where the hand puts it, and has its own lamp.
augmentation("dermoscopy", meaning="Turned, zoomed, moved and lit as by another dermatoscope.")(
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
    )
)
# Tissue has no up and down and its scale is fixed; laboratories stain and scan differently.
augmentation("histology", meaning="Turned, and stained and scanned as by another laboratory.")(
    ImageAugmentation(
        flips=True, quarter_turns=True, brightness=0.1, contrast=0.1, stain=0.1, blur=1.0
    )
)
# A film has a top and a left, which hold the heart; patients stand and are exposed differently.
augmentation("radiograph", meaning="Turned and moved a little, and exposed differently.")(
    ImageAugmentation(rotation=7.0, zoom=(0.9, 1.1), shift=0.05, brightness=0.15, contrast=0.2)
)
# Left and right eyes mirror each other; the camera has an up and its own lamp.
augmentation("fundus", meaning="Mirrored left to right, turned, and lit as by another camera.")(
    ImageAugmentation(
        mirror=True, rotation=15.0, zoom=(0.95, 1.1), shift=0.03,
        brightness=0.15, contrast=0.15, saturation=0.1, white_balance=0.03,
    )
)  # fmt: skip
# Photographs have an up.
augmentation("natural", meaning="Mirrored left to right, zoomed, moved and lit differently.")(
    ImageAugmentation(
        mirror=True, rotation=10.0, zoom=(0.8, 1.25), shift=0.05,
        brightness=0.2, contrast=0.2, saturation=0.2, white_balance=0.03,
    )
)  # fmt: skip
