"""Masks come in register with their images, whatever the files say of their orientation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from xattn.annotations import Rle
from xattn.annotations import rle as run_lengths
from xattn.errors import AnnotationError
from xattn.images import Preprocessing, View, read_image

# Stored pixels that EXIF turns into the upright ones, for each orientation.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[:, ::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[::-1].swapaxes(0, 1),
}


def _shape(height: int = 20, width: int = 30) -> np.ndarray:
    """A mask that looks different in all eight orientations."""
    mask = np.zeros((height, width), bool)
    mask[: height // 4, : width // 2] = True
    return mask


def _painted(mask: np.ndarray) -> np.ndarray:
    """An RGB image in which the mask can be seen."""
    return np.where(mask[..., None], np.uint8(255), np.uint8(0)).repeat(3, axis=2)


def _write(folder, orientation: int, mask: np.ndarray, mask_orientation: int = 1, ending="png"):
    """Make image "a" show `_shape()` upright, and write its mask file as given."""
    folder.save(f"images/a.{ending}", STORED[orientation](_painted(_shape())), orientation)
    folder.save(f"masks/a.{ending}", mask, mask_orientation)
    folder.change("images", 0, "file", to=f"images/a.{ending}")
    folder.change("images", 0, "masks", to={"pigment_network": f"masks/a.{ending}"})
    folder.change("images", 0, "lesion", to=...)
    return folder.read()


def _in_register(annotations) -> bool:
    """Does the mask cover what the decoded image shows, whole and in a model's input?"""
    image = read_image(annotations.by_id["a"].file).image
    seen = np.asarray(image)[..., 0] > 127
    whole = annotations.mask("a", "pigment_network")
    prep = Preprocessing(size=(11, 14), interpolation="nearest")
    view = prep.view(*image.size)
    part = annotations.mask_in_view("a", "pigment_network", view, image.size)
    return np.array_equal(whole, seen) and np.array_equal(part, prep.pixels(image)[..., 0] > 127)


class TestOrientation:
    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("ending", ["png", "tiff"])
    def test_a_mask_drawn_over_the_upright_image(self, folder, ending, orientation):
        assert _in_register(_write(folder, orientation, _shape(), ending=ending))
        assert folder.check() == []

    @pytest.mark.parametrize("orientation", range(1, 9))
    @pytest.mark.parametrize("ending", ["png", "tiff"])
    def test_a_mask_with_the_same_orientation_of_its_own(self, folder, ending, orientation):
        stored = STORED[orientation](_shape())
        assert _in_register(_write(folder, orientation, stored, orientation, ending))
        assert folder.check() == []

    @pytest.mark.parametrize("orientation", [5, 6, 7, 8])
    def test_a_mask_of_the_stored_pixels_is_known_by_its_shape(self, folder, orientation):
        assert _in_register(_write(folder, orientation, STORED[orientation](_shape())))
        assert folder.check() == []

    @pytest.mark.parametrize("orientation", [5, 6, 7, 8])
    def test_run_lengths_of_the_stored_pixels_likewise(self, folder, orientation):
        entry = run_lengths.encode(STORED[orientation](_shape()))
        _write(folder, orientation, _shape())
        folder.change("images", 0, "masks", "pigment_network", to=entry)
        assert _in_register(folder.read())
        assert folder.check() == []

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_run_lengths_over_the_upright_image(self, folder, orientation):
        _write(folder, orientation, _shape())
        folder.change("images", 0, "masks", "pigment_network", to=run_lengths.encode(_shape()))
        assert _in_register(folder.read())

    @pytest.mark.parametrize("orientation", [2, 3, 4])
    def test_a_mirrored_image_leaves_a_mask_without_orientation_as_it_is(self, folder, orientation):
        annotations = _write(folder, orientation, STORED[orientation](_shape()))
        assert np.array_equal(
            annotations.mask("a", "pigment_network"), STORED[orientation](_shape())
        )

    def test_a_square_mask_of_a_square_image_is_taken_as_upright(self, folder):
        folder.save("images/a.png", _painted(_shape(24, 24)), 6)
        folder.save("masks/a.png", _shape(24, 24))
        folder.change("images", 0, "masks", to={"pigment_network": "masks/a.png"})
        folder.change("images", 0, "lesion", to=...)
        assert np.array_equal(folder.read().mask("a", "pigment_network"), _shape(24, 24))

    def test_a_mask_turned_differently_from_its_image_is_a_mismatch(self, folder):
        annotations = _write(folder, 6, STORED[6](_shape()), mask_orientation=3)
        with pytest.raises(AnnotationError, match=r"image a, key masks\.pigment_network"):
            annotations.mask("a", "pigment_network")


class TestMask:
    def test_png_and_run_lengths_give_the_same(self, folder):
        annotations = folder.read()
        expected = annotations.mask("a", "pigment_network")
        folder.change("images", 0, "masks", "pigment_network", to=run_lengths.encode(expected))
        assert np.array_equal(folder.read().mask("a", "pigment_network"), expected)
        assert expected.dtype == np.bool_
        assert expected.shape == (20, 30)

    def test_the_lesion_has_its_own_name_and_resolution(self, folder):
        assert folder.read().mask("a", "lesion").shape == (40, 60)

    def test_what_is_not_annotated_is_none(self, folder):
        annotations = folder.change("images", 1, "masks", to={}).read()
        assert annotations.mask("b", "patches") is None
        assert annotations.mask("a", "age") is None
        assert annotations.mask("unknown image", "patches") is None
        assert annotations.mask_in_view("b", "patches", View((0, 0, 3, 2), 2, 3), (3, 2)) is None

    def test_an_unknown_feature_is_named_with_its_likely_meaning(self, folder):
        annotations = folder.read()
        view = View((0, 0, 30, 20), 5, 5)
        for ask in (
            lambda: annotations.mask("a", "patchs"),
            lambda: annotations.presence("a", "patchs"),
            lambda: annotations.mask_in_view("a", "patchs", view, (30, 20)),
        ):
            with pytest.raises(AnnotationError, match="'patchs'; did you mean 'patches'"):
                ask()

    def test_a_mask_of_another_aspect_ratio_names_image_key_and_sizes(self, folder):
        folder.save("masks/a_network.png", np.ones((20, 20), bool))
        annotations = folder.read()
        words = r"image a, key masks\.pigment_network: .* 30 x 20, but got 20 x 20"
        with pytest.raises(AnnotationError, match=words):
            annotations.mask("a", "pigment_network")
        with pytest.raises(AnnotationError, match=words):
            annotations.mask_in_view("a", "pigment_network", View((0, 0, 30, 20), 5, 5), (30, 20))
        assert annotations.mask("b", "pigment_network").shape == (20, 30)

    def test_a_damaged_mask_names_image_and_key(self, folder):
        (folder.root / "masks/a_lesion.png").write_bytes(b"\x89PNG")
        with pytest.raises(AnnotationError, match=r"image a, key lesion: .*a_lesion\.png"):
            folder.read().mask("a", "lesion")

    def test_the_view_may_refer_to_another_resolution_of_the_image(self, folder):
        annotations = folder.read()
        small = annotations.mask_in_view(
            "a", "pigment_network", View((0, 0, 30, 20), 8, 8), (30, 20)
        )
        large = annotations.mask_in_view(
            "a", "pigment_network", View((0, 0, 90, 60), 8, 8), (90, 60)
        )
        assert np.array_equal(small, large)

    def test_an_image_cut_to_another_shape_since_has_no_mask_that_fits(self, folder):
        view = View((0, 0, 30, 30), 8, 8)
        with pytest.raises(AnnotationError, match="its image, 30 x 30, but got 30 x 20"):
            folder.read().mask_in_view("a", "pigment_network", view, (30, 30))

    def test_in_register_nothing_but_the_mask_is_opened(self, folder):
        annotations = folder.read()
        annotations.by_id["a"].file.unlink()
        view = View((0, 0, 30, 20), 5, 5)
        assert annotations.mask_in_view("a", "pigment_network", view, (30, 20)) is not None


class TestPresence:
    @pytest.mark.parametrize(
        ("value", "mask", "expected"),
        [
            (1, [6], True),
            (0, [0, 6], False),
            (True, None, True),
            (False, [0, 6], False),
            (0.25, None, True),
            (0.0, None, False),
            (None, [0, 6], True),
            (None, [6], False),
            (None, None, None),
        ],
    )
    def test_a_value_decides_before_the_mask(self, folder, value, mask, expected):
        folder.change("images", 0, "values", "patches", to=value)
        entry = None if mask is None else {"size": [2, 3], "counts": mask}
        folder.change("images", 0, "masks", "patches", to=entry)
        assert folder.read().presence("a", "patches") is expected

    def test_metadata_are_neither_present_nor_absent(self, folder):
        assert folder.read().presence("a", "age") is None

    def test_of_an_unknown_image_nothing_is_known(self, folder):
        assert folder.read().presence("unknown image", "patches") is None

    def test_the_lesion_is_present_if_its_mask_has_a_pixel(self, folder):
        assert folder.read().presence("a", "lesion") is True


def test_an_image_made_by_hand_needs_an_id_and_a_file_only(tmp_path):
    from xattn.annotations import AnnotatedImage

    image = AnnotatedImage("x", tmp_path / "x.png")
    assert (image.label, image.group, image.lesion) == (None, None, None)
    assert image.mask_entry("anything") is None
    with_mask = AnnotatedImage("x", tmp_path / "x.png", masks={"a": Rle(size=(1, 2), counts=[2])})
    assert with_mask.mask_entry("a").size == (1, 2)


def test_float_images_do_not_matter_to_masks(folder):
    """Only the header of an image is read, so its pixels may be of any kind."""
    Image.fromarray(np.zeros((20, 30), np.float32)).save(folder.root / "images/a.tiff")
    folder.change("images", 0, "file", to="images/a.tiff")
    assert folder.read().mask("a", "pigment_network").shape == (20, 30)
