"""Every layout that `xattn annotations build` knows, in miniature: small images with a lesion.

A layout that is registered without a miniature here fails `test_every_layout.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from tests.annotations.downloads import table
from tests.cli import published_miniatures as published
from xattn.annotations.layouts import ph2

HAM = ("nv", "mel", "bkl", "bcc", "akiec", "df", "vasc")
ONE_HOT_2018 = ("NV", "MEL", "BCC", "AKIEC", "BKL", "DF", "VASC")
ONE_HOT_2019 = ("NV", "MEL", "BCC", "AK", "BKL", "DF", "VASC", "SCC")
BENIGN = ("benign", "malignant")
WIDTH, HEIGHT = 40, 32


@dataclass(frozen=True)
class Miniature:
    """How a layout is written small.

    Attributes:
        classes: names of its classes, the most that it can have.
        write: (root, labels by id) -> further arguments of `annotations build`.
        name: id -> the file's path below the root, without its ending.
        own_masks: whether the layout cannot be without masks.
        own_lesion: whether these are of the lesion.
        other_ids: whether its images are called otherwise, so that masks beside it are of none.
    """

    classes: tuple[str, ...]
    write: Callable[[Path, dict[str, str]], list[str]]
    place: Callable[[str, str], str] = lambda one, label: f"Input/{one}"
    own_masks: bool = False
    own_lesion: bool = False
    other_ids: bool = False


def ids(n: int) -> list[str]:
    """Return ids as those of ISIC."""
    return [f"ISIC_{i:07d}" for i in range(n)]


def image(path: Path, number: int, label: int) -> np.ndarray:
    """Write an image whose lesion is the brighter, the higher the label; return where it is."""
    rng = np.random.default_rng(number)
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    lesion = np.hypot(rows - rng.integers(12, 20), cols - rng.integers(14, 26)) < rng.integers(6, 9)
    pixels = np.full((HEIGHT, WIDTH, 3), (210, 160, 140), float)
    pixels[lesion] = (40 + 25 * label, 60, 50)
    pixels = np.clip(pixels + rng.normal(0, 6, pixels.shape), 0, 255).astype(np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return np.asarray(lesion)


def draw(root: Path, mini: Miniature, labels: dict[str, str], masks: Path) -> None:
    """Write the images, and beside the data set `masks/` of lesions and of dots in every third."""
    for i, (one, label) in enumerate(labels.items()):
        path = root / f"{mini.place(one, label)}.png"
        lesion = image(path, i, mini.classes.index(label))
        dots = np.zeros_like(lesion)
        dots[10:14, 16:20] = i % 3 == 0
        for name, mask in (("segmentation", lesion), ("dots", dots)):
            masks.joinpath(name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(
                masks / name / f"{path.stem}_{name}.png"
            )


def _sex(i: int) -> str:
    return ("male", "female")[i // 2 % 2]


def _one_hot(names: Sequence[str], label: str) -> str:
    return ",".join("1.0" if name == label else "0.0" for name in names)


def _isic2016(root: Path, labels: dict[str, str]) -> list[str]:
    rows = [f"{one},{label}" for one, label in labels.items()]
    table(root / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", *rows)
    return []


def _isic2017(root: Path, labels: dict[str, str]) -> list[str]:
    names = ("melanoma", "seborrheic_keratosis")
    table(
        root / "ISIC-2017_Training_Part3_GroundTruth.csv",
        f"image_id,{','.join(names)}",
        *(f"{one},{_one_hot(names, label)}" for one, label in labels.items()),
    )
    table(
        root / "ISIC-2017_Training_Data_metadata.csv",
        "image_id,age_approximate,sex",
        *(f"{one},{20 + i},{_sex(i)}" for i, one in enumerate(labels)),
    )
    return []


def _isic2018(root: Path, labels: dict[str, str]) -> list[str]:
    rows = [f"{one},{label}" for one, label in labels.items()]
    table(root.parent / "labels.csv", "image,label", *rows)
    for i, one in enumerate(labels):
        path = root / "attribute_masks" / f"{one}_attribute_globules.png"
        path.parent.mkdir(exist_ok=True)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[10:14, 16:20] = 255 * (i % 3 == 0)
        Image.fromarray(mask).save(path)
    return ["--labels", str(root.parent / "labels.csv")]


def _isic2018_task3(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "ISIC2018_Task3_Training_GroundTruth.csv",
        f"image,{','.join(ONE_HOT_2018)}",
        *(f"{one},{_one_hot(ONE_HOT_2018, label)}" for one, label in labels.items()),
    )
    table(
        root / "ISIC2018_Task3_Training_LesionGroupings.csv",
        "image,lesion_id,diagnosis_confirm_type",
        *(f"{one},HAM_{i},histopathology" for i, one in enumerate(labels)),
    )
    return []


def _isic2019(root: Path, labels: dict[str, str]) -> list[str]:
    names = (*ONE_HOT_2019, "UNK")
    table(
        root / "ISIC_2019_Training_GroundTruth.csv",
        f"image,{','.join(names)}",
        *(f"{one},{_one_hot(names, label)}" for one, label in labels.items()),
    )
    table(
        root / "ISIC_2019_Training_Metadata.csv",
        "image,age_approx,anatom_site_general,lesion_id,sex",
        *(f"{one},{20 + i},{'' if i % 3 else 'torso'},HAM_{i:07d},{_sex(i)}"
          for i, one in enumerate(labels)),
    )  # fmt: skip
    return []


def _isic2020(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "ISIC_2020_Training_GroundTruth.csv",
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
        "benign_malignant,target",
        *(f"{one},IP_{i // 2},{_sex(i)},{20 + i},torso,unknown,{label},{BENIGN.index(label)}"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def _ham10000(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "HAM10000_metadata.csv",
        "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset",
        *(f"HAM_{i},{one},{label},{('histo', 'consensus')[i % 2]},{20 + i}.0,{_sex(i)},back,vidir"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def _camelyon17(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "metadata.csv",
        ",patient,node,x_coord,y_coord,tumor,slide,center,split",
        *(f"{i},{int(one[5:]) % 10:03d},0,{int(one[5:])},7,{int(label == 'tumor')},"
          f"{int(one[5:]) % 10},{i % 3},0"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def _patch(one: str, label: str) -> str:
    case = f"patient_{int(one[5:]) % 10:03d}_node_0"
    return f"patches/{case}/patch_{case}_x_{int(one[5:])}_y_7"


def _csv(root: Path, labels: dict[str, str]) -> list[str]:
    rows = [f"{one},{label},p{i // 2},{20 + i},{i % 2}" for i, (one, label)
            in enumerate(labels.items())]  # fmt: skip
    sheet = table(root.parent / "sheet.csv", "name,dx,patient,age,ruler", *rows)
    columns = ["--id-column", "name", "--label-column", "dx", "--group-column", "patient"]
    return ["--csv", str(sheet), *columns]


MINIATURES: dict[str, Miniature] = {
    "isic2016": Miniature(BENIGN, _isic2016),
    "isic2017": Miniature(("nevus", "melanoma", "seborrheic_keratosis"), _isic2017),
    "isic2018": Miniature(HAM, _isic2018, lambda one, label: f"images/{one}", own_masks=True),
    "isic2018_task3": Miniature(ONE_HOT_2018, _isic2018_task3),
    "isic2019": Miniature(ONE_HOT_2019, _isic2019),
    "isic2020": Miniature(BENIGN, _isic2020),
    "ham10000": Miniature(HAM, _ham10000, lambda one, label: f"HAM10000_images_part_1/{one}"),
    "camelyon17": Miniature(("normal", "tumor"), _camelyon17, _patch),
    "imagefolder": Miniature(HAM, lambda root, labels: [], lambda one, label: f"{label}/{one}"),
    "csv": Miniature(HAM, _csv, lambda one, label: f"deep/{one}"),
    "isic_archive": Miniature(("Benign", "Malignant"), published.isic_archive),
    "isic2024": Miniature(BENIGN, published.isic2024),
    "pad_ufes_20": Miniature(published.PAD, published.pad_ufes_20, published.pad_place),
    "ddi": Miniature(
        BENIGN, published.ddi, lambda one, label: f"images/{published.number(one):06d}"
    ),
    "fitzpatrick17k": Miniature(
        published.FITZPATRICK,
        published.fitzpatrick17k,
        lambda one, label: f"images/{published.number(one):032x}",
    ),
    "bcn20000": Miniature(
        published.BCN,
        published.bcn20000,
        lambda one, label: f"BCN_20k_train/BCN_{published.number(one):010d}",
    ),
    "aptos2019": Miniature(
        published.GRADES,
        published.aptos2019,
        lambda one, label: f"train_images/{published.number(one):012x}",
    ),
    "eyepacs": Miniature(published.GRADES, published.eyepacs, published.eyepacs_place),
    "derm7pt": Miniature(published.DERM7PT, published.write_derm7pt, published.derm7pt_place),
    "ph2": Miniature(
        ph2.CLASSES, published.write_ph2, published.ph2_place, own_masks=True, own_lesion=True
    ),
    "patchcamelyon": Miniature(("normal", "tumor"), published.patchcamelyon, other_ids=True),
    "coco": Miniature(HAM, published.coco, own_masks=True, own_lesion=True),
    "monai": Miniature(HAM, published.monai),
    "medmnist": Miniature(tuple(map(str, range(7))), published.medmnist, other_ids=True),
}
