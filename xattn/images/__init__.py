"""Image files in: finding them, decoding them upright, and knowing which part a model sees."""

from xattn.images.cells import Cells
from xattn.images.decode import Decoded, read_image, read_mask
from xattn.images.find import ImageFile, find_images
from xattn.images.geometry import View, sample_mask
from xattn.images.preprocessing import Preprocessing

__all__ = [
    "Cells",
    "Decoded",
    "ImageFile",
    "Preprocessing",
    "View",
    "find_images",
    "read_image",
    "read_mask",
    "sample_mask",
]
