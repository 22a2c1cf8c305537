"""Chest films with findings of which several can be true: ChestX-ray14, CheXpert and MIMIC-CXR.

Wang et al. 2017, arXiv:1705.02315; Irvin et al. 2019, arXiv:1901.07031; Johnson et al. 2019,
arXiv:1901.07042.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from xattn.annotations.frames import TableFile, find_tables, read_frame
from xattn.annotations.layouts.registry import Draft, Note, Sources, layout
from xattn.annotations.layouts.rows import draft
from xattn.annotations.listing import Listing, images_below
from xattn.errors import AnnotationError

FINDINGS = (
    "No Finding", "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion",
    "Edema", "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices",
)  # fmt: skip
"""Of CheXpert's labeller, in the order of its tables."""
FINDINGS_NIH = (
    "Atelectasis", "Cardiomegaly", "Effusion", "Infiltration", "Mass", "Nodule", "Pneumonia",
    "Pneumothorax", "Consolidation", "Edema", "Emphysema", "Fibrosis", "Pleural_Thickening",
    "Hernia",
)  # fmt: skip
"""Of ChestX-ray14, in the order of its authors."""
NO_FINDING = "No Finding"

_TABLES = ("*.csv", "*.csv.gz")
_NIH = ("Image Index", "Finding Labels", "Patient ID", "View Position")
_CHEXPERT = ("Path", "Frontal/Lateral", *FINDINGS)
_MIMIC = ("subject_id", "study_id", *FINDINGS)
_FILMS = ("dicom_id", "subject_id", "study_id", "ViewPosition")
_SPLIT = ("dicom_id", "split")
_PARTS = {"train": "train", "valid": "val", "validate": "val", "test": "test"}
_LISTS = {"train_val_list.txt": "train_val", "test_list.txt": "test"}
_FILM_FORMS = (".jpg", ".dcm", ".png")


def _tables(root: Path, columns: Sequence[str]) -> list[TableFile]:
    return [one for one in find_tables(root, _TABLES) if set(columns) <= set(one.columns)]


def _expect(tables: Sequence[TableFile], columns: Sequence[str], root: Path) -> None:
    if not tables:
        raise AnnotationError(
            f"Expected a table with the columns {', '.join(columns)} under {root}, but found none"
        )


@layout("chestxray14", detect=lambda root: bool(_tables(root, _NIH)), domain="radiograph")
def chestxray14(sources: Sources, note: Note) -> Draft:
    """Read Data_Entry_2017.csv (or _v2020): lists of findings, with patients.

    An image of "No Finding" has an empty list. Values: age, sex, view, follow_up, and, where
    train_val_list.txt and test_list.txt lie beside the table, `official_split`.

    Raises:
        AnnotationError: there is no such table, or none of its images.
    """
    tables = _tables(sources.root, _NIH)
    _expect(tables, _NIH, sources.root)
    rows = read_frame(tables[0], note=note, texts=["Image Index", "Patient ID"])
    listed = images_below(sources.root, note, sources.mask_folders)
    by_name = {name: f"{folder}/{name}" for folder, name in listed}
    rows["file"] = rows["Image Index"].map(by_name)
    rows = _there(rows, tables[0], note)
    values = pd.DataFrame(
        {
            "age": rows["Patient Age"].str.removesuffix("Y"),  # 058Y in the first version
            "sex": _either(rows, "Patient Gender", "Patient Sex"),
            "view": rows["View Position"],
            "follow_up": _either(rows, "Follow-up #"),
            "official_split": _listed(tables[0].path.parent, rows["Image Index"]),
        }
    )
    values["age"] = values["age"].str.lstrip("0").replace("", "0")
    found = rows["Finding Labels"].fillna("").str.split("|")
    lists = [tuple(one for one in some if one and one != NO_FINDING) for some in found]
    known = rows["Finding Labels"].notna().tolist()
    images = _images(rows, rows["Image Index"].str.rpartition(".")[0], rows["Patient ID"])
    findings = list(dict.fromkeys([*FINDINGS_NIH, *(one for some in lists for one in some)]))
    nothing: list[tuple[str, ...]] = [()] * len(lists)
    return _with_findings(draft(images, values, (), _quiet(note)), findings, lists, nothing, known)


@layout("chexpert", detect=lambda root: bool(_tables(root, _CHEXPERT)), domain="radiograph")
def chexpert(sources: Sources, note: Note) -> Draft:
    """Read train.csv and valid.csv: lists of 14 findings, with patients.

    1 is there; 0 and blank, which is "not mentioned", are not; -1, uncertain, is not known. Values:
    age, sex, view (Frontal or Lateral), projection (AP or PA) and `official_split`.

    Raises:
        AnnotationError: there is no such table, or none of its images.
    """
    tables = _tables(sources.root, _CHEXPERT)
    _expect(tables, _CHEXPERT, sources.root)
    frames = []
    for table in tables:
        frame = read_frame(table, note=note, texts=["Path"])
        frames.append(frame.assign(official_split=_PARTS.get(table.path.name.split(".")[0])))
    rows = pd.concat(frames, ignore_index=True)
    rows["file"] = _paths(rows["Path"], tables[0].path.parent, sources, note)
    rows = _there(rows, tables[0], note)
    parts = rows["Path"].str.extract(r"(patient\d+)/(study\d+)/([^/]+)\.\w+$")
    values = pd.DataFrame(
        {
            "age": _either(rows, "Age"),
            "sex": _either(rows, "Sex"),
            "view": rows["Frontal/Lateral"],
            "projection": _either(rows, "AP/PA"),
            "official_split": rows["official_split"],
        }
    )
    images = _images(rows, parts[0] + "_" + parts[1] + "_" + parts[2], parts[0])
    return _labelled(draft(images, values, (), _quiet(note)), rows, note)


@layout("mimic_cxr", detect=lambda root: bool(_tables(root, _MIMIC)), domain="radiograph")
def mimic_cxr(sources: Sources, note: Note) -> Draft:
    """Read the tables of MIMIC-CXR-JPG: lists of 14 findings a study, with patients.

    Cells are those of CheXpert's labeller: 1 is there, 0 and blank are not, -1 is not known.
    Values: view and, if its table is there, `official_split`. Films may be JPEG, PNG or DICOM.

    Raises:
        AnnotationError: one of the two tables is missing, or all films.
    """
    studies, films = (_tables(sources.root, columns) for columns in (_MIMIC, _FILMS))
    _expect(studies, _MIMIC, sources.root)
    films = [one for one in films if "Rows" in one.columns] or films
    _expect(films, _FILMS, sources.root)
    ids = ["subject_id", "study_id", "dicom_id"]
    truth = read_frame(studies[0], note=note, texts=ids).drop(columns="subject_id")
    rows = read_frame(films[0], note=note, texts=ids)[list(_FILMS)]
    rows = rows.merge(truth.drop_duplicates("study_id"), on="study_id", how="inner")
    parts = _tables(sources.root, _SPLIT)
    if parts:
        split = read_frame(parts[0], texts=ids)[list(_SPLIT)].drop_duplicates("dicom_id")
        rows = rows.merge(split, on="dicom_id", how="left")
        rows["official_split"] = rows["split"].map(_PARTS)
    folder = "p" + rows["subject_id"].str[:2] + "/p" + rows["subject_id"] + "/s" + rows["study_id"]
    base = films[0].path.parent
    has = Listing().has
    starts = (f"{base}/files/" + folder + "/" + rows["dicom_id"]).tolist()
    rows["file"] = [next((s + e for e in _FILM_FORMS if has(s + e)), None) for s in starts]
    rows = _there(rows, films[0], note)
    values = pd.DataFrame({"view": rows["ViewPosition"]})
    if "official_split" in rows:
        values["official_split"] = rows["official_split"]
    images = _images(rows, rows["dicom_id"], "patient " + rows["subject_id"])
    return _labelled(draft(images, values, (), _quiet(note)), rows, note)


def _images(rows: pd.DataFrame, ids: pd.Series, groups: pd.Series) -> pd.DataFrame:
    images = pd.DataFrame({"id": ids, "file": rows["file"], "group": groups})
    return images.assign(label=None)


def _either(rows: pd.DataFrame, *columns: str) -> pd.Series:
    found = next((column for column in columns if column in rows), None)
    return rows[found] if found else pd.Series(None, index=rows.index, dtype=object)


def _there(rows: pd.DataFrame, table: TableFile, note: Note) -> pd.DataFrame:
    """Leave out the rows whose film is not there."""
    there = rows["file"].notna()
    if not there.any():
        first = rows.iloc[0].dropna().to_dict() if len(rows) else "no row"
        raise AnnotationError(
            f"Expected the images of {table.path} below {table.path.parent}, but found none; its "
            f"first row is {str(first)[:120]}"
        )
    if not there.all():
        note(f"images: {(~there).sum():,} of {len(there):,} that the table names are not there")
    return rows[there].reset_index(drop=True)


def _paths(cells: pd.Series, base: Path, sources: Sources, note: Note) -> list[str | None]:
    """Return the file of each path; its first folder is the name that the data set came under.

    What is not there is looked for by patient, study and view: the films of the full data set come
    in folders that its tables do not name.
    """
    has = Listing().has
    found: list[str | None] = []
    for cell in cells:
        inside = str(cell).partition("/")[2]
        places = (base.parent / str(cell), base / str(cell), base / inside)
        found.append(next((str(place) for place in places if has(place)), None))
    if all(found):
        return found
    by_end: dict[str, str] = {}
    for folder, name in images_below(sources.root, note, sources.mask_folders):
        by_end.setdefault(_end(f"{folder}/{name}"), f"{folder}/{name}")
    return [one or by_end.get(_end(str(c))) for one, c in zip(found, cells, strict=True)]


def _end(path: str) -> str:
    """Return patient, study and view of a path."""
    return "/".join(path.replace("\\", "/").split("/")[-3:])


def _listed(folder: Path, names: pd.Series) -> pd.Series:
    """Return the part of each image, by the lists beside the table."""
    parts = pd.Series(None, index=names.index, dtype=object)
    for file, part in _LISTS.items():
        path = folder / file
        if path.is_file():
            inside = set(path.read_text(encoding="utf-8").split())
            parts = parts.mask(names.isin(inside), part)
    return parts


def _labelled(found: Draft, rows: pd.DataFrame, note: Note) -> Draft:
    """Make lists of the 14 columns, and say what was made of their cells."""
    cells = rows[list(FINDINGS)].apply(pd.to_numeric, errors="coerce")
    blank, unsure = int(cells.isna().sum().sum()), int(cells.eq(-1).sum().sum())
    note(
        f"labels: {blank:,} blank cells are findings that are not mentioned, and count as absent; "
        f"{unsure:,} of -1 are uncertain, and not known"
    )
    lists, unknown = ([
        tuple(name for name, chosen in zip(FINDINGS, row, strict=True) if chosen)
        for row in cells.eq(value).to_numpy()
    ] for value in (1, -1))  # fmt: skip
    known = cells.notna().any(axis=1).tolist()
    return _with_findings(found, FINDINGS, lists, unknown, known)


def _with_findings(
    found: Draft,
    findings: Sequence[str],
    lists: Sequence[tuple[str, ...]],
    unknown: Sequence[tuple[str, ...]],
    known: Sequence[bool],
) -> Draft:
    """Give images their lists; all findings of the data set are declared, seen here or not."""
    images = tuple(
        replace(image, findings=some, unknown=unsure) if known_ else image
        for image, some, unsure, known_ in zip(found.images, lists, unknown, known, strict=True)
    )
    return Draft(tuple(findings), found.features, images)


def _quiet(note: Note) -> Note:
    """Pass over the note that no image has a label: they have lists of findings."""
    return lambda line: None if line.startswith("labels: ") else note(line)
