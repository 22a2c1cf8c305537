"""Miniatures of data sets with several findings an image, and of label maps and outlines."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests.annotations.downloads import image, table
from xattn.annotations.layouts.chest_films import FINDINGS

NIH_HEADER = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],"
)
CHEXPERT_HEADER = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{','.join(FINDINGS)}"


def cells(**findings: int | None) -> str:
    """Return cells of CheXpert's labeller, blank for what is not named."""
    named = {name.replace("_", " "): value for name, value in findings.items()}
    return ",".join("" if (v := named.get(name)) is None else f"{v:.1f}" for name in FINDINGS)


def chestxray14(root: Path) -> Path:
    for i, name in enumerate(("00000001_000", "00000001_001", "00000002_000")):
        image(root / f"images_{i % 2 + 1:03d}" / "images" / f"{name}.png", i)
    table(
        root / "Data_Entry_2017_v2020.csv",
        NIH_HEADER,
        "00000001_000.png,Cardiomegaly,0,1,057,M,PA,2682,2749,0.143,0.143,",
        "00000001_001.png,Cardiomegaly|Effusion,1,1,058Y,M,AP,2894,2729,0.143,0.143,",
        "00000002_000.png,No Finding,0,2,081,F,PA,2500,2048,0.171,0.171,",
        "00000003_000.png,Hernia,0,3,081,F,PA,2582,2991,0.143,0.143,",
    )
    table(root / "train_val_list.txt", "00000001_000.png", "00000001_001.png")
    table(root / "test_list.txt", "00000002_000.png")
    return root


def chexpert(root: Path) -> Path:
    root = root / "CheXpert-v1.0-small"
    paths = [
        "train/patient00001/study1/view1_frontal.jpg",
        "train/patient00002/study2/view1_frontal.jpg",
        "train/patient00002/study2/view2_lateral.jpg",
        "valid/patient64541/study1/view1_frontal.jpg",
    ]
    for i, path in enumerate(paths):
        image(root / path, i)
    named = [f"CheXpert-v1.0-small/{path}" for path in paths]
    table(
        root / "train.csv",
        CHEXPERT_HEADER,
        f"{named[0]},Female,68,Frontal,AP,{cells(No_Finding=1, Pneumothorax=0, Support_Devices=1)}",
        f"{named[1]},Female,87,Frontal,AP,{cells(Edema=-1, Fracture=1, Lung_Opacity=1)}",
        f"{named[2]},Female,87,Lateral,,{cells(Edema=-1, Fracture=1)}",
        f"CheXpert-v1.0-small/train/patient9/study1/view1_frontal.jpg,Male,5,Frontal,PA,{cells()}",
    )
    table(root / "valid.csv", CHEXPERT_HEADER, f"{named[3]},Male,73,Frontal,AP,{cells(Edema=1)}")
    return root


def mimic_cxr(root: Path) -> Path:
    films = [("10000032", "50414267", "02aa804e"), ("10000032", "50414267", "174413ec"),
             ("11000584", "52415690", "abea5eb9")]  # fmt: skip
    for i, (subject, study, film) in enumerate(films):
        image(root / "files" / f"p{subject[:2]}" / f"p{subject}" / f"s{study}" / f"{film}.jpg", i)
    order = sorted(FINDINGS)
    for name, header, rows in (
        ("chexpert", ["subject_id", "study_id", *order],
         [["10000032", "50414267", *("1.0" if f == "Edema" else "" for f in order)],
          ["11000584", "52415690", *("-1.0" if f == "Edema" else "0.0" for f in order)]]),
        ("metadata", ["dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "Columns"],
         [[f, s, y, "AP", "3056", "2544"] for s, y, f in films]),
        ("split", ["dicom_id", "study_id", "subject_id", "split"],
         [[f, y, s, ("train", "validate", "test")[i]] for i, (s, y, f) in enumerate(films)]),
    ):  # fmt: skip
        with gzip.open(root / f"mimic-cxr-2.0.0-{name}.csv.gz", "wt") as file:
            file.write("\n".join(",".join(row) for row in [header, *rows]) + "\n")
    return root


def patchcamelyon(root: Path, n: int = 12) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    for k, part in enumerate(("train", "valid", "test")):
        start = root / f"camelyonpatch_level_2_split_{part}"
        rng = np.random.default_rng(k)
        with h5py.File(f"{start}_x.h5", "w") as file:
            file["x"] = rng.integers(0, 256, (n, 96, 96, 3), dtype=np.uint8)
        with h5py.File(f"{start}_y.h5", "w") as file:
            file["y"] = (np.arange(n) % 2).astype(np.uint8).reshape(n, 1, 1, 1)
        table(
            Path(f"{start}_meta.csv"),
            ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi",
            *(f"{i},{i},7,{i % 2 == 1},{i % 2 == 1},camelyon16_{part}_normal_{i // 4:03d}"
              for i in range(n)),
        )  # fmt: skip
    return root


def coco(root: Path) -> Path:
    for i in range(3):
        image(root / "train" / f"{i}.png", i)
    square = [1, 1, 5, 1, 5, 4, 1, 4]
    content = {
        "info": {},
        "images": [{"id": i + 7, "file_name": f"{i}.png", "width": 8, "height": 6,
                    "grade": "ab"[i % 2]} for i in range(3)],
        "categories": [{"id": 1, "name": "lesion"}, {"id": 2, "name": "ruler"},
                       {"id": 3, "name": "never"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [square],
             "bbox": [1, 1, 4, 3], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 2, "segmentation": [], "bbox": [0, 0, 2, 6]},
            {"id": 3, "image_id": 8, "category_id": 2, "bbox": [0, 0, 2, 6], "iscrowd": 1,
             "segmentation": {"size": [6, 8], "counts": [0, 12, 36]}},
            {"id": 4, "image_id": 8, "category_id": 2, "bbox": [6, 0, 2, 6], "iscrowd": 1,
             "segmentation": {"size": [6, 8], "counts": [42, 6]}},
        ],
    }  # fmt: skip
    (root / "train" / "_annotations.coco.json").write_text(json.dumps(content))
    return root


def maps(folder: Path, *values: int) -> None:
    """Write a label map an image, with a square of each of some values."""
    folder.mkdir(parents=True)
    for i, value in enumerate(values):
        pixels = np.zeros((6, 8), np.uint8)
        pixels[:3, :4] = value
        Image.fromarray(pixels).save(folder / f"case_{i}.png")


def nnunet(root: Path) -> Path:
    for i in range(3):
        image(root / "imagesTr" / f"case_{i}_0000.png", i)
    image(root / "imagesTs" / "case_9_0000.png", 9)
    maps(root / "labelsTr", 1, 2, 0)
    content = {
        "channel_names": {"0": "R"}, "file_ending": ".png", "numTraining": 3,
        "labels": {"background": 0, "whole": [1, 2], "core": 2},
    }  # fmt: skip
    (root / "dataset.json").write_text(json.dumps(content))
    return root


def monai(root: Path) -> Path:
    for i in range(3):
        image(root / "images" / f"case_{i}.png", i)
    content = {
        "labels": {"0": "benign", "1": "malignant"},
        "training": [
            {"image": f"images/case_{i}.png", "label": i, "age": 40 + i} for i in range(2)
        ],
        "validation": [{"image": ["./images/case_2.png"], "label": 1}],
    }
    (root / "datalist.json").write_text(json.dumps(content))
    return root
