import json

import numpy as np
import pandas as pd
import pytest

from tests.figures.populated import complete_run, explained_run
from xattn.errors import UsageError
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.choose import chosen, most_attended
from xattn.figures.page.listing import make_listing, outcome, positive_of, said_of
from xattn.runs import RunFolder


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two runs of the same images, the second with another seed."""
    root = tmp_path_factory.mktemp("pair")
    return [complete_run(root / name, seed=i) for i, name in enumerate("ab")]


@pytest.fixture(scope="module")
def both(pair):
    return AlignedRuns.of(pair)


def reordered(run, keep):
    """Write another run folder that holds some of the images, in another order."""
    path = run.path / "predictions.parquet"
    run.predictions.iloc[keep].to_parquet(path, index=False)
    return RunFolder.open(run.path)


def test_runs_are_joined_by_image_whatever_their_order(tmp_path):
    runs = [explained_run(tmp_path / name, n=6) for name in "ab"]
    runs[1] = reordered(runs[1], [5, 3, 1, 0])
    aligned = AlignedRuns.of(runs)
    assert aligned.ids == ["img_0000", "img_0001", "img_0003", "img_0005"]
    assert aligned.rows.tolist() == [[0, 1, 3, 5], [3, 2, 1, 0]]
    assert aligned.left_out == 2


def test_runs_of_other_images_are_no_comparison(tmp_path):
    runs = [explained_run(tmp_path / name, n=2) for name in "ab"]
    table = runs[1].predictions.assign(image_id=["x", "y"])
    table.to_parquet(runs[1].path / "predictions.parquet", index=False)
    with pytest.raises(UsageError, match="no image is in all of 2 runs"):
        AlignedRuns.of([runs[0], RunFolder.open(runs[1].path)])


def test_a_run_named_twice_is_an_error(tmp_path):
    run = explained_run(tmp_path, n=2)
    with pytest.raises(UsageError, match="Expected each run once"):
        AlignedRuns.of([run, RunFolder.open(run.path)])


def test_runs_of_one_architecture_are_told_apart_by_the_folder_around_them(both):
    assert both.names == ["none (a/run)", "none (b/run)"]


def test_lifts_are_those_of_the_file(both, pair):
    for number, run in enumerate(pair):
        table = pd.read_parquet(run.path / "mask_scores.parquet")
        known = both.lifts[number]
        assert np.isfinite(known).sum() == len(table)
        for row in table.sample(20, random_state=0).to_dict("records"):
            place = (
                both.ids.index(row["image_id"]),
                both.methods.index(row["method"]),
                both.features.index(row["feature"]),
            )
            assert known[place] == pytest.approx(row["lift"])


def test_features_known_by_a_value_alone_count_as_shown(tmp_path):
    run = complete_run(tmp_path, n=6)
    table = pd.read_parquet(run.path / "features.parquet")
    table.assign(hair=[0.0, 1, 0, 1, np.nan, 0]).to_parquet(run.path / "features.parquet")
    path = run.path / "features.json"
    facts = json.loads(path.read_text())
    path.write_text(json.dumps(facts | {"kinds": facts["kinds"] | {"hair": "artifact"}}))
    aligned = AlignedRuns.of([RunFolder.open(run.path)])
    assert aligned.features[-1] == "hair"
    assert aligned.shows[:, -1].tolist() == [False, True, False, True, False, False]
    assert "hair" not in aligned.artifacts  # no mask, no lift


@pytest.mark.parametrize(
    ("label", "predicted", "positive", "said"),
    [
        ("", "malignant", "malignant", ""),
        ("benign", "benign", "malignant", "correct"),
        ("benign", "malignant", "malignant", "false positive"),
        ("malignant", "benign", "malignant", "false negative"),
        ("a", "b", None, "wrong"),
    ],
)
def test_an_outcome_says_how_a_prediction_is_wrong(label, predicted, positive, said):
    assert outcome(label, predicted, positive) == said


def test_more_than_two_classes_have_no_positive_one(tmp_path):
    run = explained_run(tmp_path, n=3, classes=("a", "b", "c"))
    assert positive_of(AlignedRuns.of([run])) is None


def test_each_model_speaks_for_itself(both, pair):
    for image in range(0, 24, 5):
        said = said_of(both, image, "malignant")
        for one, run in zip(said, pair, strict=True):
            row = run.predictions.iloc[image]
            assert one.predicted == row["predicted"]
            assert one.confidence == pytest.approx(row[f"prob_{row['predicted']}"])
            assert one.outcome == outcome(row["label"], row["predicted"], "malignant")


def test_a_quarter_is_chosen_for_the_attention_to_artifacts(both):
    images, rule = chosen(both, 16)
    assert len(set(images.tolist())) == 16
    assert "4 of them instead for the highest lift of gradcam on patches and ruler" in rule
    drawn = most_attended(both, 4)
    assert images[-4:].tolist() == drawn.tolist()
    best = [both.lifts[0, :, 0, both.features.index(n)] for n in both.artifacts]
    assert drawn[0] == np.nanargmax(best[0])
    assert drawn[1] in np.argsort(-np.nan_to_num(best[1]))[:2]


def test_more_images_than_there_are_give_each_once(both):
    images, _ = chosen(both, 500)
    assert sorted(images.tolist()) == list(range(24))


def test_the_listing_starts_with_the_tiles_and_knows_every_image(both, tmp_path):
    listing = make_listing(both, np.array([7, 2]), tmp_path / "page.html")
    ids = [image[0] for image in listing.content["images"]]
    assert ids[:3] == ["img_0007", "img_0002", "img_0000"]
    assert sorted(ids) == sorted(both.ids)
    _, label, shown, said = listing.content["images"][0]
    assert listing.content["classes"][label] == both.labels[7]
    assert [f in shown for f in range(len(both.features))] == both.shows[7].tolist()
    for run in range(2):
        for method in range(2):
            want = both.lifts[run, 7, method, shown]
            got = said[run][2][method]
            if got is None:  # a degenerate map, or no masks
                assert np.isnan(want).all()
            else:
                np.testing.assert_allclose(np.array(got, float), want, atol=0.006)


def test_a_listing_that_grows_too_large_stops_after_the_tiles(both, tmp_path, monkeypatch):
    monkeypatch.setattr("xattn.figures.page.listing.MOST_BYTES", 100)
    assert make_listing(both, np.array([7, 2]), tmp_path / "page.html").listed == 2


def test_overlays_are_linked_where_every_image_has_one(tmp_path):
    run = explained_run(tmp_path / "a b", n=2)
    folder = run.path / "overlays" / "gradcam"
    folder.mkdir(parents=True)
    aligned = AlignedRuns.of([run])
    page = tmp_path / "page.html"
    (folder / "img_0000.png").touch()
    assert make_listing(aligned, np.array([0]), page).content["overlays"] == [[None, None]]
    (folder / "img_0001.png").touch()
    (found, absent), *_ = make_listing(aligned, np.array([0]), page).content["overlays"]
    assert (found, absent) == (["a%20b/run/overlays/gradcam/", ".png"], None)
