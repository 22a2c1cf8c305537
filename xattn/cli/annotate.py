"""`xattn annotations build`, `check`, `split` and `detect`."""

from __future__ import annotations

import shlex
from pathlib import Path

import rich_click as click

from xattn.cli.options import common
from xattn.cli.terminal import Terminal
from xattn.cli.value_types import FILE, PLACE


@click.group("annotations")
def command() -> None:
    """Make an annotation file from the layouts people have, check it, split or score its images."""


@command.command()
@click.argument("folder", type=PLACE, required=False)
@click.option("--layout", help="Folder layout; detected automatically if omitted.")
@click.option("--root", "--image-root", type=PLACE, help="The folder, in place of FOLDER.")
@click.option(
    "--out",
    type=FILE,
    default=Path("isic_attributes.json"),
    show_default=True,
    help="The annotation file to write.",
)
@click.option(
    "--lesion-masks", metavar="DIR", help="Folder of lesion masks, or a pattern: DIR/{id}_seg.png."
)
@click.option(
    "--mask",
    "masks",
    multiple=True,
    metavar="NAME=DIR",
    help="Folder, pattern or COCO file of a feature's masks; repeatable. NAME:artifact: its kind.",
)
@click.option("--artifact-masks", type=PLACE, help="Folder with pixel masks of artifacts.")
@click.option("--flags", type=FILE, help="CSV of human artifact flags, 0 or 1.")
@click.option("--metadata", type=FILE, help="CSV with age, sex, site, lesion_id.")
@click.option("--labels", type=FILE, help="CSV with the labels; default those of the flags.")
@click.option("--csv", type=FILE, help="Table of the layout csv, a row per image.")
@click.option("--file-column", help="Its column of files, relative to the folder.")
@click.option("--id-column", "--id", help="Its column of ids; default the file's name.")
@click.option("--label-column", "--label", help="Its column of classes.")
@click.option(
    "--group-column",
    "--group",
    multiple=True,
    help="Column of lesions, patients or slides, or none.",
)
@click.option("--positive", help="Positive classes, comma-separated; all others are merged.")
@click.option("--names", help="Names of the others and of the positive, comma-separated.")
@click.option(
    "--exclude", multiple=True, metavar="NAME", help="Feature or column to leave out; repeatable."
)
@click.option(
    "--domain", metavar="NAME", help="Kind of images: dermoscopy, tissue, radiograph, ..."
)
@common
def build(
    folder: Path | None,
    layout: str | None,
    root: Path | None,
    out: Path,
    lesion_masks: str | None,
    masks: tuple[str, ...],
    artifact_masks: Path | None,
    flags: Path | None,
    metadata: Path | None,
    labels: Path | None,
    csv: Path | None,
    file_column: str | None,
    id_column: str | None,
    label_column: str | None,
    group_column: tuple[str, ...],
    positive: str | None,
    names: str | None,
    exclude: tuple[str, ...],
    domain: str | None,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Write an annotation file from a data set as it was downloaded."""
    from xattn.annotations import Columns, build_annotations
    from xattn.errors import UsageError

    if folder is not None and root is not None:
        raise UsageError(f"Expected one folder, but got {folder} and, by --root, {root}")
    terminal = Terminal(quiet, as_json)
    built = build_annotations(
        layout,
        folder or root,
        out,
        lesion_masks=lesion_masks,
        masks=dict(_masks(one) for one in masks),
        artifact_masks=artifact_masks,
        flags=flags,
        metadata=metadata,
        labels=labels,
        csv=csv,
        columns=Columns(file_column, id_column, label_column, group_column),
        positive=_words(positive),
        names=_two(names),
        exclude=exclude,
        domain=domain,
    )
    terminal.say_lines(built)
    counts = built.summary.to_dict() if built.summary else {}
    terminal.summary({"file": str(out), **counts, "notes": list(built.notes)})


@command.command()
@click.argument("file", type=FILE)
@click.option("--no-headers", is_flag=True, help="Open no image or mask; only see that it exists.")
@common
def check(file: Path, no_headers: bool, quiet: bool, as_json: bool, debug: bool) -> int:
    """Check an annotation file: every key, every label, every image and mask."""
    from xattn.annotations import check_annotations
    from xattn.errors import AnnotationError

    if not file.is_file():
        raise AnnotationError(f"Expected an annotation file at {file}, but got nothing there")
    terminal = Terminal(quiet, as_json)
    problems = check_annotations(file, headers=not no_headers)
    for problem in problems:
        terminal.problem(problem if problem.image else f"{file}: {problem}")
    terminal.say(f"{file}: {len(problems)} problems" if problems else f"{file}: no problems")
    terminal.summary({"file": str(file), "problems": [str(f) for f in problems]})
    return 1 if problems else 0


@command.command()
@click.argument("file", type=FILE)
@click.option(
    "--out",
    type=FILE,
    default=Path("splits.csv"),
    show_default=True,
    help="The table of splits to write.",
)
@click.option("--images", type=PLACE, help="Only the images found here, by id.")
@click.option("--val", type=float, help="Fraction of validation images; default 0.15.")
@click.option("--test", type=float, help="Fraction of in-distribution test images; default 0.15.")
@click.option(
    "--stratify",
    multiple=True,
    metavar="COLUMN",
    help="Metadata column that shall be alike in the splits; repeatable.",
)
@click.option("--seed", "split_seed", type=int, help="Of the splits; default 0.")
@click.option("--ood-column", help="Metadata column that says where an image comes from.")
@click.option("--ood-value", multiple=True, help="Its value of the OOD test images; repeatable.")
@click.option("--split-column", help="Metadata column that says the split.")
@click.option("--split-value", multiple=True, metavar="VALUE=SPLIT", help="What its values mean.")
@click.option(
    "--list", "lists", multiple=True, metavar="SPLIT=CSV", help="Images of a split; repeatable."
)
@click.option(
    "--trap",
    multiple=True,
    metavar="FEATURE",
    help="Artifact that goes with the label in train and against it in ood; repeatable.",
)
@click.option("--trap-share", type=float, default=0.3, show_default=True, help="Images of ood.")
@click.option(
    "--trap-strength",
    type=float,
    default=0.8,
    show_default=True,
    help="Fraction of them that is chosen against the label; the rest at random.",
)
@common
def split(
    file: Path,
    out: Path,
    images: Path | None,
    val: float | None,
    test: float | None,
    stratify: tuple[str, ...],
    split_seed: int | None,
    ood_column: str | None,
    ood_value: tuple[str, ...],
    split_column: str | None,
    split_value: tuple[str, ...],
    lists: tuple[str, ...],
    trap: tuple[str, ...],
    trap_share: float,
    trap_strength: float,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Divide the images of an annotation file as `xattn train` does, without training."""
    from xattn.annotations import read_annotations
    from xattn.splits.make import split_images

    terminal = Terminal(quiet, as_json)
    given = {
        "val": val,
        "test": test,
        "split_seed": split_seed,
        "ood_column": ood_column,
        "split_column": split_column,
    }
    made = split_images(
        read_annotations(file, on_problem=terminal.problem),
        images=images,
        data={
            **{key: value for key, value in given.items() if value is not None},
            "stratify": list(stratify),
            "ood_values": list(ood_value),
            "split_values": dict(_pair(one) for one in split_value),
        },
        lists=dict(_listed(one) for one in lists),
        trap=trap,
        trap_share=trap_share,
        trap_strength=trap_strength,
        on_problem=terminal.problem,
    )
    made.write(out)
    terminal.say(f"{out}:")
    terminal.say_lines(made)
    terminal.summary({"file": str(out), "splits": made.counts, "notes": made.notes})


@command.command()
@click.argument("file", type=FILE)
@click.option(
    "--out",
    type=FILE,
    default=Path("detected.csv"),
    show_default=True,
    help="The table of scores to write; feature-usage takes it with --features.",
)
@click.option(
    "--feature",
    "features",
    multiple=True,
    metavar="NAME",
    help="Yes/no feature to learn; repeatable; default all artifacts that are flagged.",
)
@click.option(
    "--architecture",
    default="tf_efficientnet_lite0",
    show_default=True,
    metavar="NAME",
    help="Network of timm with published weights, whose activations are looked at.",
)
@click.option(
    "--folds", type=click.IntRange(2), default=5, show_default=True, help="Of the cross-fitting."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same scores.")
@common
def detect(
    file: Path,
    out: Path,
    features: tuple[str, ...],
    architecture: str,
    folds: int,
    seed: int,
    quiet: bool,
    as_json: bool,
    debug: bool,
) -> None:
    """Learn artifacts from the flags of an annotation file, and score every image for them.

    No image is scored by a detector that saw it or another of its group.
    """
    from xattn.annotations import read_annotations
    from xattn.training.detectors.detect import detect_artifacts

    terminal = Terminal(quiet, as_json)
    known = read_annotations(file, on_problem=terminal.problem)
    with terminal.progress("detect") as progress:
        found = detect_artifacts(
            known, out, features=features, architecture=architecture, folds=folds, seed=seed,
            progress=progress,
        )  # fmt: skip
    terminal.table(
        found.quality,
        "How well do detectors tell flags of images they did not see? (auc by chance: 0.5; "
        "reliability: fraction of an effect's variance that the score keeps)",
    )
    for note in found.notes:
        terminal.say(f"Note: {note}")
    usage = shlex.join(["xattn", "feature-usage", "--annotations", str(file), "--features"])
    terminal.say(f"{found.path}; {usage} {shlex.quote(str(found.path))}")
    facts = {"file": str(found.path), "notes": list(found.notes)}
    terminal.summary(facts | {"detectors": found.quality.to_dict("records")})


def _words(text: str | None) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()] if text else []


def _two(text: str | None) -> tuple[str, str] | None:
    from xattn.errors import UsageError

    if text is None:
        return None
    names = _words(text)
    if len(names) != 2:
        raise UsageError(f"Expected two names, by a comma, in --names, but got {text!r}")
    return names[0], names[1]


def _masks(text: str) -> tuple[str, str]:
    from xattn.errors import UsageError

    name, equals, where = text.partition("=")
    if not equals or not where:
        raise UsageError(f"Expected NAME=DIR in --mask, but got {text!r}")
    return name, where


def _listed(text: str) -> tuple[str, str]:
    from xattn.errors import UsageError

    name, equals, file = text.partition("=")
    if not equals:
        raise UsageError(f"Expected SPLIT=CSV in --list, but got {text!r}")
    return name, file


def _pair(text: str) -> tuple[str, str]:
    from xattn.errors import UsageError

    value, equals, name = text.rpartition("=")
    if not equals:
        raise UsageError(f"Expected VALUE=SPLIT in --split-value, but got {text!r}")
    return value, name
