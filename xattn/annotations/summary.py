"""What an annotation file holds, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

from xattn.annotations.records import AnnotatedImage, Annotations
from xattn.errors import AnnotationError
from xattn.images.domains import words_of
from xattn.images.prefetch import prefetch

NO_FINDING = "no finding"
"""In place of a label: images whose list of findings is empty."""


@dataclass(frozen=True)
class FeatureCount:
    """How often a feature is annotated and present.

    Attributes:
        name, kind: of the feature.
        masks, values: images that have one.
        known: label -> images of which presence is known; "" for those without a label.
        present: label -> those that show it.
        decided, shown: images of which presence is known, and those that show it; an image with
            several findings counts once.
    """

    name: str
    kind: str
    masks: int
    values: int
    known: dict[str, int]
    present: dict[str, int]
    decided: int
    shown: int


@dataclass(frozen=True)
class Summary:
    """What an annotation file holds.

    Attributes:
        images: how many.
        labels: label -> images, in the file's order; "" for those without a label. Of lists of
            findings an image counts for each that it shows.
        groups: how many different groups.
        grouped: images that have a group.
        lesions: images that have a lesion mask.
        unreadable: masks that could not be read, so that presence is not known.
        features: one count each.
        example: what is wrong with the first mask that could not be read, or "".
        listed: images with a list of findings.
        unknown: finding -> images of which it is not known.
        domain: of the images, None if the file does not say it.
    """

    images: int
    labels: dict[str, int]
    groups: int
    grouped: int
    lesions: int
    unreadable: int
    features: tuple[FeatureCount, ...]
    example: str = ""
    listed: int = 0
    unknown: dict[str, int] = field(default_factory=dict)
    domain: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return asdict(self)

    def __str__(self) -> str:
        """Return a few lines and a table, to print."""
        labels = ", ".join(f"{n} {label or '(no label)'}" for label, n in self.labels.items())
        unknown = ", ".join(f"{n} {finding}" for finding, n in self.unknown.items())
        lines = [
            f"{self.images} images: {labels}",
            *([f"{self.listed} with a list of findings, each true or not"] if self.listed else []),
            *([f"not known: {unknown}"] if unknown else []),
            f"{self.lesions} with {self._mask}; {self.grouped} in {self.groups} groups",
            *(
                [f"{self.unreadable} masks could not be read, such as {self.example}"]
                if self.unreadable
                else []
            ),
            "",
        ]
        header = ["feature", "kind", "masks", "values", "present"]
        header += [label or "(no label)" for label in self.labels]
        rows = [header, *(self._row(feature) for feature in self.features)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
        for row in rows:
            cells = [
                c.ljust(w) if i < 2 else c.rjust(w)
                for i, (c, w) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)

    @property
    def _mask(self) -> str:
        word = words_of(self.domain).lesion
        return f"{'an' if word[0] in 'aeiou' else 'a'} {word} mask"

    def _row(self, feature: FeatureCount) -> list[str]:
        row = [feature.name, feature.kind, str(feature.masks), str(feature.values)]
        if feature.kind == "metadata":
            return [*row, "-", *("-" for _ in self.labels)]
        row.append(f"{feature.shown}/{feature.decided}")
        return row + [
            f"{feature.present.get(label, 0)}/{feature.known.get(label, 0)}"
            for label in self.labels
        ]


def summarise(annotations: Annotations, *, workers: int = 4) -> Summary:
    """Count labels, groups, masks, values and presence; masks without a value are decoded for it.

    Args:
        annotations: as read.
        workers: threads that decode masks.
    """
    images, features = annotations.images, annotations.features
    unreadable: list[str] = []
    shown = [name for name, feature in features.items() if feature.kind != "metadata"]

    def presence(image: AnnotatedImage, name: str) -> bool | None:
        try:
            return annotations.presence(image.id, name)
        except AnnotationError as err:
            unreadable.append(str(err))
            return None

    def presences(image: AnnotatedImage) -> dict[str, bool | None]:
        return {name: presence(image, name) for name in shown}

    known: Counter[tuple[str, str]] = Counter()
    present: Counter[tuple[str, str]] = Counter()
    decided: Counter[str] = Counter()
    there_in: Counter[str] = Counter()
    asked = images if shown else ()
    for image, found in zip(asked, prefetch(presences, asked, workers), strict=True):
        decided.update(name for name, there in found.items() if there is not None)
        there_in.update(name for name, there in found.items() if there)
        for label in _labels_of(image):
            known.update((name, label) for name, there in found.items() if there is not None)
            present.update((name, label) for name, there in found.items() if there)
    masks = Counter(name for image in images for name in image.masks)
    values = Counter(name for image in images for name in image.values)
    labels = Counter(label for image in images for label in _labels_of(image))
    unknown = Counter(finding for image in images for finding in image.unknown)
    order = [
        label for label in dict.fromkeys((*annotations.labels, NO_FINDING, "")) if labels[label]
    ]
    groups = [image.group for image in images if image.group is not None]
    return Summary(
        images=len(images),
        labels={label: labels[label] for label in order},
        groups=len(set(groups)),
        grouped=len(groups),
        lesions=sum(image.lesion is not None for image in images),
        unreadable=len(unreadable),
        example=min(unreadable, default=""),
        listed=sum(image.findings is not None for image in images),
        unknown={name: unknown[name] for name in annotations.labels if unknown[name]},
        domain=annotations.domain,
        features=tuple(
            FeatureCount(
                name,
                feature.kind,
                masks[name],
                values[name],
                {label: known[name, label] for label in order},
                {label: present[name, label] for label in order},
                decided[name],
                there_in[name],
            )
            for name, feature in features.items()
        ),
    )


def _labels_of(image: AnnotatedImage) -> tuple[str, ...]:
    """Return what an image counts for."""
    if image.findings is None:
        return (image.label or "",)
    return image.findings or (NO_FINDING,)
