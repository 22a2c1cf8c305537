"""Miniatures of data sets as their authors publish them: names and columns are the real ones."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

from tests.annotations.downloads import table
from xattn.annotations.layouts import derm7pt, ph2

PAD = ("ACK", "BCC", "MEL", "NEV", "SCC", "SEK")
BCN = ("AK", "BCC", "BKL", "DF", "MEL", "NV", "SCC")
GRADES = ("0", "1", "2", "3", "4")
FITZPATRICK = ("benign", "malignant", "non-neoplastic")
DERM7PT = tuple(dict.fromkeys(derm7pt.CLASSES.values()))


def number(one: str) -> int:
    return int(one.removeprefix("ISIC_"))


def sex(i: int) -> str:
    return ("male", "female")[i // 2 % 2]


def isic_archive(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "metadata.csv",
        "isic_id,attribution,copyright_license,acquisition_day,age_approx,anatom_site_general,"
        "diagnosis_1,diagnosis_2,diagnosis_3,diagnosis_confirm_type,image_type,lesion_id,"
        "melanocytic,patient_id,sex",
        *(f'{one},"Department of Dermatology, Hospital {i % 2}",CC-BY,,{20 + i},posterior torso,'
          f"{label},{label} melanocytic proliferations,Nevus,histopathology,dermoscopic,"
          f"IL_{i // 2},True,IP_{i // 2},{sex(i)}"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def isic2024(root: Path, labels: dict[str, str]) -> list[str]:
    """Pack the images into one HDF5 file, as Kaggle has them."""
    packed = root / "train-image.hdf5"
    if not packed.exists():
        with h5py.File(packed, "w") as file:
            for one in labels:
                path = root / "Input" / f"{one}.png"
                file[one] = np.void(path.read_bytes())
                path.unlink()
    table(
        root / "train-metadata.csv",
        "isic_id,target,patient_id,age_approx,sex,anatom_site_general,clin_size_long_diam_mm,"
        "image_type,tbp_tile_type,tbp_lv_areaMM2,attribution,copyright_license,lesion_id,iddx_full,"
        "iddx_1,mel_thick_mm,tbp_lv_dnn_lesion_confidence",
        *(f"{one},{int(label == 'malignant')},IP_{i // 2},{20 + i}.0,{sex(i)},head/neck,"
          f"{2 + i / 10},TBP tile: close-up,3D: XP,{3 + i / 7:.3f},Memorial Sloan Kettering,CC-BY,,"
          f"{label},{label},,{90 + i / 10}" for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def pad_place(one: str, label: str) -> str:
    return f"imgs_part_1/imgs_part_1/PAT_{number(one)}_{number(one)}_{number(one)}"


def pad_ufes_20(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "metadata.csv",
        "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,"
        "skin_cancer_history,cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,"
        "diameter_1,diameter_2,diagnostic,itch,grew,hurt,changed,bleed,elevation,img_id,biopsed",
        *(f"PAT_{i // 2},{i},False,True,GERMANY,ITALY,{20 + i},False,{sex(i).upper()},True,True,"
          f"True,True,{i % 6 + 1}.0,FACE,{5 + i % 3}.0,5.0,{label},{i % 2 == 0},UNK,False,False,"
          f"False,True,PAT_{i}_{i}_{i}.png,True" for i, label in enumerate(labels.values())),
    )  # fmt: skip
    return []


def ddi(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "ddi_metadata.csv",
        ",DDI_ID,DDI_file,skin_tone,malignant,disease",
        *(f"{i},{i + 1},{number(one):06d}.png,{(12, 34, 56)[i % 3]},{label == 'malignant'},nevus"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def fitzpatrick17k(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "fitzpatrick17k.csv",
        "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,"
        "three_partition_label,qc,url,url_alphanum",
        *(f"{number(one):032x},{i % 6 + 1 if i % 9 else -1},{i % 6 + 1},psoriasis,inflammatory,"
          f"{label},,https://www.dermaamin.com/{i}.jpg,{i}.jpg"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    return []


def bcn20000(root: Path, labels: dict[str, str]) -> list[str]:
    table(
        root / "bcn_20k_train.csv",
        "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,split",
        *(f"BCN_{number(one):010d}.png,{20 + i}.0,anterior torso,{label},BCN_{i // 2:07d},"
          f"2012-05-16,{sex(i)},train" for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    table(root / "bcn_20k_test.csv", "bcn_filename,age_approx,sex,split", "BCN_9.jpg,5.0,male,test")
    return []


def aptos2019(root: Path, labels: dict[str, str]) -> list[str]:
    rows = [f"{number(one):012x},{label}" for one, label in labels.items()]
    table(root / "train.csv", "id_code,diagnosis", *rows)
    table(root / "test.csv", "id_code", "0005cfc8afb6")
    return []


def eyepacs_place(one: str, label: str) -> str:
    return f"train/{number(one) // 2 + 10}_{('left', 'right')[number(one) % 2]}"


def eyepacs(root: Path, labels: dict[str, str]) -> list[str]:
    rows = [f"{eyepacs_place(one, '')[6:]},{label}" for one, label in labels.items()]
    table(root / "trainLabels.csv", "image,level", *rows)
    return []


def derm7pt_place(one: str, label: str) -> str:
    return f"images/NEL/Nel{number(one):03d}"


def write_derm7pt(root: Path, labels: dict[str, str]) -> list[str]:
    kinds = {name: found for found, name in reversed(derm7pt.CLASSES.items())}
    table(
        root / "meta" / "meta.csv",
        "case_num,diagnosis,seven_point_score,pigment_network,streaks,pigmentation,"
        "regression_structures,dots_and_globules,blue_whitish_veil,vascular_structures,"
        "level_of_diagnostic_difficulty,elevation,location,sex,management,clinic,derm,case_id,notes",
        *(f"{i + 1},{kinds[label]},{i % 7},{('absent', 'typical', 'atypical')[i % 3]},"
          f"{('absent', 'regular')[i % 2]},diffuse irregular,absent,irregular,"
          f"{('absent', 'present')[i % 2]},arborizing,low,flat,back,{sex(i)},excision,"
          f"NEL/NEL{number(one):03d}c.JPG,NEL/NEL{number(one):03d}.PNG,,"
          for i, (one, label) in enumerate(labels.items())),
    )  # fmt: skip
    for k, part in enumerate(("train", "valid", "test")):
        rows = [str(i) for i in range(len(labels)) if i % 3 == k]
        table(root / "meta" / f"{part}_indexes.csv", "indexes", *rows)
    return []


def ph2_place(one: str, label: str) -> str:
    name = f"IMD{number(one):03d}"
    return f"PH2 Dataset images/{name}/{name}_Dermoscopic_Image/{name}"


def write_ph2(root: Path, labels: dict[str, str]) -> list[str]:
    rows = [
        "||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | "
        "Pigment Network | Dots/Globules | Streaks | Regression Areas | Blue-Whitish Veil ||"
        "           Colors ||"
    ]
    for i, (one, label) in enumerate(labels.items()):
        cells = (
            str(i % 3),
            ("T", "AT")[i % 2],
            ("A", "T", "AT")[i % 3],
            ("A", "P")[i % 2],
            "A",
            "A",
        )
        features = " | ".join(f"{cell:>13}" for cell in cells)
        rows.append(
            f"|| IMD{number(one):03d} ||                        || "
            f"{ph2.CLASSES.index(label):>18} || {features} ||             3  4 ||"
        )
        image = root / f"{ph2_place(one, label)}.png"
        lesion = np.asarray(Image.open(image))[..., 0] < 150
        path = image.parents[1] / f"{image.stem}_lesion" / f"{image.stem}_lesion.bmp"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(lesion).save(path)
    table(root / "PH2_dataset.txt", *rows, "", "Legends", "- Asymmetry: 0 - Fully Symmetric")
    return []


def patchcamelyon(root: Path, labels: dict[str, str]) -> list[str]:
    """Pack the images into the rows of an HDF5 file."""
    start = root / "camelyonpatch_level_2_split_train"
    if Path(f"{start}_x.h5").exists():
        return []
    paths = [root / "Input" / f"{one}.png" for one in labels]
    with h5py.File(f"{start}_x.h5", "w") as file:
        file["x"] = np.stack([np.asarray(Image.open(path)) for path in paths])
    with h5py.File(f"{start}_y.h5", "w") as file:
        truth = [label == "tumor" for label in labels.values()]
        file["y"] = np.array(truth, np.uint8).reshape(-1, 1, 1, 1)
    table(
        Path(f"{start}_meta.csv"),
        ",coord_y,coord_x,tumor_patch,center_tumor_patch,wsi",
        *(f"{i},{i},7,True,True,camelyon16_train_tumor_{i // 2:03d}" for i in range(len(labels))),
    )
    for path in paths:
        path.unlink()
    return []


def coco(root: Path, labels: dict[str, str]) -> list[str]:
    """Outline the lesion by a polygon, and a ruler in every third image by its box."""
    square = [10, 8, 28, 8, 28, 24, 10, 24]
    annotations = [
        {"id": 2 * i, "image_id": i, "category_id": 1, "segmentation": [square],
         "bbox": [10, 8, 18, 16], "iscrowd": 0}
        for i in range(len(labels))
    ] + [
        {"id": 2 * i + 1, "image_id": i, "category_id": 2, "bbox": [0, 0, 30, 3]}
        for i in range(0, len(labels), 3)
    ]  # fmt: skip
    content = {
        "images": [{"id": i, "file_name": f"{one}.png", "width": 40, "height": 32, "grade": label}
                   for i, (one, label) in enumerate(labels.items())],
        "categories": [{"id": 1, "name": "lesion"}, {"id": 2, "name": "ruler"}],
        "annotations": annotations,
    }  # fmt: skip
    (root / "instances.json").write_text(json.dumps(content))
    return ["--label-column", "grade"]


def monai(root: Path, labels: dict[str, str]) -> list[str]:
    names = dict(enumerate(dict.fromkeys(labels.values())))
    number_of = {name: i for i, name in names.items()}
    content = {
        "labels": names,
        "training": [{"image": f"Input/{one}.png", "label": number_of[label], "age": 20 + i}
                     for i, (one, label) in enumerate(labels.items())],
    }  # fmt: skip
    (root / "datalist.json").write_text(json.dumps(content))
    return []


def medmnist(root: Path, labels: dict[str, str]) -> list[str]:
    """Pack the images into one file: the last two are those of val and test."""
    packed = root / "dermamnist.npz"
    if packed.exists():
        return []
    paths = [root / "Input" / f"{one}.png" for one in labels]
    images = np.stack([np.asarray(Image.open(path)) for path in paths])
    truth = np.array([[int(label)] for label in labels.values()], np.uint8)
    arrays = {}
    for part, rows in (("train", slice(-2)), ("val", slice(-2, -1)), ("test", slice(-1, None))):
        arrays |= {f"{part}_images": images[rows], f"{part}_labels": truth[rows]}
    np.savez_compressed(packed, **arrays)
    for path in paths:
        path.unlink()
    return []
