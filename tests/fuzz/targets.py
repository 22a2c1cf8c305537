"""What reads files of others: for each kind good files to begin with, and the reader.

A reader of good or bad files gives a result or an `XattnError`, a line for each thing that is wrong
with it; nothing else is right.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.fuzz.damaged_runs import command_on_a_damaged_run, files_of_a_run
from tests.fuzz.mutate import BYTES, TEXT, Mutation, line, word
from xattn.annotations import build_annotations, check_annotations, read_annotations
from xattn.attribution.run.sources import Failure, Named, decode
from xattn.errors import AnnotationError, XattnError
from xattn.features.from_csv import read_more_features
from xattn.images import Preprocessing
from xattn.images.decode import read_image, read_mask
from xattn.images.find import find_images
from xattn.images.from_lists import listed_paths
from xattn.models import build, load, save_checkpoint
from xattn.study.read_recipe import read_study
from xattn.training.recipe import read_recipe

Files = dict[str, bytes]
"""Good files by their names."""


@dataclass(frozen=True)
class Target:
    """One reader.

    Attributes:
        files: makes good files in a folder that it may use.
        read: what a command does with the file.
        mutations: what may happen to it.
        cases: how many are tried in a whole run.
        seconds: that one may take, on a busy machine.
    """

    files: Callable[[Path], Files]
    read: Callable[[Path], object]
    mutations: tuple[Mutation, ...]
    cases: int
    seconds: int = 60


def _pixels(shape: tuple[int, ...] = (24, 32, 3), seed: int = 0) -> np.ndarray[Any, Any]:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 255, shape, dtype=np.uint8)


def _images(_: Path) -> Files:
    files = {}
    for name, options in {
        "a.jpg": {"quality": 80}, "progressive.jpg": {"progressive": True}, "a.png": {},
        "a.gif": {}, "a.bmp": {}, "a.tif": {}, "lzw.tif": {"compression": "tiff_lzw"},
        "a.webp": {}, "a.ppm": {}, "a.ico": {}, "a.jp2": {}, "a.tga": {},
    }.items():  # fmt: skip
        out = io.BytesIO()
        kind = {"jpg": "JPEG", "tif": "TIFF", "jp2": "JPEG2000"}.get(ending := name[-3:], ending)
        kind = "WEBP" if name.endswith("webp") else kind.upper()
        Image.fromarray(_pixels()).save(out, kind, **options)
        files[name] = out.getvalue()
    for name, image in {
        "grey.png": Image.fromarray(_pixels((24, 32))),
        "deep.png": Image.fromarray(_pixels((24, 32)).astype(np.uint16) * 200),
        "palette.png": Image.fromarray(_pixels()).quantize(8),
        "alpha.png": Image.fromarray(_pixels((24, 32, 4))),
        "bits.png": Image.fromarray(_pixels((24, 32)) > 100),
    }.items():
        out = io.BytesIO()
        image.save(out, "PNG")
        files[name] = out.getvalue()
    frames = [Image.fromarray(_pixels(seed=i)) for i in range(3)]
    out = io.BytesIO()
    frames[0].save(out, "GIF", save_all=True, append_images=frames[1:])
    files["animated.gif"] = out.getvalue()
    out = io.BytesIO()
    np.save(out, _pixels((24, 32, 5)))
    files["a.npy"] = out.getvalue()
    return files


def _decode(path: Path) -> object:
    """Decode as `explain` does: nothing of a file may end the run."""
    named = Named("image", path, path.name)
    found = decode(named, Preprocessing(size=(16, 16)), exact=False)
    if isinstance(found, Failure):
        assert "\n" not in found.error
    return read_image(path)


def _annotations(folder: Path) -> Files:
    Image.fromarray(_pixels()).save(folder / "a.png")
    Image.fromarray(_pixels((24, 32)) > 100).save(folder / "m.png")
    images = [
        {"id": "a", "file": "a.png", "label": "benign", "group": "g1", "lesion": "m.png",
         "masks": {"ruler": {"size": [24, 32], "counts": [700, 20, 48]}},
         "values": {"ruler": True, "age": 30, "sex": "f"}},
        {"id": "b", "file": "b.png", "label": "malignant", "masks": {"ruler": "m.png"},
         "values": {"age": 41.5, "sex": None}},
    ]  # fmt: skip
    kinds = {
        "ruler": {"kind": "artifact"},
        "age": {"kind": "metadata"},
        "sex": {"kind": "metadata"},
    }
    content = {"schema": "xattn-annotations/1", "labels": ["benign", "malignant"],
               "features": kinds, "images": images}  # fmt: skip
    small = {"images": images[:1], "features": kinds}
    return {"x.json": json.dumps(content, indent=1).encode(), "y.json": json.dumps(small).encode()}


def _read_annotations(path: Path) -> object:
    for problem in check_annotations(path, workers=1):
        assert "\n" not in str(problem)
    known = read_annotations(path)
    for image in known.images:
        for feature in known.features:
            known.presence(image.id, feature)
            if feature in image.masks:
                known.mask(image.id, feature, (32, 24))
    return known


def _recipes(_: Path) -> Files:
    root = Path(__file__).parents[2] / "models"
    chosen = ("resnet18-ga.toml", "vit_tiny_patch16_224.toml", "tf_efficientnet_lite0.toml")
    return {name: (root / name).read_bytes() for name in chosen}


def _studies(folder: Path) -> Files:
    root = Path(__file__).parents[2]
    for recipe in (root / "models").glob("*.toml"):
        (folder / recipe.name).write_bytes(recipe.read_bytes())
    found = {}
    for name in ("demo.toml", "isic2018.toml", "camelyon17.toml", "known-answers.toml"):
        found[name] = (root / "analysis" / name).read_bytes().replace(b"../models/", b"")
    return found


def _tables(folder: Path) -> Files:
    (folder / "images").mkdir(exist_ok=True)
    for name in ("a", "b", "c"):
        Image.fromarray(_pixels()).save(folder / "images" / f"{name}.png")
    head = "image_id,label,age,sex,site\n"
    rows = 'a,benign,30,f,"arm, left"\nb,malignant,41.5,m,back\nc,benign,,f,\n'
    text = (head + rows).encode()
    german = text.replace(b",", b";").replace(b"41.5", b"41,5")
    return {"a.csv": text, "b.csv": german, "c.csv": text.decode().encode("utf-16"),
            "d.tsv": text.replace(b",", b"\t")}  # fmt: skip


def _read_table(path: Path) -> object:
    """Read as labels, as features and as a list of images: each may refuse, none may break."""
    refused: list[str] = []
    images, out = path.parent / "images", path.parent / "known.json"
    for read in (
        read_more_features,
        listed_paths,
        lambda p: build_annotations(None, images, out, labels=p),
        lambda p: build_annotations(None, images, out, metadata=p),
        lambda p: build_annotations("csv", images, out, csv=p),
    ):
        try:
            read(path)
        except AnnotationError:  # of many images, with a line for each problem
            pass
        except XattnError as err:
            refused.append(str(err))
    assert not any("\n" in one for one in refused), refused
    return refused


class _Code:
    """What a pickled file may hold: a call."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (MARK,)


MARK = Path(tempfile.gettempdir()) / f"xattn-fuzz-code-ran-{os.getpid()}"
"""A file that exists only if code of a checkpoint ran."""


def _checkpoints(folder: Path) -> Files:
    torch.manual_seed(0)
    module = build("test_resnet", 2)
    save_checkpoint(
        folder / "own.pt", module, architecture="test_resnet", classes=["a", "b"],
        preprocessing=Preprocessing(size=(32, 32)),
    )  # fmt: skip
    torch.save(module.state_dict(), folder / "state.pth")
    small = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(4, 2))
    torch.save({"state_dict": small.state_dict(), "epoch": 3, "hyper_parameters": {"lr": 1}},
               folder / "small.ckpt")  # fmt: skip
    torch.save({"state_dict": small.state_dict(), "more": _Code()}, folder / "code.pt")
    from safetensors.torch import save_file

    save_file(small.state_dict(), folder / "small.safetensors", metadata={"format": "pt"})
    (folder / "code.pkl").write_bytes(pickle.dumps(_Code()))
    found = ("own.pt", "state.pth", "small.ckpt", "code.pt", "small.safetensors", "code.pkl")
    return {name: (folder / name).read_bytes() for name in found}


def _archives(folder: Path) -> Files:
    files = _images(folder)
    found = {}
    for name, method in (("a.zip", zipfile.ZIP_DEFLATED), ("stored.zip", zipfile.ZIP_STORED)):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("in/a.jpg", files["a.jpg"])
            archive.writestr("../../climbs.png", files["a.png"])
            archive.writestr("/absolute.png", files["grey.png"])
        found[name] = out.getvalue()
    import tarfile

    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("a.jpg", "../b.png"):
            info = tarfile.TarInfo(name)
            content = files[Path(name).name.replace("b.png", "a.png")]
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    found["a.tar"] = out.getvalue()
    out = io.BytesIO()
    np.savez(out, images=_pixels((3, 24, 32, 3)), labels=np.array([0, 1, 0]))
    found["a.npz"] = out.getvalue()
    return found


def _read_archive(path: Path) -> object:
    return [
        decode(Named(one.id, one.path, "in an archive"), Preprocessing(size=(16, 16)), exact=False)
        for one in find_images(path)
    ]


TARGETS: dict[str, Target] = {
    "images": Target(_images, _decode, BYTES, 6000),
    "masks": Target(_images, read_mask, BYTES, 3000),
    "annotations": Target(_annotations, _read_annotations, TEXT, 4000),
    "recipes": Target(_recipes, read_recipe, TEXT, 2500),
    "studies": Target(_studies, read_study, TEXT, 1500),
    "tables": Target(_tables, _read_table, TEXT, 2500),
    "archives": Target(_archives, _read_archive, BYTES, 1000),
    "checkpoints": Target(_checkpoints, load, BYTES, 1500),
    "damaged runs": Target(
        files_of_a_run, command_on_a_damaged_run, (*BYTES, word, line), 400, seconds=300
    ),
}
