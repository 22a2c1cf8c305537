"""What a call of `explain` asks for: labels, methods, annotations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from xattn.annotations.findings import label_of
from xattn.attribution.run.settings import NO_METHODS
from xattn.errors import UsageError
from xattn.models.interface import Model
from xattn.runs.another_folder import another_folder
from xattn.settings import names

if TYPE_CHECKING:
    from xattn.annotations import Annotations


def labels_of(model: Model, known: Annotations) -> dict[str, str | None]:
    """Return what the model's answers are held against, by image id."""
    how = {"exclusive": model.outputs.exclusive, "values": model.outputs.of_value}
    return {i.id: label_of(i, model.classes, known.labels, **how) for i in known.images}


def require_own_folder(out: Path, sources: Sequence[str] | None) -> None:
    """Make sure that a run does not go into the folder of the images: a run folder is no input.

    Args:
        out: the run folder.
        sources: where images are, as they were named.

    Raises:
        UsageError: it is one of them.
    """
    for source in sources or ():
        folder = Path(source)
        if folder.is_dir() and folder.resolve() == out.resolve():
            raise UsageError(
                f"Expected a folder of its own for the run, but {out} holds the images; "
                f"{another_folder()}"
            )


def choose_methods(model: Model, given: str | Sequence[str] | None) -> list[str]:
    """Return the methods that were named, else those that suit the model."""
    if given is not None:
        return [name for name in names(given) if name != NO_METHODS]
    return ["gradcam", "attention"] if model.attention_layers else ["gradcam"]


def as_annotations(annotations: Annotations | str | Path | None) -> Annotations | None:
    """Read annotations that are named by their file."""
    if annotations is None or not isinstance(annotations, str | Path):
        return annotations
    from xattn.annotations import read_annotations

    return read_annotations(annotations)
