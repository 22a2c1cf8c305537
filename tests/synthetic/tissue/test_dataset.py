import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xattn.annotations import build_annotations, read_annotations
from xattn.cli import main
from xattn.errors import UsageError, XattnError
from xattn.images import read_mask
from xattn.synthetic.tissue.dataset import synthesize_tissue
from xattn.synthetic.tissue.drawing import render_tissue
from xattn.synthetic.tissue.plan import TissuePlan


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("tissue") / "data"
    assert synthesize_tissue(root, 24, seed=1) == root / "annotations.json"
    return root


def tree(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_the_annotation_file_is_whole_and_of_tissue(made):
    known = read_annotations(made / "annotations.json", strict=True)
    assert known.domain == "tissue"
    assert known.labels == ("normal", "tumor")
    kinds = {name: feature.kind for name, feature in known.features.items()}
    assert kinds["nuclei"] == "structure"
    assert {n for n, kind in kinds.items() if kind == "artifact"} == {"pen", "fold", "bubble"}
    plan = TissuePlan(1)
    for i, image in enumerate(known.images):
        spec = plan.draw(i)
        assert (image.id, image.label, image.group) == (spec.id, spec.label, str(spec.slide))
        assert (image.lesion is None) == (spec.label == "normal")


def test_the_files_hold_what_was_rendered(made):
    known = read_annotations(made / "annotations.json")
    plan = TissuePlan(1)
    for i, image in list(enumerate(known.images))[:6]:
        rendered = render_tissue(plan.draw(i))
        assert np.array_equal(np.asarray(Image.open(image.file)), rendered.image)
        assert set(image.masks) == set(rendered.masks)
        for name, mask in rendered.masks.items():
            assert np.array_equal(read_mask(image.masks[name]), mask)


def test_the_layout_of_wilds_reads_it_as_the_annotation_file_says(made, tmp_path):
    own = read_annotations(made / "annotations.json")
    read = build_annotations(None, made, tmp_path / "read.json")
    assert "layout: camelyon17, as the folder looks" in read.notes
    places = ("center", "slide", "patient", "node", "official_split")
    for image in read.images:
        known = own.by_id[image.id]
        assert (image.label, image.group) == (known.label, known.group)
        assert image.file.samefile(known.file)
        assert {k: image.values[k] for k in places} == {k: known.values[k] for k in places}


def test_fewer_patches_are_the_first_of_more_and_any_number_of_workers_writes_the_same(
    made, tmp_path
):
    few = synthesize_tissue(tmp_path / "few", 5, seed=1, workers=3).parent
    for name, content in tree(few).items():
        if name.endswith(".png"):
            assert content == (made / name).read_bytes(), name


def test_a_call_that_was_stopped_goes_on_and_one_of_other_settings_is_refused(tmp_path):
    whole = tree(synthesize_tissue(tmp_path / "a", 6).parent)
    again = synthesize_tissue(tmp_path / "b", 6).parent
    for path in [*again.glob("patches/*/*.png")][:3]:
        path.unlink()
    (again / "annotations.json").unlink()
    synthesize_tissue(again, 6)
    assert tree(again) == whole
    with pytest.raises(XattnError, match="same settings"):
        synthesize_tissue(again, 7)


def test_what_was_planted_is_written_down_and_said_to_be_a_stand_in(made):
    truth = json.loads((made / "truth.json").read_text())
    assert truth["what"] == "generated tissue, a stand-in for Camelyon17"
    assert truth["variables"]["stain"]["effect"] == 1.5
    table = pd.read_csv(made / "metadata.csv")
    assert truth["labels"] == {
        "normal": int((table["tumor"] == 0).sum()), "tumor": int(table["tumor"].sum()),
    }  # fmt: skip


def test_the_command_line_makes_tissue(tmp_path, capsys):
    out = tmp_path / "t"
    words = ["synthesize", "--tissue", "--n", "3", "--out", str(out), "--effect", "pen=2"]
    assert main(words) == 0
    assert "3 images; annotations in" in capsys.readouterr().out
    assert json.loads((out / "truth.json").read_text())["variables"]["pen"]["effect"] == 2.0
    assert main([*words, "--pair-rate", "0.5"]) == 2
    assert "Expected --pair-rate without --tissue" in capsys.readouterr().err


def test_no_patches_are_refused(tmp_path):
    with pytest.raises(UsageError, match="at least 1 image"):
        synthesize_tissue(tmp_path / "none", 0)
