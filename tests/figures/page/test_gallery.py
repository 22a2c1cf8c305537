import base64
import io
import re

import numpy as np
from PIL import Image

from tests.figures.populated import explained_run, populated_run
from xattn.figures.aligned_runs import AlignedRuns
from xattn.figures.drawing.thumbnails import SIDE, as_uri, outline_path
from xattn.figures.page import gallery as module
from xattn.figures.page.gallery import make_gallery
from xattn.runs.atomic import read_record, write_json


def corners(path: str) -> list[np.ndarray]:
    """Return the points of each closed piece of a path."""
    pieces = re.findall(r"M([^MZ]+)Z", path)
    return [np.array([p.split() for p in piece.split("L")], int) for piece in pieces]


def decoded(uri: str) -> Image.Image:
    head, data = uri.split(",", 1)
    assert head == "data:image/webp;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_an_outline_runs_along_the_masks_edge_in_half_pixels():
    mask = np.zeros((20, 30), bool)
    mask[5:10, 8:20] = True
    (points,) = corners(outline_path(mask))
    assert points.min(0).tolist() == [16, 10]
    assert points.max(0).tolist() == [39, 19]
    assert len(points) == 4


def test_holes_and_separate_spots_have_outlines_of_their_own():
    mask = np.zeros((40, 40), bool)
    mask[2:20, 2:20] = True
    mask[8:14, 8:14] = False
    mask[30:36, 30:36] = True
    assert len(corners(outline_path(mask))) == 3


def test_a_mask_of_one_pixel_still_shows():
    mask = np.zeros((8, 8), bool)
    mask[3, 4] = True
    (points,) = corners(outline_path(mask))
    assert len(points) == 4


def test_thumbnails_are_small_and_look_like_the_original():
    x, y = np.meshgrid(np.linspace(0, 255, 600), np.linspace(0, 255, 400))
    image = np.stack([x, y, 255 - x], -1).astype(np.uint8)
    thumbnail = decoded(as_uri(image))
    assert thumbnail.size == (SIDE, 192)
    small = np.asarray(Image.fromarray(image).resize(thumbnail.size), int)
    assert np.abs(np.asarray(thumbnail.convert("RGB"), int) - small).mean() < 4


def test_stages_have_the_images_proportions_and_known_outlines(tmp_path):
    run = populated_run(tmp_path, n=20)
    made = make_gallery(AlignedRuns.of([run]), 12)
    assert (len(made.tiles), made.asked, made.total) == (12, 12, 20)
    for tile in made.tiles:
        (stage,) = tile.stages
        assert stage.aspect == 1.5  # the image's, though the model saw a square
        assert stage.grid == (32, 32)
        assert {o.feature for o in stage.outlines} <= set(made.outlined)
        assert tile.image_id == run.predictions["image_id"].iloc[tile.image]


def test_models_that_saw_the_same_part_share_its_thumbnail(tmp_path):
    runs = [explained_run(tmp_path / name, n=4, seed=3) for name in "ab"]
    for tile in make_gallery(AlignedRuns.of(runs), 4).tiles:
        (stage,) = tile.stages
        assert [(layer.model, layer.method) for layer in stage.layers] == [
            (0, 0), (0, 1), (1, 0), (1, 1),
        ]  # fmt: skip
        assert stage.layers[2].name == "none (b/run), gradcam"


def test_models_that_saw_different_parts_have_a_stage_each(tmp_path):
    runs = [explained_run(tmp_path / name, n=3, seed=3) for name in "ab"]
    cropped(runs[1])
    for tile in make_gallery(AlignedRuns.of([runs[0], type(runs[1]).open(runs[1].path)]), 3).tiles:
        assert [stage.aspect for stage in tile.stages] == [1.5, 1.0]
        assert [{layer.model for layer in stage.layers} for stage in tile.stages] == [{0}, {1}]
        assert decoded(tile.stages[1].thumbnail).size == (32, 32)


def cropped(run):
    """Let a run say that its model saw the central square of each image."""
    path = run.path / "run.json"
    settings = read_record(path)
    settings["preprocessing"] |= {"mode": "crop", "resize": 32}
    write_json(path, settings)


def test_layers_are_of_the_image_they_lie_on(tmp_path):
    run = explained_run(tmp_path, n=12, methods=("gradcam",))
    for tile in make_gallery(AlignedRuns.of([run]), 12).tiles:
        row = int(tile.image_id.removeprefix("img_"))
        native = run.maps("gradcam")[row]
        brightness = np.asarray(decoded(tile.stages[0].layers[0].uri).convert("L"), float)
        cells = brightness.reshape(4, 8, 4, 8).mean((1, 3))
        assert np.corrcoef(cells.ravel(), np.clip(native, 0, None).ravel())[0, 1] > 0.8


def test_thumbnails_stop_before_the_page_grows_too_large(tmp_path, monkeypatch):
    run = explained_run(tmp_path, n=12)
    whole = make_gallery(AlignedRuns.of([run]), 12)
    monkeypatch.setattr(module, "MOST_BYTES", sum(t.size for t in whole.tiles[:5]))
    cut = make_gallery(AlignedRuns.of([run]), 12)
    assert [t.image_id for t in cut.tiles] == [t.image_id for t in whole.tiles[:5]]
    assert cut.asked == 12


def test_a_gallery_of_no_images_is_empty(tmp_path):
    run = explained_run(tmp_path, n=3)
    assert make_gallery(AlignedRuns.of([run]), 0).tiles == []
