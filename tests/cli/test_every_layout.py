"""The whole chain by the command line, on a miniature of every layout.

Models are trained once for each set of classes and shared by the layouts that have it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.cli.miniatures import MINIATURES, draw, ids
from xattn.annotations import LAYOUTS
from xattn.cli import main
from xattn.runs import RunFolder

RECIPE = """[model]
architecture = "resnet10t"

[data]
size = 32
val = 0.2
test = 0.3

[train]
epochs = 1
batch_size = 16
lr = 0.01
"""
QUICK = ("--permutations", "99", "--bootstrap", "99", "--interventions", "3")
PER_CLASS = 10
PARTS = [
    (layout, n, masks)
    for layout, mini in MINIATURES.items()
    for n in sorted({1, 2, min(7, len(mini.classes))})
    for masks in ((False,) if mini.other_ids else (False, True))
]
FAST = {("ham10000", 2, False)}


def covering() -> list[tuple[str, int, bool]]:
    """Return half of the parts, in which there is every pair of layout, classes and masks.

    What is built is compared for all parts. What follows reads one file of annotations, whose
    classes and masks know nothing of each other: a layout whose two classes went through the chain
    with masks, and its seven without, is not sent through it the other way about; the next one is.
    """
    chosen = []
    for i, layout in enumerate(MINIATURES):
        own = [part for part in PARTS if part[0] == layout]
        ways = sorted({masks for *_, masks in own})
        for j, n in enumerate(sorted({n for _, n, _ in own}), start=1):
            chosen.append((layout, n, ways[(i + j) % len(ways)]))
    return chosen


COVERING = covering()


@dataclass
class Workshop:
    """Data sets and models that several tests share."""

    root: Path
    models: dict[tuple[str, ...], Path] = field(default_factory=dict)
    drawn: set[tuple[object, ...]] = field(default_factory=set)
    """Kinds of runs whose figures were drawn: they know classes and masks, not the layout."""

    def data(self, layout: str, n: int) -> tuple[Path, Path, list[str]]:
        """Return a data set of n classes, the masks beside it, and arguments of `build`."""
        mini, place = MINIATURES[layout], self.root / f"{layout}-{n}"
        names = ids(PER_CLASS * max(n, 2))
        labels = {one: mini.classes[i % n] for i, one in enumerate(names)}
        if not place.exists():
            draw(place / "data", mini, labels, place / "masks")
        return place / "data", place / "masks", mini.write(place / "data", labels)

    def built(self, layout: str, n: int, masks: bool) -> Path:
        """Return the annotation file, by `xattn annotations build`."""
        data, beside, more = self.data(layout, n)
        out = data.parent / f"{'masks' if masks else 'bare'}.json"
        given = ["--lesion-masks", str(beside / "segmentation"), "--mask"]
        given += [f"dots={beside / 'dots' / '{id}_dots.png'}"]
        command = ["annotations", "build", str(data), "--layout", layout, "--out", str(out)]
        if layout == "csv":
            command = ["annotations", "build", "--root", str(data), "--out", str(out)]
        assert main([*command, *more, *(given if masks else [])]) == 0
        return out

    def figures(self, run: str, *kind: object) -> None:
        """Draw all figures of a run, unless those of another of this kind are drawn."""
        if kind not in self.drawn:
            self.drawn.add(kind)
            assert main(["figures", run, "--format", "svg"]) == 0

    def model(self, annotations: Path) -> Path:
        """Return a model of the file's classes, trained on it if there is none yet."""
        classes = tuple(json.loads(annotations.read_text())["labels"])
        if classes not in self.models:
            recipe = self.root / "tiny.toml"
            recipe.write_text(RECIPE)
            out = self.root / f"model-{len(self.models)}"
            command = ["train", str(recipe), "--annotations", str(annotations), "--out", str(out)]
            assert main([*command, "--device", "cpu"]) == 0
            self.models[classes] = out / "model.pt"
        return self.models[classes]


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(tmp_path_factory.mktemp("layouts"))


def test_every_miniature_is_of_a_layout() -> None:
    assert set(MINIATURES) <= set(LAYOUTS)


def test_every_pair_of_layout_classes_and_masks_goes_through_the_chain() -> None:
    for a, b in ((0, 1), (0, 2), (1, 2)):
        # Which number of classes is a layout's most differs: 3, 5, 6 and 7 are one kind here.
        every, gone = (
            {(kind[a], kind[b]) for kind in ((p[0], min(p[1], 3), p[2]) for p in parts)}
            for parts in (PARTS, COVERING)
        )
        assert gone == every


@pytest.mark.parametrize(("layout", "n", "masks"), PARTS)
def test_every_layout_is_built_and_right_in_every_way(
    layout: str, n: int, masks: bool, workshop: Workshop, capsys: pytest.CaptureFixture[str]
) -> None:
    out = workshop.built(layout, n, masks)
    said = capsys.readouterr().out
    assert main(["annotations", "check", str(out)]) == 0
    content = json.loads(out.read_text())
    assert sorted(content["labels"]) == sorted(MINIATURES[layout].classes[:n])
    total = PER_CLASS * max(n, 2)
    assert len(content["images"]) == total
    lesions = masks or MINIATURES[layout].own_lesion
    assert all(("lesion" in image) == lesions for image in content["images"])
    if masks:
        assert f"lesion: {total} of {total} images have a mask, by {{id}}_segmentation" in said
        assert content["features"]["dots"] == {"kind": "structure"}


@pytest.mark.parametrize("layout", MINIATURES)
def test_every_layout_is_read_alike_from_inside_its_folder(
    layout: str, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = workshop.built(layout, 2, False)
    data, _, more = workshop.data(layout, 2)
    inside = data.parent / "inside.json"
    monkeypatch.chdir(data)
    where = ["--root", "."] if layout == "csv" else [".", "--layout", layout]
    assert main(["annotations", "build", *where, "--out", str(inside), *more]) == 0
    assert json.loads(inside.read_text()) == json.loads(outside.read_text())


@pytest.mark.parametrize(
    ("layout", "n", "masks"),
    [p if p in FAST else pytest.param(*p, marks=pytest.mark.slow) for p in COVERING if p[1] > 1],
)
def test_the_whole_chain_goes_through(
    layout: str, n: int, masks: bool, workshop: Workshop, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    annotations = workshop.built(layout, n, masks)
    model, run = workshop.model(annotations), str(tmp_path / "run")
    known = ["--annotations", str(annotations)]
    assert main(["explain", "--ckpt", str(model), *known, "--out", run]) == 0
    assert main(["evaluate", "--ckpt", str(model), *known, "--out", run, "--bootstrap", "99"]) == 0
    assert main(["feature-usage", "--run", run, *known, *QUICK]) == 0
    mini = MINIATURES[layout]
    workshop.figures(run, n, masks, mini.own_masks, mini.own_lesion)
    assert main(["report", run, "--gallery", "6"]) == 0
    assert "Traceback" not in capsys.readouterr().err
    tables = {name: RunFolder.open(run).table(name) for name in ("alignment", "verdicts")}
    masked = masks or MINIATURES[layout].own_masks
    assert bool(len(tables["alignment"])) == masked
    if masks:
        assert {"lesion", "dots"} <= set(tables["alignment"]["feature"])
    assert not {"dx_type", "diagnosis_confirm_type"} & set(tables["verdicts"].get("feature", []))


@pytest.mark.slow
@pytest.mark.parametrize(("layout", "masks"), [(p[0], p[2]) for p in COVERING if p[1] == 1])
def test_one_class_is_refused_for_training_and_can_be_explained_by_a_model_of_two(
    layout: str, masks: bool, workshop: Workshop, tmp_path: Path, capsys: Any
) -> None:
    model = workshop.model(workshop.built(layout, 2, False))
    annotations = workshop.built(layout, 1, masks)
    recipe, run = workshop.root / "tiny.toml", str(tmp_path / "run")
    known = ["--annotations", str(annotations)]
    capsys.readouterr()
    assert main(["train", str(recipe), *known, "--out", str(tmp_path / "model")]) == 1
    (line,) = [one for one in capsys.readouterr().err.splitlines() if one.startswith("Error")]
    assert "class" in line
    assert not (tmp_path / "model" / "model.pt").exists()
    assert main(["explain", "--ckpt", str(model), *known, "--out", run]) == 0
    assert main(["feature-usage", "--run", run, *known, *QUICK]) == 0
    assert "Note: All labels are" in capsys.readouterr().out
    mini = MINIATURES[layout]
    workshop.figures(run, 1, masks, mini.own_masks, mini.own_lesion)
    assert main(["report", run, "--gallery", "6"]) == 0
