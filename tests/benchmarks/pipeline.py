"""`explain` from files to files, beside the bare forward and the usual script."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from tests.benchmarks.attribution import engines
from tests.benchmarks.harness import Ratio, Table, compared, interleave, take_turns
from xattn.attribution.run.pipeline import explain
from xattn.attribution.run.sources import DecodedImage, Named, decode
from xattn.images.decode import read_image
from xattn.models import build, wrap
from xattn.synthetic import synthesize

BATCH, IMAGES, SIZE = 16, 256, 224
LARGE = (6000, 4000)


def pipeline_table(rounds: int = 3) -> Table:
    """Compare what an image costs from a 600 x 450 JPEG to a map and an overlay on disk."""
    with tempfile.TemporaryDirectory() as folder:
        files = photographs(Path(folder), IMAGES)
        return Table(
            f"{IMAGES} JPEGs of 600 x 450 to maps and overlays on disk, ResNet18",
            _end_to_end(files, Path(folder), rounds),
            "Everything `explain` does is in it, the private copy and all tables too. The usual "
            "script decodes with PIL, resizes with torchvision, explains with pytorch-grad-cam, "
            "and writes PNGs with PIL, a batch after the other.",
        )


def decode_table(rounds: int = 7) -> Table:
    """Compare what a large JPEG costs until it is the model's input."""
    with tempfile.TemporaryDirectory() as folder:
        (small,) = photographs(Path(folder), 1)
        large = _enlarged(small)
        return Table(
            f"A JPEG of {LARGE[0]} x {LARGE[1]} to an input of {SIZE} x {SIZE} and a thumbnail, "
            "full decode = 1",
            {"decode": _decode(large, rounds)},
            f"The file has {large.stat().st_size / 1e6:.1f} MB. Unpacking its codes cannot be left "
            "out, so more megabytes for the same image mean a larger ratio.",
        )


def photographs(folder: Path, n: int) -> list[Path]:
    """Write n JPEGs of 600 x 450 with the look of dermoscopy, 16 different ones over and over."""
    synthesize(folder / "generated", 16, size=(450, 600), seed=0, workers=2)
    images = sorted((folder / "generated" / "images").iterdir())
    place = folder / "photographs"
    place.mkdir()
    files = []
    for i, path in zip(range(n), itertools.cycle(images), strict=False):
        files.append(place / f"{i:04}.jpg")
        Image.open(path).convert("RGB").save(files[-1], quality=92)
    return files


BARE, OURS, USUAL = "bare forward", "xattn explain", "the usual script"
OF_BARE, OF_OURS = "bare forward of as many = 1", "xattn explain = 1"


def _end_to_end(files: list[Path], folder: Path, rounds: int) -> dict[str, list[Ratio]]:
    torch.manual_seed(0)
    module = build("resnet18", 2).eval()
    model = wrap(module, classes=["benign", "malignant"])
    x = torch.randn(BATCH, 3, SIZE, SIZE)
    number = itertools.count()

    def bare() -> None:
        with torch.inference_mode():
            for _ in range(len(files) // BATCH):
                module(x)

    def ours(overlay: str = "png", accelerate: str = "auto") -> Callable[[], object]:
        return lambda: explain(
            model,
            files[0].parent,
            methods=["gradcam"],
            out=folder / f"run-{next(number)}",
            overlay=overlay,  # type: ignore[arg-type]
            accelerate=accelerate,  # type: ignore[arg-type]
        )

    candidates = {
        BARE: bare,
        OURS: ours(),
        f"{OURS}, --accelerate torch": ours(accelerate="torch"),
        **{f"{OURS}, --accelerate {e}": ours(accelerate=e) for e in engines() if e == "openvino"},
        f"{OURS}, JPEG overlays": ours("jpeg"),
        f"{OURS}, no overlays": ours("none"),
        USUAL: lambda: _usual_script(module, files, folder / "usual"),
    }
    took = take_turns(candidates, rounds)
    return {OF_BARE: compared(took, BARE), OF_OURS: compared(took, OURS)}


def _usual_script(module: torch.nn.Module, files: list[Path], out: Path) -> None:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from torchvision import transforms

    out.mkdir(exist_ok=True)
    resize = transforms.Compose([transforms.Resize((SIZE, SIZE)), transforms.ToTensor()])
    normalise = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    cam = GradCAM(model=module, target_layers=[module.get_submodule("layer4")])
    for start in range(0, len(files), BATCH):
        some = files[start : start + BATCH]
        images = torch.stack([resize(Image.open(path).convert("RGB")) for path in some])
        maps = cam(input_tensor=normalise(images), targets=None)
        for path, image, values in zip(some, images, maps, strict=True):
            drawn = show_cam_on_image(image.permute(1, 2, 0).numpy(), values, use_rgb=True)
            Image.fromarray(drawn).save(out / f"{path.stem}.png")


def _enlarged(small: Path) -> Path:
    """Write the same image as a camera of 24 megapixels would, with the grain of its sensor."""
    large = small.with_name("large.jpg")
    image = np.asarray(Image.open(small).resize(LARGE, Image.Resampling.BICUBIC), np.float32)
    noise = np.random.default_rng(0).normal(0, 6, (LARGE[1], LARGE[0])).astype(np.float32)
    grain = cv2.GaussianBlur(noise, (0, 0), 1.0)  # neighbours share it after demosaicing
    noisy = np.clip(image + grain[..., None], 0, 255).astype(np.uint8)
    Image.fromarray(noisy).save(large, quality=92)
    return large


def _decode(large: Path, rounds: int) -> list[Ratio]:
    preprocessing = wrap(build("resnet18", 2), classes=["a", "b"]).preprocessing

    def ours(exact: bool) -> Callable[[], object]:
        def run() -> None:
            found = decode(Named("large", large, "large.jpg"), preprocessing, exact)
            assert isinstance(found, DecodedImage)

        return run

    candidates = {
        "full decode": lambda: read_image(large),
        "decode at a reduced scale": lambda: read_image(large, enough=lambda *_: (512, 341)),
        "to input and thumbnail": ours(exact=False),
        "to input and thumbnail, --exact": ours(exact=True),
    }
    return interleave("full decode", candidates, rounds)
