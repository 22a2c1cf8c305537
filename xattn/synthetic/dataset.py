"""`xattn synthesize`: a folder of dermoscopy-like images, exact masks, and known answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.annotations import AnnotatedImage, write_annotations
from xattn.disk import replacing, writing_into, writing_to
from xattn.errors import UsageError, XattnError
from xattn.images.prefetch import prefetch
from xattn.paths import as_path
from xattn.synthetic.features import FEATURES
from xattn.synthetic.plan import TRAITS, Plan, kinds
from xattn.synthetic.rendering import check_size, render
from xattn.synthetic.spec import LABELS, ImageSpec
from xattn.synthetic.truth import describe

ANNOTATIONS = "isic_attributes.json"
TRUTH = "truth.json"

_JPEG = (
    *(cv2.IMWRITE_JPEG_QUALITY, 92),
    # Full-resolution colour: with the usual halved one, a patch would tint 16-pixel blocks.
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
)


def synthesize(
    out: str | Path,
    n: int = 200,
    *,
    size: tuple[int, int] = (192, 256),
    seed: int = 0,
    effects: Mapping[str, float] | None = None,
    prevalence: Mapping[str, float] | None = None,
    positive_rate: float = 0.5,
    pair_rate: float = 0.2,
    workers: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Path:
    """Write `n` images with exact masks and planted dependence of features on the label.

    The causal graph; given the label, its children are independent of each other:

                                label
            ┌──────────────┬──────┴──────┬───────────────┐
        structures     border, colour  artifacts      age, sex
            └──────────────┴──────┬──────┘
         skin tone ──────────> image <── view, light, noise

    By default the label truly shows in streaks, negative network, (less) pigment network, border
    and colour, and there is one strong shortcut: colour patches, almost only beside benign
    lesions, as in the public archive. Age depends on the label but is not visible in the image. All
    else is independent of the label. See `xattn.synthetic.plan` for what an effect is.

    Written under `out`: `images/<id>.jpg`, `masks/<feature>/<id>.png` for the features present,
    `lesion_masks/<id>_segmentation.png`, `truth.json` (what was planted, and the counts), and
    last `isic_attributes.json`. Image i depends on the seed and i alone, so fewer images are the
    first of more, and any number of workers writes the same bytes. Called again with the same
    settings after an interruption, it goes on where it stopped.

    Args:
        out: a new or empty folder, or one of the same settings.
        n: number of images.
        size: (height, width) in pixels, each at least 64.
        seed: of everything.
        effects: by feature or trait: log odds ratio of presence (of a trait: log odds per
            standard deviation) for malignant against benign. Those not named are independent
            of the label; None takes the default effects.
        prevalence: by feature: fraction of all images that have it, 0 to 1.
        positive_rate: probability of "malignant", 0 to 1.
        pair_rate: probability that two neighbouring images show one lesion, 0 to 1.
        workers: threads; 0 draws in the calling one.
        progress: called after each image with the number of images done.

    Returns:
        The path of `isic_attributes.json`.

    Raises:
        UsageError: a name is unknown or a number out of its range.
        XattnError: the folder holds something else.

    Examples:
        Four images, of which benign ones alone are likely to show a colour patch.

        >>> path = xattn.synthesize("four", 4, size=(64, 96), effects={"patches": -4})
        >>> [image.id for image in xattn.read_annotations(path).images]
        ['SYN_0000000', 'SYN_0000001', 'SYN_0000002', 'SYN_0000003']
    """
    if n < 1:
        raise UsageError(f"Expected at least 1 image, but got n={n}")
    check_size(size)
    plan = Plan(seed, positive_rate, pair_rate, effects, prevalence or {})
    specs = [plan.draw(index) for index in range(n)]
    root = as_path(out, "a folder")
    claim_folder(root, json.dumps(describe(plan, specs, size), indent=1) + "\n")
    for folder in ("images", "lesion_masks", *(f"masks/{name}" for name in FEATURES)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    done = prefetch(lambda spec: _write_image(root, spec, size), specs, workers)
    with writing_into(root):
        for count, _ in enumerate(done, start=1):
            if progress is not None:
                progress(count)
    return write_annotations(
        root / ANNOTATIONS,
        (_annotated(root, spec) for spec in specs),
        labels=LABELS,
        features=kinds(),
        domain="dermoscopy",
    )


def _annotated(root: Path, spec: ImageSpec) -> AnnotatedImage:
    values: dict[str, int | float | str] = {name: int(name in spec.present) for name in FEATURES}
    values |= {name: round(spec.level(name), 4) for name in TRAITS if name != "age"}
    return AnnotatedImage(
        id=spec.id,
        file=root / _image_file(spec),
        label=spec.label,
        group=spec.group,
        lesion=root / _lesion_file(spec),
        masks={name: root / _mask_file(spec, name) for name in FEATURES if name in spec.present},
        values=values | {"age": spec.age, "sex": spec.sex},
    )


def claim_folder(root: Path, truth: str) -> None:
    """Make a folder ours by writing `truth.json`, or see that it already is.

    Args:
        root: the folder.
        truth: what the file holds.

    Raises:
        XattnError: it is of other settings, or holds something else.
        DiskError: it cannot be written.
    """
    path = root / TRUTH
    with writing_to(root, "write into"):
        if path.is_file():
            if path.read_text(encoding="utf-8") != truth:
                raise XattnError(
                    f"Expected a folder of the same settings, but {path} has others; "
                    "remove the folder or choose another"
                )
            return
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise XattnError(f"Expected an empty or new folder, but {root} holds something else")
        root.mkdir(parents=True, exist_ok=True)
        _write(path, truth.encode())


def _write_image(root: Path, spec: ImageSpec, size: tuple[int, int]) -> None:
    path = root / _image_file(spec)
    if path.is_file():  # written last, so its masks are there
        return
    rendered = render(spec, size)
    (root / _lesion_file(spec)).write_bytes(_png(rendered.lesion))
    for name, mask in rendered.masks.items():
        (root / _mask_file(spec, name)).write_bytes(_png(mask))
    _write(path, jpeg(rendered.image))


def jpeg(image: NDArray[np.uint8]) -> bytes:
    """Encode an RGB image (height, width, 3) as the data set stores it."""
    _, encoded = cv2.imencode(".jpg", image[:, :, ::-1], _JPEG)
    return bytes(encoded.tobytes())


def _png(mask: NDArray[np.bool_]) -> bytes:
    _, png = cv2.imencode(".png", mask.astype(np.uint8) * 255)
    return bytes(png.tobytes())


def _write(path: Path, content: bytes) -> None:
    with replacing(path, durable=False) as scratch:
        scratch.write_bytes(content)


def _image_file(spec: ImageSpec) -> str:
    return f"images/{spec.id}.jpg"


def _lesion_file(spec: ImageSpec) -> str:
    return f"lesion_masks/{spec.id}_segmentation.png"


def _mask_file(spec: ImageSpec, name: str) -> str:
    return f"masks/{name}/{spec.id}.png"
