"""What is known of every image of a run: its label, group, features, and masks in the run's view.

`collect_features` writes this into the run folder, so that the figures and the report need neither
the annotation file nor the masks again:

    features.parquet  image_id, label, group, and per feature <name> (its value, or presence as
                      0/1), <name>.area (fraction of the view's pixels), <name>.count (connected
                      parts), <name>.masked (was a mask given?); computed features, and scores
                      of detectors as <name>.detected; row i is row i of predictions.parquet
    features.json     kind of each feature, which have masks, size of the view, and where computed
                      and detected features come from
    masks.zarr        <name>, "lesion" among them: bool (n, height, width) in the model's view;
                      all False without a mask
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xattn.annotations.findings import answers, label_of
from xattn.annotations.names import reserved_names
from xattn.annotations.records import LESION as LESION
from xattn.annotations.value_labels import strata
from xattn.errors import AnnotationError, RunError, UsageError, near
from xattn.features.bookkeeping import KEEP_ALL, bookkeeping
from xattn.features.computed.collect import DETECTED, measure_images
from xattn.features.computed.registry import COMPUTED_FEATURES
from xattn.features.detected import DETECTORS
from xattn.features.masks import (
    MaskProblem,
    MaskReading,
    Numbers,
    Progress,
    replacing_folder,
    write_problems,
)
from xattn.runs import RunFolder
from xattn.runs.again import record_again, written_anew
from xattn.runs.arrays import StoredArray
from xattn.runs.atomic import read_record, write_json
from xattn.runs.parquet import read_parquet, write_parquet

if TYPE_CHECKING:
    from xattn.annotations.records import AnnotatedImage, Annotations
    from xattn.features.from_csv import MoreFeatures

_KIND_OF_LESION = "structure"


@dataclass(frozen=True)
class FeatureSet:
    """Features of the images of one run; row i of everything is row i of the predictions.

    Attributes:
        path: the run folder.
        problems: masks that could not be used, empty when read back from disk.
        output: of a run of independent outputs the one whose labels are asked for; "" for all
            that is known of an image.
        of_value: whether that output is a value; its labels are strata of the reference value.
    """

    path: Path
    problems: tuple[MaskProblem, ...] = ()
    output: str = ""
    of_value: bool = False

    @classmethod
    def open(cls, run: RunFolder) -> FeatureSet:
        """Read back what `collect_features` wrote.

        Args:
            run: a finished run.

        Returns:
            Its features.

        Raises:
            RunError: it was not called on this run yet.
        """
        features = cls(run.path).of(run)
        if not features._facts_path.is_file():
            raise RunError(
                f"Expected {features._facts_path}, but it is not there"
                f"; write it with {record_again(run.path, 'analysis.json')}"
            )
        return features

    @cached_property
    def table(self) -> pd.DataFrame:
        """Content of features.parquet."""
        table = read_parquet(self.path / "features.parquet", written_anew(self.path))
        if not self.output:
            return table
        if self.of_value:
            return table.assign(label=strata(table["label"], self.output).names)
        return table.assign(label=answers(table["label"], self.output))

    def of(self, run: RunFolder) -> FeatureSet:
        """Return the same features with the labels of what a run is seen as.

        Args:
            run: the run, or one output of it.
        """
        return replace(self, output=run.of_output, of_value=run.of_value)

    @property
    def kinds(self) -> dict[str, str]:
        """Name of each feature -> its kind (structure, artifact, metadata, computed)."""
        kinds, books = dict(self._facts["kinds"]), self._own_books
        return {name: kind for name, kind in kinds.items() if name not in books}

    @property
    def masked(self) -> list[str]:
        """Features that have a mask, if only an empty one, for at least one image."""
        return list(self._facts["masked"])

    @property
    def annotated(self) -> int:
        """Number of images of the run that the annotation file knows."""
        return int(self._facts["annotated"])

    @property
    def unmeasured(self) -> dict[str, dict[str, int]]:
        """Computed feature -> reason -> number of images in which it could not be measured."""
        return dict(self._facts.get("unmeasured", {}))

    @property
    def outside(self) -> dict[str, int]:
        """Numbers of masks, by feature, of which the model's crop left nothing."""
        return dict(self._facts.get("outside", {}))

    @property
    def left_out(self) -> dict[str, str]:
        """Feature -> why it is not measured: excluded, or what of the books it keeps."""
        return {**self._facts.get("left_out", {}), **self._own_books}

    @property
    def _own_books(self) -> dict[str, str]:
        return dict(self._facts.get("left_out_by_output", {}).get(self.output, {}))

    @property
    def domain(self) -> str | None:
        """Of the images, a name of `xattn.images.domains.DOMAINS`; None if it is not known."""
        known: str | None = self._facts.get("domain")
        return known

    @property
    def of_other_domains(self) -> list[str]:
        """Computed features and detectors' scores that were left out as not for these images."""
        return list(self._facts.get("of_other_domains", []))

    @property
    def labelled(self) -> bool:
        """Whether any image has a label."""
        return bool(self.table["label"].notna().any())

    def masks(self, feature: str) -> StoredArray:
        """Return the masks of one feature, bool (n, height, width), unread.

        Args:
            feature: its name.
        """
        return StoredArray(self.path / "masks.zarr" / feature, written_anew(self.path))

    @property
    def _facts_path(self) -> Path:
        return self.path / "features.json"

    @cached_property
    def _facts(self) -> dict[str, Any]:
        return read_record(self._facts_path, "the record of features")


def collect_features(
    run: RunFolder,
    annotations: Annotations,
    progress: Progress | None = None,
    workers: int = 2,
    *,
    computed: bool = True,
    detected: bool = False,
    domain: str | None = None,
    more: MoreFeatures | None = None,
    exclude: Sequence[str] = (),
    on_image: Progress | None = None,
    before_writing: Callable[[], None] | None = None,
) -> FeatureSet:
    """Join a run with an annotation file, bring all masks into its view, write both down.

    The label is the annotation's, else the one the predictions carry. Masks that cannot be used
    are listed in `problems` and in errors.csv (stage "mask"); their images go on without them.

    Args:
        run: rows are joined by image_id.
        annotations: may know more images than the run, or fewer.
        progress: called after every chunk of images.
        workers: threads that read masks and measure.
        computed: measure shape, border, colour and skin tone where there are lesion masks.
        detected: look for artifacts by image processing, and add the scores.
        domain: of the images, in place of the annotation file's; where neither says it, it is what
            the images look like, if that leaves no doubt.
        more: a table of further features, taken as metadata.
        exclude: features that are left out. Metadata that keeps the books (ids, splits, files:
            see `bookkeeping`) is left out too, unless this names "none".
        on_image: called after every image that was measured.
        before_writing: called once the arguments are found to be right.

    Returns:
        What was written, with the masks that could not be used.

    Raises:
        AnnotationError: no image is in both, a label is no class of the run, or a feature has
            the name of a column.
        UsageError: there is no feature of a name in `exclude`.
    """
    predictions = run.predictions
    excluded = _excluded(exclude, annotations, more)
    known = [annotations.by_id.get(str(i)) for i in predictions["image_id"]]
    _require_joinable(run, annotations, known)
    names = list(annotations.features)
    masked = [name for name in names if any(k is not None and name in k.masks for k in known)]
    lesions = any(k is not None and k.lesion is not None for k in known)
    masked += [LESION] if lesions else []
    masked = [name for name in masked if name not in excluded]
    reading = MaskReading(run, annotations, known, masked)
    if before_writing is not None:
        before_writing()
    with replacing_folder(run.path / "masks.zarr") as scratch:
        areas, counts, problems, outside = reading.write(scratch, progress, workers)
    table = _table(run, annotations, known, areas, counts)
    seen = measure_images(
        run,
        annotations,
        computed=computed,
        detected=detected,
        domain=domain or annotations.likely_domain,
        progress=on_image,
        workers=workers,
    )
    table = table.assign(**seen.columns)
    given = more.columns(list(table["image_id"]), set(table.columns)) if more else {}
    table = table.assign(**given)
    write_parquet(table, run.path / "features.parquet")
    kinds = {name: str(f.kind) for name, f in annotations.features.items()}
    kinds |= {LESION: _KIND_OF_LESION} if lesions else {}
    of_given = {n: "artifact" if n.endswith(DETECTED) else "metadata" for n in given}
    kinds |= {**seen.kinds, **of_given}
    kinds = {name: kind for name, kind in kinds.items() if name not in excluded}
    # Of independent outputs each has a label of its own, see below.
    known_as = table if run.exclusive else table.assign(label=None)
    books = {} if KEEP_ALL in exclude else bookkeeping(known_as, kinds)
    rest = {name: kind for name, kind in kinds.items() if name not in books}
    of_output: dict[str, dict[str, str]] = {}
    for output in () if run.exclusive or KEEP_ALL in exclude else run.classes:
        if run.of_value:
            held = {output: "what the model's value is held against"}
            of_output[output] = held if output in rest else {}
        else:
            named = table.assign(label=answers(table["label"], output))
            of_output[output] = bookkeeping(named, rest)
    facts = {
        "schema": "xattn-features/1",
        "kinds": {name: kind for name, kind in kinds.items() if name not in books},
        "left_out": {**dict.fromkeys(excluded, "excluded"), **books},
        **({"left_out_by_output": of_output} if of_output else {}),
        "masked": masked,
        "outside": dict(outside),
        "view": list(run.preprocessing.size),
        "annotated": sum(k is not None for k in known),
        **seen.facts,
        "more": None if more is None else more.to_dict(),
    }
    write_json(run.path / "features.json", facts)
    write_problems(run, problems)
    return FeatureSet(run.path, tuple(problems))


def _excluded(
    exclude: Sequence[str], annotations: Annotations, more: MoreFeatures | None
) -> list[str]:
    """Return the names to leave out, all of which there could be."""
    known = {*annotations.features, LESION, *COMPUTED_FEATURES, *(n + DETECTED for n in DETECTORS)}
    known |= set() if more is None else set(map(str, more.table.columns))
    names = [name for name in dict.fromkeys(exclude) if name != KEEP_ALL or name in known]
    for name in names:
        if name not in known:
            raise UsageError(f"Expected a feature to exclude, but got {name!r}{near(name, known)}")
    return names


def _require_joinable(
    run: RunFolder, annotations: Annotations, known: list[AnnotatedImage | None]
) -> None:
    if not any(k is not None for k in known):
        ours, theirs = run.predictions["image_id"].iloc[0], next(iter(annotations.by_id), None)
        raise AnnotationError(
            f"Expected images of the run {run.path} in the annotation file, but got no id in "
            f"common: the run has {ours!r}, the file {theirs!r}; ids are file names without ending"
        )
    kinds = {name: feature.kind for name, feature in annotations.features.items()}
    for key, message in reserved_names(annotations.labels, kinds):
        raise AnnotationError(f"{key}: {message}")
    if run.of_value:
        return
    if not run.exclusive:
        if annotations.labels and not set(annotations.labels) & set(run.classes):
            raise AnnotationError(
                f"Expected findings among the outputs of the run, {', '.join(run.classes)}, but "
                f"the annotation file declares {', '.join(annotations.labels)}; name the outputs "
                "so with --classes"
            )
        return
    for image in known:
        if image is not None and image.label is not None and image.label not in run.classes:
            raise AnnotationError(
                f"Expected labels among the classes of the run, {', '.join(run.classes)}, but got "
                f"label {image.label!r} of image {image.id}; explain with a model of these classes"
                ", or name its outputs so with --classes"
            )


def _table(
    run: RunFolder,
    annotations: Annotations,
    known: list[AnnotatedImage | None],
    areas: Numbers,
    counts: Numbers,
) -> pd.DataFrame:
    predictions = run.predictions
    own = [None if pd.isna(v) else str(v) for v in predictions["label"]]
    told = [
        None
        if k is None
        else label_of(
            k, run.classes, annotations.labels, exclusive=run.exclusive, values=run.of_value
        )
        for k in known
    ]
    labels = [given if new is None else new for new, given in zip(told, own, strict=True)]
    columns: dict[str, Any] = {
        "image_id": predictions["image_id"].astype(str).to_numpy(dtype=object),
        "label": np.array(labels, dtype=object),
        "group": np.array([None if k is None else k.group for k in known], dtype=object),
    }
    for name in [*annotations.features, *([LESION] if LESION in areas else [])]:
        area = areas.get(name)
        values = [None if k is None else k.values.get(name) for k in known]
        columns[name] = _values_or_presence(values, area)
        if area is not None:
            columns[f"{name}.area"] = area
            columns[f"{name}.count"] = counts[name]
            columns[f"{name}.masked"] = ~np.isnan(area)
    return pd.DataFrame(columns)


def _values_or_presence(values: list[Any], area: NDArray[np.float64] | None) -> NDArray[Any]:
    """Return float64 with NaN, or text with None; presence from the mask where it can serve.

    A mask says yes or no, so it fills in for missing values only where the values say that too.
    """
    given = [v for v in values if v is not None]
    if any(isinstance(v, str) for v in given):
        return np.array([None if v is None else str(v) for v in values], dtype=object)
    numbers = np.array([np.nan if v is None else float(v) for v in values])
    if area is not None and set(given) <= {0, 1}:
        present = np.where(np.isnan(area), np.nan, area > 0)
        numbers = np.where(np.isnan(numbers), present, numbers)
    return numbers
