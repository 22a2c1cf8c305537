"""A run whose images and folder are at addresses is the run of the same folders here."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import xattn
from tests.attribution.on_disk import bright, noise
from xattn.addresses import lock, scratch
from xattn.addresses.failures import AddressError
from xattn.addresses.mirror import MIRROR
from xattn.errors import RunError, XattnError
from xattn.runs import RunFolder

OWN = {"run.json", "inputs.parquet"}
"""Files that hold times: of the call, and of the images."""


def here(images: Path, **options: object) -> dict[str, bytes]:
    out = images.parent / "run"
    xattn.explain(bright(), images, out=out, **options)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def without_times(record: bytes) -> dict[str, object]:
    facts = json.loads(record)
    return {key: value for key, value in facts.items() if key not in ("timings", "checksum")}


@pytest.mark.parametrize("slash", ["", "/"])
def test_tables_maps_and_overlays_are_those_of_folders_here_to_the_byte(bucket, images, slash):
    bucket.put_folder(images, "data/images")
    at = bucket.address
    run = xattn.explain(bright(), f"{at}/data/images{slash}", out=f"{at}/data/run{slash}")
    expected, found = here(images), bucket.files("data/run")
    assert found.keys() == expected.keys()
    assert {k: v for k, v in found.items() if k not in OWN} == {
        k: v for k, v in expected.items() if k not in OWN
    }
    assert without_times(found["run.json"]) == without_times(expected["run.json"])
    assert list(run.predictions["file"]) == [f"images/img_{i}.png" for i in range(7)]


def test_images_here_and_a_run_there_are_named_in_full(bucket, images):
    xattn.explain(bright(), images, out=f"{bucket.address}/run")
    run = xattn.RunFolder.open(f"{bucket.address}/run")
    assert run.predictions["file"].iloc[0] == str(images / "img_0.png")
    assert run.image_path(0) == images / "img_0.png"


def test_images_there_and_a_run_here_are_named_by_their_address(bucket, images):
    bucket.put_folder(images, "images")
    run = xattn.explain(bright(), f"{bucket.address}/images", out=images.parent / "run")
    assert run.predictions["file"].iloc[0] == f"{bucket.address}/images/img_0.png"
    again = xattn.explain(bright(), f"{bucket.address}/images", out=images.parent / "run")
    assert again.settings["counts"] == {"images": 7, "done": 7, "skipped": 0}


def test_a_second_call_elsewhere_does_nothing_and_fetches_no_image(bucket, images, monkeypatch):
    bucket.put_folder(images, "images")
    out, source = f"{bucket.address}/run", f"{bucket.address}/images"
    xattn.explain(bright(), source, out=out)
    before = bucket.files("run")
    forget(monkeypatch)
    fetched: list[str] = []
    monkeypatch.setattr(MIRROR, "_fill", spied(MIRROR._fill, fetched))
    xattn.explain(bright(), source, out=out)
    assert not [path for path in fetched if path.endswith(".png")]
    assert bucket.files("run") == before


def test_an_image_that_was_replaced_under_its_name_is_done_again(bucket, images, monkeypatch):
    bucket.put_folder(images, "images")
    out, source = f"{bucket.address}/run", f"{bucket.address}/images"
    first = xattn.explain(bright(), source, out=out).predictions
    bucket.put("images/img_2.png", noise(images / "img_2.png", (60, 42), seed=99).read_bytes())
    told: list[str] = []
    second = xattn.explain(bright(), source, out=out, on_change=told.append).predictions
    changed = (first["logit_malignant"] != second["logit_malignant"]).tolist()
    assert changed == [i == 2 for i in range(7)]
    assert "1 image (images/img_2.png) replaced under the same name" in told[0]


def test_a_run_that_was_stopped_goes_on_from_a_new_scratch_folder(bucket, images, monkeypatch):
    bucket.put_folder(images, "data/images")
    source, out = f"{bucket.address}/data/images", f"{bucket.address}/data/run"

    def lost(done: int, _total: int) -> None:
        if done >= 4:
            raise AddressError("the network is gone")

    with pytest.raises(AddressError):
        xattn.explain(bright(), source, out=out, batch_size=2, progress=lost)
    there = bucket.files("data/run")
    assert "predictions.parquet" not in there
    assert {".progress/batch-000000.json", ".progress/batch-000001.json"} <= there.keys()
    forget(monkeypatch)
    told: list[int] = []
    xattn.explain(bright(), source, out=out, batch_size=2, progress=lambda n, _: told.append(n))
    assert told[0] == 4
    expected, found = here(images, batch_size=2), bucket.files("data/run")
    assert {k: v for k, v in found.items() if k not in OWN} == {
        k: v for k, v in expected.items() if k not in OWN
    }


def test_a_record_is_never_there_before_its_files(bucket, images, monkeypatch):
    """Each batch's record goes up after its rows and maps, and run.json after all tables."""
    bucket.put_folder(images, "images")
    order: list[str] = []
    put = xattn.addresses.stores.Store.put

    def noted(self, pairs):
        order.extend(str(to).removeprefix(f"{bucket.address}/run/") for _, to in pairs)
        put(self, pairs)

    monkeypatch.setattr("xattn.addresses.stores.Store.put", noted)
    xattn.explain(bright(), f"{bucket.address}/images", out=f"{bucket.address}/run")
    assert order.index(".progress/batch-000000.npz") < order.index(".progress/batch-000000.json")
    assert order.index("overlays/gradcam/img_6.png") < order.index(".progress/batch-000000.json")
    last = len(order) - 1 - order[::-1].index("run.json")
    tables = ("predictions.parquet", "errors.csv", "maps.zarr/gradcam/zarr.json")
    assert all(order.index(name) < last for name in tables)


def test_an_object_that_is_gone_since_the_listing_is_a_line_of_errors_csv(bucket, images):
    bucket.put_folder(images, "images")
    source = f"{bucket.address}/images"
    listed = xattn.images.find.find_images(source)
    bucket.fs.rm(bucket.key("images/img_3.png"))
    run = xattn.explain(bright(), [one.path for one in listed], out=images.parent / "run")
    assert run.settings["counts"] == {"images": 7, "done": 6, "skipped": 1}
    (error,) = run.table("errors")["error"]
    assert f"{source}/img_3.png" in error


class TestTwoWriters:
    def test_the_second_is_told_who_is_there_since_when(self, bucket, images):
        out = f"{bucket.address}/run"
        now = lock._now().isoformat(timespec="seconds")
        holder = {
            "pid": 7, "host": "other", "command": "xattn explain", "machine": "another",
            "since": now, "alive": now, "token": "x",
        }  # fmt: skip
        bucket.put("run/.lock", json.dumps(holder).encode())
        with pytest.raises(RunError, match=r"process 7 on other \(xattn explain\) .* since 20"):
            xattn.explain(bright(), images, out=out)
        with pytest.raises(RunError, match="is at work on it"):
            xattn.verify(out)
        assert bucket.files("run").keys() == {".lock"}

    def test_a_lock_that_was_silent_for_long_is_taken_over(self, bucket, images):
        long_ago = "2020-01-01T00:00:00+00:00"
        holder = {"pid": 7, "machine": "another", "alive": long_ago, "token": "x"}
        bucket.put("run/.lock", json.dumps(holder).encode())
        xattn.explain(bright(), images, out=f"{bucket.address}/run")
        assert ".lock" not in bucket.files("run")

    def test_who_was_taken_over_writes_no_more(self, bucket, images):
        def taken_over(done: int, _total: int) -> None:
            if done == 2:
                bucket.put("run/.lock", json.dumps({"pid": 8, "host": "b", "token": "y"}).encode())

        with pytest.raises(RunError, match="its lock is process 8 on b's now"):
            xattn.explain(
                bright(), images, out=f"{bucket.address}/run", batch_size=2, progress=taken_over
            )
        assert json.loads(bucket.files("run")[".lock"])["token"] == "y"
        assert ".progress/batch-000002.json" not in bucket.files("run")


def test_a_record_alone_opens_no_address(images, bucket):
    bucket.put_folder(images, "images")
    run = xattn.explain(bright(), f"{bucket.address}/images", out=images.parent / "run")
    xattn.addresses.stores._stores.clear()
    bucket.put("images/new.png", b"")
    assert not (RunFolder.open(run.path).image_path(0).parent / "new.png").exists()
    with pytest.raises(XattnError):
        MIRROR._store(scratch.address_at(run.image_path(0)))


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin as on another machine: nothing of any address is here."""
    import shutil

    for protocol in ("memory", "s3"):
        shutil.rmtree(Path(scratch.root(), protocol), ignore_errors=True)
    for kept in (MIRROR.known, MIRROR._empty, MIRROR._listed):
        kept.clear()


def spied(function, seen):
    def called(text, part):
        seen.append(text)
        return function(text, part)

    return called
