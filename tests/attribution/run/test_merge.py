"""Parts of a job, put together, are what one run of all images is: tables, maps, overlays."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.attribution.on_disk import bright, noise, tables
from tests.models.nets import wrapped
from xattn.annotations import AnnotatedImage, write_annotations
from xattn.attribution.run.merge import merge
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.shards import Shard
from xattn.errors import RunError, UsageError
from xattn.models import Model, build, load, save_checkpoint
from xattn.runs import RunFolder
from xattn.runs.verify import verify

FILES = ["predictions.parquet", "inputs.parquet", "errors.csv"]


def hybrid() -> Model:
    torch.manual_seed(0)
    return wrapped(build("test_resnet-ga", 2).eval(), (32, 32))


@pytest.fixture
def mixed(images: Path) -> Path:
    """Eleven images, of which one is none and two have the same name in two folders."""
    (images / "img_2.png").write_bytes(b"no image")
    noise(images / "more" / "img_3.png")
    for i in range(7, 10):
        noise(images / f"img_{i}.jpg", seed=i)
    return images


def parts(model: Model, images: Path, n: int, **how: Any) -> list[Path]:
    folders = [images.parent / f"part-{i}" for i in range(1, n + 1)]
    for i, folder in enumerate(folders, start=1):
        explain(model, images, out=folder, shard=f"{i}/{n}", **{"batch_size": 2, **how})
    return folders


def assert_same_runs(merged: RunFolder, whole: RunFolder) -> None:
    assert tables(merged) == tables(whole)
    for name in FILES:
        assert (merged.path / name).read_bytes() == (whole.path / name).read_bytes(), name
    told = ["counts", "methods", "classes", "targets", "map_layers", "checkpoint_sha256"]
    for key in told:
        assert merged.settings.get(key) == whole.settings.get(key), key


@pytest.mark.parametrize("n", [1, 2, 3, 5])
@pytest.mark.parametrize("accelerate", ["none", "torch", "auto"])
def test_shards_merged_are_the_whole_run_to_the_byte(mixed, n, accelerate):
    how = {"methods": ["gradcam", "attention", "gradient-shap"]}
    model = hybrid()
    whole = explain(
        model, mixed, out=mixed.parent / "whole", batch_size=2, accelerate=accelerate, **how
    )
    folders = parts(model, mixed, n, accelerate=accelerate, **how)
    merged = merge(folders[::-1], mixed.parent / "merged")  # the order of the words is no matter
    assert_same_runs(merged, whole)
    assert merged.settings["counts"] == {"images": 11, "done": 10, "skipped": 1}
    assert merged.settings["timings"]["images"] == 11
    assert verify(merged.path).whole


def test_shards_into_one_folder_are_the_whole_run_too(images):
    whole = explain(bright(), images, out=images.parent / "whole", batch_size=2)
    for i in (1, 2):
        run = explain(bright(), images, out=images.parent / "run", shard=f"{i}/2", batch_size=2)
    assert tables(run) == tables(whole)


def test_labels_that_one_shard_lacks_are_lacking_in_the_whole(images):
    known = [
        AnnotatedImage(f"img_{i}", images / f"img_{i}.png", "dark" if i > 3 else None)
        for i in range(7)
    ]
    file = images.parent / "a.json"
    write_annotations(file, known, labels=("dark", "bright"))
    model = bright()
    whole = explain(model, annotations=file, out=images.parent / "whole", batch_size=2)
    for i in (1, 2):
        explain(model, annotations=file, out=images.parent / f"{i}", batch_size=2, shard=f"{i}/2")
    merged = merge([images.parent / "1", images.parent / "2"], images.parent / "merged")
    assert_same_runs(merged, whole)


def test_a_shard_of_which_nothing_could_be_done_counts_its_images(images):
    for i in range(2):
        (images / f"img_{i}.png").write_bytes(b"no image")
    whole = explain(bright(), images, out=images.parent / "whole", batch_size=2)
    folders = []
    for i in range(1, 5):
        folders.append(images.parent / f"quarter-{i}")
        if i == 1:
            with pytest.raises(RunError, match="Not one image"):
                explain(bright(), images, out=folders[0], shard="1/4", batch_size=2)
        else:
            explain(bright(), images, out=folders[-1], shard=f"{i}/4", batch_size=2)
    assert_same_runs(merge(folders, images.parent / "merged"), whole)


def test_runs_in_other_places_keep_their_images_and_checkpoint(images, monkeypatch):
    for i in (1, 2):
        explain(
            bright(), images, out=images.parent / "jobs" / f"job-{i}" / "run", shard=f"{i}/2",
            batch_size=2,
        )  # fmt: skip
    monkeypatch.chdir(images.parent)
    merged = merge([f"jobs/job-{i}/run" for i in (1, 2)], "run")
    assert list(merged.predictions["file"]) == [f"images/img_{i}.png" for i in range(7)]
    assert all(merged.image_path(i).is_file() for i in range(7))
    assert [call["inputs"]["images"] for call in merged.settings["calls"]] == [["images"]] * 2
    for i, call in enumerate(merged.settings["calls"], start=1):
        assert call["words"][:2] == ["--images", {"path": "images"}]
        assert f"{i}/2" in call["words"]
    assert merged.settings["merged_from"] == ["jobs/job-1/run", "jobs/job-2/run"]
    assert verify("run").whole


def test_a_merged_run_is_gone_on_with_as_any_other(images):
    merge(parts(bright(), images, 2), images.parent / "merged")
    run = explain(
        bright(), images, out=images.parent / "merged", methods=["layercam"], batch_size=2
    )
    assert run.methods == ["gradcam", "layercam"]
    assert len(run.maps("layercam")) == 7


def test_runs_of_other_images_are_merged_in_the_order_given(images):
    noise(images.parent / "more" / "z.png")
    explain(bright(), images.parent / "more", out=images.parent / "b")
    explain(bright(), images, out=images.parent / "a")
    merged = merge([images.parent / "b", images.parent / "a"], images.parent / "merged")
    assert list(merged.predictions["image_id"]) == ["z", *(f"img_{i}" for i in range(7))]


class TestRefuses:
    def refused(self, folders: list[Path], out: Path, **how: Any) -> str:
        with pytest.raises((RunError, UsageError)) as caught:
            merge(folders, out, **how)
        assert not (out / "run.json").exists() or out in folders or out.name == "there"
        return str(caught.value)

    def test_a_missing_shard_by_name_unless_it_may_be_missing(self, images):
        folders = parts(bright(), images, 3)
        out = images.parent / "merged"
        assert (
            "Expected all 3 shards of 7 images in batches of 2, but got none of 2/3"
            in self.refused([folders[0], folders[2]], out)
        )
        notes: list[str] = []
        run = merge([folders[0], folders[2]], out, allow_missing=True, on_note=notes.append)
        assert notes == ["shards that are missing: 2/3"]
        assert len(run.predictions) == 5

    def test_a_shard_that_was_stopped(self, images):
        folders = parts(bright(), images, 2)
        (folders[1] / ".progress").mkdir()
        assert f"in {folders[1]}, but it was stopped" in self.refused(
            folders, images.parent / "merged"
        )

    @pytest.mark.parametrize("change", ["more", "fewer", "others", "batches", "another list"])
    def test_shards_of_another_job_by_what_it_is(self, images, change):
        how, source = {"batch_size": 2}, images
        one = explain(bright(), images, out=images.parent / "one", shard="1/2", **how)
        if change == "more":
            noise(images / "aaa.png")
        elif change == "fewer":
            (images / "img_0.png").unlink()
        elif change == "others":
            (images / "img_6.png").rename(images / "z.png")
        elif change == "batches":
            how = {"batch_size": 3}
        else:
            source = noise(images.parent / "more" / "y.png").parent
            for i in range(6):
                noise(source / f"x{i}.png")
        two = explain(bright(), source, out=images.parent / "two", shard="2/2", **how)
        said = self.refused([one.path, two.path], images.parent / "merged")
        assert "Expected all 2 shards of 7 images in batches of 2, but got none of 2/2" in said
        assert f"{two.path} is of another job, " in said

    def test_one_run_twice(self, images):
        folders = parts(bright(), images, 2)
        said = self.refused([folders[0], *folders], images.parent / "merged")
        assert said == f"Expected each run once, but got {folders[0]} twice"

    @pytest.mark.parametrize("place", ["images", "folder of the parts"])
    def test_a_folder_that_holds_something_else(self, images, place):
        folders = parts(bright(), images, 2)
        out = images if place == "images" else images.parent
        before = sorted(out.iterdir())
        assert f"Expected an empty folder to merge into, but {out} holds " in self.refused(
            folders, out
        )
        assert sorted(out.iterdir()) == before

    def test_one_shard_twice(self, images):
        folders = parts(bright(), images, 2)
        shutil.copytree(folders[0], images.parent / "copy")
        said = self.refused([*folders, images.parent / "copy"], images.parent / "merged")
        assert f"1/2 is in {folders[0]} and {images.parent / 'copy'}" in said

    def test_one_image_in_two_runs(self, images):
        for name in "ab":
            explain(bright(), images, out=images.parent / name)
        said = self.refused([images.parent / "a", images.parent / "b"], images.parent / "merged")
        assert f"'img_0' is in {images.parent / 'a'} and {images.parent / 'b'}" in said

    @pytest.mark.parametrize(
        ("how", "named"),
        [
            ({"methods": ["layercam"]}, "methods ['gradcam'], "),
            ({"overlay": "none"}, "overlay 'png', "),
            ({"target": "malignant"}, "target 'predicted'"),
            ({"exact": True}, "exact False"),
        ],
        ids=["methods", "overlay", "target", "exact"],
    )
    def test_runs_of_other_settings_by_their_names(self, images, how, named):
        one, _ = parts(bright(), images, 2)
        other = explain(bright(), images, out=images.parent / "b", shard="2/2", batch_size=2, **how)
        said = self.refused([one, other.path], images.parent / "merged")
        assert named in said

    def test_another_model(self, images):
        one, _ = parts(bright(), images, 2)
        other = explain(hybrid(), images, out=images.parent / "b", methods=["gradcam"])
        assert "checkpoint_sha256" in self.refused([one, other.path], images.parent / "merged")

    def test_a_folder_that_holds_a_run_or_is_one_of_them(self, images):
        folders = parts(bright(), images, 2)
        explain(bright(), images, out=images.parent / "there")
        assert "without a run" in self.refused(folders, images.parent / "there")
        assert "is one of the runs" in self.refused(folders, folders[0])

    def test_shards_of_other_numbers(self, images):
        folders = parts(bright(), images, 2)
        explain(bright(), images, out=images.parent / "c", shard="3/3", batch_size=2)
        said = self.refused([folders[0], images.parent / "c"], images.parent / "merged")
        assert "Expected all 2 shards of 7 images in batches of 2, but got none of 2/2" in said
        assert f"{images.parent / 'c'} is of another job" in said

    def test_what_is_no_run(self, images):
        assert "no run.json" in self.refused([images], images.parent / "merged")


def test_whole_and_merged_runs_are_merged_with_others(images):
    one = merge(parts(bright(), images, 3), images.parent / "merged")
    other = noise(images.parent / "more" / "y.png").parent
    for i in range(5):
        noise(other / f"x{i}.png")
    folders = [images.parent / "b-1", images.parent / "b-2"]
    for i, folder in enumerate(folders, start=1):
        explain(bright(), other, out=folder, shard=f"{i}/2", batch_size=2)
    last = explain(bright(), noise(images.parent / "z.png"), out=images.parent / "z", batch_size=2)
    # Shards stand in their order among the others, which stay where they were named.
    run = merge([folders[1], one.path, folders[0], last.path], images.parent / "all")
    first, second = (list(RunFolder.open(folder).predictions["image_id"]) for folder in folders)
    seven = [f"img_{i}" for i in range(7)]
    assert list(run.predictions["image_id"]) == [*first, *seven, *second, "z"]
    again = merge([run.path], images.parent / "again")
    assert tables(again) == tables(run)


def test_a_merged_run_that_lost_its_table_names_all_calls_that_made_it(images):
    model = hybrid()
    file = save_checkpoint(
        images.parent / "model.pt", model.module, architecture="test_resnet-ga",
        classes=model.classes, preprocessing=model.preprocessing,
    )  # fmt: skip
    merged = merge(parts(load(file), images, 2), images.parent / "merged")
    (merged.path / "predictions.parquet").unlink()
    with pytest.raises(RunError) as caught:
        RunFolder.open(merged.path)
    assert "repeat `xattn explain " in str(caught.value)
    assert [f"--shard {i}/2 " in str(caught.value) for i in (1, 2)] == [True, True]


def test_images_that_are_not_where_a_copied_run_names_them_are_told(images):
    folders = parts(bright(), images, 2)
    copied = images.parent / "far" / "away" / "part-2"
    shutil.copytree(folders[1], copied)
    notes: list[str] = []
    merge([folders[0], copied], images.parent / "merged", on_note=notes.append)
    (told,) = notes
    assert told.startswith(f"3 of 3 images of {copied} are not where it names them (images/img_4")


def test_other_roundings_are_told(images):
    one, two = parts(bright(), images, 2)
    more = explain(bright(), noise(images.parent / "x.png"), out=images.parent / "c", batch_size=4)
    notes: list[str] = []
    merge([one, two, more.path], images.parent / "merged", on_note=notes.append)
    (told,) = notes
    assert f"{more.path} was made with batch_size 4, {one} with 2" in told


def test_measurements_of_one_folder_are_not_taken_over(images):
    folders = parts(bright(), images, 2)
    (folders[0] / "evaluation.json").write_text("{}")
    notes: list[str] = []
    merge(folders, images.parent / "merged", on_note=notes.append)
    assert f"{folders[0]}: its evaluation.json is not of all images and not taken over" in notes
    assert not (images.parent / "merged" / "evaluation.json").exists()


def test_a_merge_that_was_stopped_is_made_again(images, monkeypatch):
    folders, out = parts(bright(), images, 2), images.parent / "merged"

    def stop(*_args: object, **_options: object) -> None:
        raise KeyboardInterrupt

    for place in ("write_rows", "write_parquet", "write_stamps", "write_json"):
        with monkeypatch.context() as patch:
            patch.setattr(f"xattn.attribution.run.merge.{place}", stop)
            with pytest.raises(KeyboardInterrupt):
                merge(folders, out)
    merged = merge(folders, out)
    whole = explain(bright(), images, out=images.parent / "whole", batch_size=2)
    assert_same_runs(merged, whole)


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "a/b", "1/0", "-1/2", "1/4/2", ""])
def test_what_is_no_shard_is_refused(text):
    with pytest.raises(UsageError, match="Expected a shard such as 1/4"):
        Shard.read(text)


@settings(max_examples=200)
@given(n=st.integers(1, 300), size=st.integers(1, 20), of=st.integers(1, 30))
def test_shards_are_all_images_in_whole_batches_and_alike_in_size(n, size, of):
    batches = -(-n // size)
    shards = [Shard(i, of) for i in range(1, of + 1)]
    if batches < of:
        for shard in shards:
            with pytest.raises(UsageError, match=f"Expected at most {batches} shards"):
                shard.take(range(n), size)
        return
    taken = [shard.take(range(n), size) for shard in shards]
    assert [i for one in taken for i in one] == list(range(n))
    assert all(one[0] % size == 0 for one in taken)
    counts = [-(-len(one) // size) for one in taken]
    assert max(counts) - min(counts) <= 1


def test_links_and_relative_names_of_one_folder_are_one(images, monkeypatch):
    folders = parts(bright(), images, 2)
    os.symlink(folders[0], images.parent / "link")
    monkeypatch.chdir(images.parent)
    with pytest.raises(UsageError, match="is one of the runs"):
        merge(["part-1", "part-2"], "link")
