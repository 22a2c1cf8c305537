"""A second call, after an end or after a kill at any moment."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.attribution.on_disk import bright, noise, tables
from tests.models.nets import Brightness, Conv, vit, wrapped
from xattn.attribution.run import batch
from xattn.attribution.run.pipeline import explain
from xattn.errors import RunError
from xattn.runs import RunFolder
from xattn.runs.writer import RunWriter

ROOT = Path(__file__).parents[3]


class TestASecondCall:
    def test_on_a_finished_folder_does_nothing(self, images):
        model = wrapped(Conv().eval())
        (images / "zero.png").write_bytes(b"")
        out = images.parent / "run"
        explain(model, images, out=out, batch_size=3)
        before = {p: (p.read_bytes(), p.stat().st_ino) for p in out.rglob("*") if p.is_file()}
        passes = []
        model.module.register_forward_pre_hook(lambda *_: passes.append(1))
        explain(model, images, out=out, batch_size=3)
        assert passes == []
        now = {p: p.read_bytes() for p in out.rglob("*") if p.is_file()}
        assert now == {p: data for p, (data, _) in before.items()}

    def test_after_a_stop_ends_with_the_same_bytes(self, images):
        (images / "img_2.png").write_bytes(b"")
        model = wrapped(Conv().eval())
        expected = tables(explain(model, images, out=images.parent / "whole", batch_size=2))

        def stop(done: int, total: int) -> None:
            if done >= 4:
                raise KeyboardInterrupt

        out = images.parent / "stopped"
        with pytest.raises(KeyboardInterrupt):
            explain(model, images, out=out, batch_size=2, progress=stop)
        with pytest.raises(RunError, match="go on where it stopped"):
            RunFolder.open(out)
        told: list[int] = []
        run = explain(model, images, out=out, batch_size=2, progress=lambda d, _: told.append(d))
        assert told[0] == 4
        assert tables(run) == expected

    def test_adds_images_that_are_new(self, images):
        model = wrapped(Conv().eval())
        out = images.parent / "run"
        first = explain(model, images, out=out)
        before, maps = first.predictions, first.maps("gradcam")
        noise(images / "a_new_one.png", seed=9)
        run = explain(model, images, out=out)
        assert list(run.predictions["image_id"]) == [*before["image_id"], "a_new_one"]
        assert run.predictions.iloc[:7].equals(before)
        np.testing.assert_array_equal(run.maps("gradcam")[:7], maps)
        assert (out / "overlays/gradcam/a_new_one.png").is_file()

    def test_does_not_let_two_images_have_one_id(self, images):
        out = images.parent / "run"
        explain(bright(), images, out=out)
        noise(images.parent / "more" / "img_3.png", seed=9)
        noise(images.parent / "more" / "other.png", seed=9)
        run = explain(bright(), images.parent / "more", out=out)
        assert run.predictions["image_id"].is_unique
        assert list(run.predictions["image_id"])[-1] == "other"
        assert "'img_3' is also images/img_3.png" in run.table("errors")["error"][0]

    def test_does_not_take_its_own_overlays_for_images(self, images, monkeypatch):
        monkeypatch.chdir(images)
        model = wrapped(vit())
        run = explain(model, ".")
        assert run.path == Path("xattn-run")
        before = tables(run)
        assert tables(explain(model, ".")) == before
        assert list(run.predictions["file"]) == [f"img_{i}.png" for i in range(7)]

    @pytest.mark.parametrize(
        ("change", "key"),
        [
            (lambda: {"model": wrapped(Conv())}, "checkpoint_sha256"),
            (lambda: {"exact": True}, "exact"),
            (lambda: {"overlay": "none"}, "overlay"),
            (lambda: {"target": "malignant"}, "target"),
            (lambda: {"model": bright(size=(40, 48))}, "preprocessing.size"),
        ],
        ids=["checkpoint", "exact", "overlay", "target", "preprocessing"],
    )
    def test_with_other_settings_is_refused_and_loses_nothing(self, images, change, key):
        model = bright()
        out = images.parent / "run"
        before = tables(explain(model, images, out=out))
        with pytest.raises(RunError, match=f"Expected {key} .*; name another folder with --out"):
            explain(**{"model": model, "images": images, "out": out, **change()})
        assert tables(RunFolder.open(out)) == before

    def test_counts_on_overlays_for_a_batch_is_done_only_with_its_overlays(
        self, images, monkeypatch
    ):
        out = images.parent / "run"
        paint, commit = batch.write_image, RunWriter.commit
        checked: list[str] = []

        def slowly(path: Path, drawn: np.ndarray) -> None:
            time.sleep(0.02)
            paint(path, drawn)

        def checking(self: RunWriter, rows: Any, *rest: Any) -> None:
            for row in rows:
                assert (out / "overlays/gradcam" / f"{row['image_id']}.png").is_file()
                checked.append(row["image_id"])
            commit(self, rows, *rest)

        monkeypatch.setattr(batch, "write_image", slowly)
        monkeypatch.setattr(RunWriter, "commit", checking)
        explain(bright(), images, out=out, batch_size=3, workers=1)
        assert len(checked) == 7

    def test_survives_sigkill_in_the_middle(self, images):
        """A real kill of a real process, by itself, while batches are in flight."""
        script = textwrap.dedent(f"""
            import os, signal, sys
            import torch
            from nets import Brightness, wrapped
            from xattn.attribution.run.pipeline import explain

            def stop(done, total):
                if done >= 4:
                    os.kill(os.getpid(), signal.SIGKILL)

            explain(wrapped(Brightness()), {str(images)!r}, out={str(images.parent / "killed")!r},
                    batch_size=2, progress=stop)
        """)
        # From beside its module: some libraries install a package named tests that hides ours.
        beside = ROOT / "tests" / "models"
        done = subprocess.run([sys.executable, "-c", script], cwd=beside, capture_output=True)
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
        assert not (images.parent / "killed" / "predictions.parquet").exists()
        model = wrapped(Brightness())
        expected = explain(model, images, out=images.parent / "whole", batch_size=2)
        again = explain(model, images, out=images.parent / "killed", batch_size=2)
        assert tables(again) == tables(expected)
