"""Commands that are given addresses: names, refusals, secrets, room, a kill."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import textwrap
import threading
import zipfile
from pathlib import Path

import pytest

import xattn
from tests.attribution.on_disk import bright, noise
from xattn.addresses import room, scratch
from xattn.addresses.address import is_address, parse
from xattn.addresses.doors import local
from xattn.addresses.mirror import MIRROR
from xattn.cli import main
from xattn.errors import UsageError, XattnError
from xattn.images.find import find_images

ROOT = Path(__file__).parents[2]
NAMES = ["a b.png", "ümlaut ß.png", "c#1.png", "d%20.png", "e?.png", "f+g&h=.png", "[x].png"]


@pytest.fixture(scope="module")
def pixels(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return noise(tmp_path_factory.mktemp("one") / "a.png").read_bytes()


def test_keys_of_any_letters_are_found_read_and_named(bucket, pixels):
    for name in NAMES:
        bucket.put(f"in put/{name}", pixels)
    found = find_images(f"{bucket.address}/in put")
    assert sorted(one.path.name for one in found) == sorted(NAMES)
    assert all(one.path.read_bytes() == pixels for one in found)


def test_objects_that_stand_for_folders_are_no_files(s3, pixels):
    s3.put("images/a.png", pixels)
    for key in ("images/", "images/sub/"):
        s3.fs.call_s3("put_object", Bucket=s3.name, Key=key, Body=b"")
    s3.put("images/sub_$folder$", b"")
    notes: list[str] = []
    found = find_images(f"{s3.address}/images", notes.append)
    assert [one.id for one in found] == ["a"]
    assert notes == []


def test_a_key_that_goes_up_lands_nowhere(s3, pixels):
    s3.put("images/a.png", pixels)
    for key in ("images/../../evil.png", "images//b.png", f"images/{'n' * 300}.png"):
        s3.fs.call_s3("put_object", Bucket=s3.name, Key=key, Body=pixels)
    assert [one.id for one in find_images(f"{s3.address}/images")] == ["a"]
    assert not list(Path(scratch.root()).parent.glob("evil.png"))
    assert not list(Path(scratch.root()).rglob("evil.png"))


@pytest.mark.parametrize("end", ["", "/z"])
def test_a_zip_is_read_in_place(bucket, pixels, end):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("z/a.png", pixels)
    bucket.put("scans.zip", packed.getvalue())
    found = find_images(f"{bucket.address}/scans.zip{end}")
    assert [one.id for one in found] == ["a"]


def test_a_pattern_is_of_keys(bucket, pixels):
    for name in ("x/a.png", "x/b.jpg", "y/c.png"):
        bucket.put(name, pixels)
    assert [one.id for one in find_images(f"{bucket.address}/*/*.png")] == ["a", "c"]


@pytest.mark.parametrize(
    ("place", "says"),
    [("{}/nothing", "Expected an image, .* but got {}/nothing"),
     ("s3://no-such-bucket/images", "s3://no-such-bucket/images, but got: .* does not exist; make"),
     ("{}", "Expected images in {}, but found none"),
     ("foo://a/b", "Expected an address such as s3://")],
)  # fmt: skip
def test_what_is_not_there_is_one_line(s3, place, says):
    with pytest.raises(XattnError, match=says.format(s3.address)) as told:
        find_images(place.format(s3.address))
    assert "\n" not in str(told.value)
    assert "xattn-scratch" not in str(told.value)


@pytest.mark.slow  # the library asks again several times
def test_a_network_that_is_gone_and_a_library_that_lacks_are_one_line(s3, monkeypatch):
    monkeypatch.setattr(s3.fs.__class__, "retries", 1)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(XattnError, match=rf"{s3.address}/a, but got: Could not connect .* AWS_END"):
        local(f"{s3.address}/a")
    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3")
    with pytest.raises(UsageError, match=r"pip install 'xattn\[remote\]'"):
        local("s3://other-bucket/a")


def test_credentials_of_an_address_go_to_the_store_and_nowhere_else(s3, images, monkeypatch):
    s3.put_folder(images, "images")
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    at = f"s3://AKIATESTS:a%2Fhidden@{s3.name}"
    told: list[str] = []
    run = xattn.explain(bright(), f"{at}/images", out=f"{at}/run", on_note=told.append)
    xattn.report(run)
    for name, content in s3.files("run").items():
        assert b"a/hidden" not in content, name
        assert b"a%2Fhidden" not in content, name
        assert b"xattn-scratch" not in content, name
    assert "hidden" not in "".join(told) + scratch.shown(str(run.path))
    assert scratch.shown(str(run.path)) == f"{s3.address}/run"
    assert "hidden" not in repr(parse(at))


@pytest.mark.parametrize(
    ("given", "clean", "options"),
    [("s3://b/k:e@y", "s3://b/k:e@y", {}),
     ("s3://K:s/e@c@b/x", "s3://b/x", {"key": "K", "secret": "s/e@c"}),
     ("sftp://u:p@host/x", "sftp://host/x", {"username": "u", "password": "p"}),
     ("sftp://host:22/x", "sftp://host:22/x", {}),
     ("https://h/a.png?X-Signature=1", "https://h/a.png", {})],
)  # fmt: skip
def test_an_address_is_told_from_its_credentials(given, clean, options):
    assert str(parse(given)) == clean
    assert parse(given).options == options


def test_a_path_here_is_no_address_and_nothing_is_opened(tmp_path, monkeypatch):
    monkeypatch.setattr("xattn.addresses.doors.open_store", pytest.fail)
    assert not is_address(tmp_path)
    assert local("images/") == "images/"
    assert local(f"file://{tmp_path}/a b.png") == tmp_path / "a b.png"


def test_no_more_is_kept_than_there_is_room_for_and_threads_wait(bucket, monkeypatch):
    monkeypatch.setenv(room.MEGABYTES, "0.05")
    for i in range(12):
        bucket.put(f"images/{i}.png", bytes([i]) * 20_000)
    found = find_images(f"{bucket.address}/images")
    most: list[int] = []

    def read(path: Path) -> None:
        with MIRROR.kept(path):
            most.append(MIRROR._room.taken)
            assert path.read_bytes() == bytes([int(path.stem)]) * 20_000

    for _ in range(2):
        threads = [threading.Thread(target=read, args=(one.path,)) for one in found]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
    assert len(most) == 24
    assert max(most) <= 0.05 * 2**20


def test_a_page_goes_up_beside_its_run_and_a_merge_is_of_addresses(bucket, images, capsys):
    for i in (1, 2):
        xattn.explain(bright(), images, out=f"{bucket.address}/p{i}", shard=f"{i}/2", batch_size=3)
    at = bucket.address
    assert main(["merge", f"{at}/p1", f"{at}/p2", "--out", f"{at}/merged"]) == 0
    assert main(["report", f"{at}/merged"]) == 0
    assert main(["verify", f"{at}/merged"]) == 0
    assert f"{at}/merged/report.html" in capsys.readouterr().out
    assert "report.html" in bucket.files("merged")


@pytest.mark.slow
def test_a_killed_run_goes_on_elsewhere(s3, images):
    s3.put_folder(images, "data/images")
    at = f"{s3.address}/data"
    code = f"""
        import os, signal, xattn
        from tests.attribution.on_disk import bright
        def killed(done, total):
            if done >= 4:
                os.kill(os.getpid(), signal.SIGKILL)
        xattn.explain(bright(), "{at}/images", out="{at}/run", batch_size=2, progress=killed)
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    assert {".lock", ".progress/batch-000001.json"} <= s3.files("data/run").keys()
    told: list[int] = []
    run = xattn.explain(
        bright(),
        f"{at}/images",
        out=f"{at}/run",
        batch_size=2,
        progress=lambda n, _: told.append(n),
    )
    assert told[0] == 4
    assert run.settings["counts"]["done"] == 7
    expected = xattn.explain(bright(), images, out=images.parent / "run", batch_size=2)
    there = s3.files("data/run")
    for name in ("predictions.parquet", "errors.csv", "maps.zarr/gradcam/c/0/0/0"):
        assert there[name] == (expected.path / name).read_bytes()
    assert not [name for name in there if name.startswith(".")]


def test_a_command_that_could_not_go_up_does_not_make_later_ones_fail(s3, tmp_path, capsys):
    words = ["synthesize", "--n", "2", "--size", "64", "--quiet", "--out"]
    assert main([*words, f"{s3.address}/data"]) == 0
    (Path(scratch.path_of(parse(s3.address))) / "data" / "left.csv").write_text("a\n")
    s3.fs.rm(s3.name, recursive=True)
    capsys.readouterr()
    assert main([*words, str(tmp_path / "here")]) == 0, capsys.readouterr().err
    other = type(s3)("s3")
    assert main([*words, f"{other.address}/data"]) == 0, capsys.readouterr().err
    assert "isic_attributes.json" in other.files("data")
