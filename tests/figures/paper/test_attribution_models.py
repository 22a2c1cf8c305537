import json

import numpy as np
import pytest
import zarr
from matplotlib.figure import Figure

from tests.figures.artists import drawn, overhang, words
from tests.figures.populated import populated_run
from xattn.errors import RunError
from xattn.figures.drawing.grid import describe, main_parts
from xattn.figures.paper.attribution_grid import rows_shown
from xattn.figures.paper.attribution_models import MOST_ROWS, draw_attribution_models
from xattn.figures.registry import NothingToDrawError
from xattn.figures.run_sources import RunSources
from xattn.figures.style import inches, page_mm
from xattn.runs import RunFolder
from xattn.runs.atomic import read_record


def named_run(root, name, **options):
    """A run in a folder of its own, by which figures of several runs name it."""
    (root / name).mkdir()
    path = populated_run(root / name, **options).path
    return RunFolder.open(path.rename(root / name / name))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return [
        named_run(root, "first", n=12, methods=("gradcam",)),
        named_run(root, "second", n=12, seed=1, methods=("gradcam", "attention")),
    ]


def test_each_image_has_a_row_of_each_model_and_a_column_of_each_method(runs):
    fig = drawn(draw_attribution_models, runs)
    images = rows_shown(runs[0], RunSources(runs[0]))
    assert len(images) == 4
    assert len(fig.axes) == len(images) * 2 * 3 + 1  # and the scale of the maps
    said = words(fig)
    for image_id in runs[0].predictions["image_id"].iloc[images["row"]]:
        assert said.count(f"{image_id}, label") == 1
    for run in runs:
        assert said.count(f"({run.path.name})") == len(images)
    assert said.count("no such maps") == len(images)  # the first has no attention
    assert overhang(fig) < 0.2
    assert fig.get_figheight() * 25.4 < 240


@pytest.mark.parametrize("at", [0, 1, 2])
def test_a_run_without_maps_has_no_row(runs, tmp_path, at):
    bare = named_run(tmp_path, "evaluated", n=12, methods=("gradcam",)).path
    record = read_record(bare / "run.json")
    (bare / "run.json").write_text(json.dumps({**record, "methods": []}))
    among = [*runs[:at], RunFolder.open(bare), *runs[at:]]
    assert words(drawn(draw_attribution_models, among)) == words(
        drawn(draw_attribution_models, runs)
    )


def test_every_row_shows_the_map_of_its_own_model_and_image(runs, tmp_path):
    a = named_run(tmp_path, "a", n=6, methods=("gradcam",))
    b = named_run(tmp_path, "b", n=6, methods=("gradcam",))
    order = np.arange(6)[::-1]
    turned = b.predictions.iloc[order].reset_index(drop=True)
    turned.to_parquet(b.path / "predictions.parquet", index=False)
    store = zarr.open_array(b.path / "maps.zarr" / "gradcam", mode="r+")
    store[:] = np.asarray(store)[order]
    (b.path / "masks.zarr").rename(b.path / "masks.gone")
    (b.path / "features.json").unlink()
    fig = drawn(draw_attribution_models, [a, RunFolder.open(b.path)])
    overlays = [ax.images[0].get_array() for ax in fig.axes[1:-1:2]]
    assert len(overlays) >= 4
    for one, other in zip(overlays[::2], overlays[1::2], strict=True):
        # The same image under the same maps, though it lies in another row of the second run.
        np.testing.assert_array_equal(one, other)


def test_only_images_that_all_runs_have_are_shown(runs, tmp_path):
    some = named_run(tmp_path, "some", n=12, methods=("gradcam",))
    kept = some.predictions.assign(image_id=[f"other_{i}" for i in range(12)])
    kept.loc[3, "image_id"] = runs[0].predictions["image_id"].iloc[3]
    kept.to_parquet(some.path / "predictions.parquet", index=False)
    some = RunFolder.open(some.path)
    said = words(drawn(draw_attribution_models, [runs[0], some]))
    assert said.count(", label") == 1
    assert f"{kept['image_id'].iloc[3]}, label" in said
    kept.loc[3, "image_id"] = "other_3"
    kept.to_parquet(some.path / "predictions.parquet", index=False)
    with pytest.raises(NothingToDrawError, match="images in common"):
        draw_attribution_models([runs[0], RunFolder.open(some.path)])


def test_more_models_than_a_page_holds_are_refused(runs):
    with pytest.raises(RunError, match=f"at most {MOST_ROWS} runs"):
        draw_attribution_models([runs[0]] * (MOST_ROWS + 1))


def test_specks_of_a_mask_are_not_outlined():
    mask = np.zeros((40, 40), bool)
    mask[5:15, 5:15] = True  # 100 pixels
    mask[30:34, 30:34] = True  # 16
    mask[20:22, 20:22] = True  # 4
    kept = main_parts(mask)
    assert kept.sum() == 116
    assert not kept[20, 20]
    assert not main_parts(np.zeros((4, 4), bool)).any()


def test_words_beside_low_images_keep_to_their_rows():
    def two_low_rows():
        fig = Figure(figsize=inches(page_mm(), 30))
        for row in range(2):
            describe(fig.add_axes((0.5, 0.55 - row * 0.45, 0.2, 0.42)), ["a line"] * 5, "bold")
        return fig

    fig = drawn(two_low_rows, venue="lncs")
    first, second = ([t.get_window_extent() for t in ax.texts] for ax in fig.axes)
    assert len(first) == len(second) == 2
    assert min(box.y0 for box in first) >= max(box.y1 for box in second)
