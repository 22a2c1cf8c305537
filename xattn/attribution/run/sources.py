"""What is to be explained: listing, naming and decoding the images of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from xattn.errors import ImageError, Remark, UsageError, XattnError, one_line
from xattn.images.decode import read_image
from xattn.images.find import ImageFile, find_images
from xattn.images.ids import printable
from xattn.images.levels import Pixels
from xattn.images.overlay import thumbnail, thumbnail_size
from xattn.images.preprocessing import Preprocessing
from xattn.paths import relative_to

if TYPE_CHECKING:
    from xattn.annotations import Annotations

Source = str | Path | Iterable[str | Path]


@dataclass(frozen=True)
class Named:
    """An image and the name of its file in the tables, or the reason why it is not taken."""

    id: str
    path: Path
    file: str
    problem: str = ""


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image on its way to the model.

    Attributes:
        named: which image.
        pixels: (height, width, channels) at the model's size; uint8, or float32 if it is deep.
        thumb: uint8 (H, W, 3), the whole image at the overlay's size.
        size: (width, height) of the upright original.
        note: how the file differed from plain 8-bit RGB.
    """

    named: Named
    pixels: Pixels
    thumb: NDArray[np.uint8]
    size: tuple[int, int]
    note: str


@dataclass(frozen=True)
class Failure:
    """An image that cannot be explained, and why."""

    named: Named
    stage: str
    error: str

    def to_row(self) -> dict[str, str]:
        """Return the line of errors.csv."""
        return {"file": self.named.file, "stage": self.stage, "error": self.error}


def list_images(
    images: Source | None,
    known: Annotations | None,
    note: Callable[[str], None] | None = None,
) -> list[ImageFile]:
    """List the images a user means: those named, else those of the annotations.

    Those that the annotations name bear their ids.

    Args:
        images: as `find_images` understands it.
        known: the annotations.
        note: takes a line on what was left out, and on how many images the annotations know.

    Raises:
        XattnError: there is no image, or the annotations know none of them.
    """
    if images is not None and known is not None:
        return _known_images(images, known, note or (lambda _: None))
    if images is not None:
        return find_images(images, note)
    if known is None:
        raise UsageError("Expected images or annotations, but got neither")
    return [ImageFile(image.id, image.file) for image in known.images]


def _known_images(
    images: Source, known: Annotations, note: Callable[[str], None]
) -> list[ImageFile]:
    from xattn.annotations.matching import examples, with_known_ids

    lines: list[str] = []
    files, matched = with_known_ids(
        find_images(images, lines.append, [image.file for image in known.images]), known
    )
    for line in lines:
        note(line)
    if not matched.found:
        raise XattnError(
            f"Expected images of {known.path}, but it knows none of the {len(files):,} by its file "
            f"or id: {examples([f.id for f in files], [i.id for i in known.images])}"
        )
    labelled = sum(
        place is not None and (image.label is not None or image.findings is not None)
        for place, image in zip(matched.place, known.images, strict=True)
    )
    line = f"{matched.found:,} of {len(files):,} images are in {known.path}, {labelled:,} labelled"
    if matched.spelled:
        wanted, other = matched.spelled[0]
        line += f"; {len(matched.spelled):,} are spelled otherwise there ({wanted!r} for {other!r})"
    note(Remark(line))
    return files


def name_images(files: Sequence[ImageFile], out: Path, taken: Mapping[str, str]) -> Iterator[Named]:
    """Name each file relative to the folder that holds the run; the second of an id is a problem.

    Args:
        files: the images of this call.
        out: the run folder.
        taken: ids that the run already holds, with their files.
    """
    first: dict[str, str] = {}
    for image in files:
        file = printable(relative_to(image.path, out.absolute().parent))
        other = first.get(image.id) or taken.get(image.id, file)
        problem = ""
        if printable(str(image.path)) != str(image.path):
            problem = f"Expected a file name in UTF-8, but got {file!r}; rename it"
        elif image.id in first or other != file:
            problem = (
                f"Expected one file per id, but {image.id!r} is also {other}; rename one, or name "
                "both in an annotation file and give it with --annotations"
            )
        elif not image.id or Path(image.id).name != image.id:
            problem = f"Expected an id that can be a file name, but got {image.id!r}"
        else:
            first[image.id] = file
        yield Named(printable(image.id), image.path, file, problem)


def decode(
    named: Named, preprocessing: Preprocessing, exact: bool = False
) -> DecodedImage | Failure:
    """Read one image as the model and the overlay need it; runs in a worker thread.

    Args:
        named: which image.
        preprocessing: what the model needs.
        exact: decode far larger JPEGs in full, though a reduced scale would do.
    """
    if named.problem:
        return Failure(named, "find", named.problem)

    def enough(width: int, height: int) -> tuple[int, int]:
        model, shown = preprocessing.enough(width, height), thumbnail_size(width, height)
        return max(model[0], shown[0]), max(model[1], shown[1])

    try:
        decoded = read_image(
            named.path,
            enough=None if exact else enough,
            window=preprocessing.window,
            channels=preprocessing.channels,
        )
        pixels = preprocessing.pixels(decoded.levels, decoded.size)
        thumb = thumbnail(decoded.image, thumbnail_size(*decoded.size))
    except ImageError as err:
        return Failure(named, "decode", str(err))
    except (MemoryError, OSError, ValueError, cv2.error) as err:
        return Failure(named, "decode", f"Expected to scale {named.path}, but: {one_line(err)}")
    return DecodedImage(named, pixels, thumb, decoded.size, decoded.note)
