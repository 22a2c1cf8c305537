"""Images like dermoscopy or stained tissue, with exact masks and planted dependence on the label.

`Plan` holds the distribution and draws an `ImageSpec`; `render` turns that into pixels and masks;
`synthesize` writes a data set of them. A new feature is one function under `@feature`.
Patches of tissue are in `tissue`.
"""

from xattn.synthetic.dataset import synthesize
from xattn.synthetic.features import (
    FEATURES,
    Feature,
    with_features,
    with_placing,
    with_strength,
    without_features,
)
from xattn.synthetic.plan import TRAITS, Plan
from xattn.synthetic.rendering import Rendered, render
from xattn.synthetic.shapes import SHAPES, with_shapes
from xattn.synthetic.spec import LABELS, ImageSpec

__all__ = [
    "FEATURES",
    "LABELS",
    "SHAPES",
    "TRAITS",
    "Feature",
    "ImageSpec",
    "Plan",
    "Rendered",
    "render",
    "synthesize",
    "with_features",
    "with_placing",
    "with_shapes",
    "with_strength",
    "without_features",
]
