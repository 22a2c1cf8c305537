"""The ISIC challenges of 2016 to 2020 and HAM10000: which columns of their tables mean what.

Each release is one description; `isic.py` reads them all. Sources: Gutman et al. 2016,
arXiv:1605.01397; Codella et al. 2018, arXiv:1710.05006; Codella et al. 2019, arXiv:1902.03368;
Combalia et al. 2019, arXiv:1908.02288; Rotemberg et al. 2021, doi:10.1038/s41597-021-00815-z;
Tschandl et al. 2018, doi:10.1038/sdata.2018.161.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xattn.annotations.frames import TableSpec
from xattn.annotations.layouts.isic_tables import DATASETS


@dataclass(frozen=True)
class Release:
    """A data set of images with one table of classes, and others that may be there.

    Attributes:
        name: of its layout.
        meaning: one line.
        truth: the table of classes.
        more: tables of metadata, groups and duplicates.
        domain: of its images; None where they are of several, or of none that is known.
    """

    name: str
    meaning: str
    truth: TableSpec
    more: tuple[TableSpec, ...] = ()
    domain: str | None = "dermoscopy"


def same(*columns: str) -> dict[str, str]:
    """Return columns whose features are called as they are."""
    return {column: column for column in columns}


_BINARY = {"benign": "benign", "malignant": "malignant"}

_HAM = TableSpec(
    id="image_id",
    known_by=("lesion_id", "dx_type"),
    label="dx",
    groups=("lesion_id",),
    values={"age": "age", "sex": "sex", "localization": "site", **same("dx_type", "dataset")},
)

RELEASES = (
    Release(
        "isic2016",
        "ISIC challenge of 2016: benign or malignant.",
        TableSpec(
            id="image_id",
            # The training table has words, that of the test set 0.0 and 1.0.
            first_line=r"ISIC_\d+\s*,\s*(benign|malignant|[01](\.0)?)",
            label="label",
            classes={
                **_BINARY,
                "0": "benign",
                "0.0": "benign",
                "1": "malignant",
                "1.0": "malignant",
            },
        ),
    ),
    Release(
        "isic2017",
        "ISIC challenge of 2017: melanoma, nevus or seborrheic keratosis.",
        TableSpec(
            id="image_id",
            one_hot=same("melanoma", "seborrheic_keratosis"),
            rest="nevus",  # the challenge: melanoma, nevus or seborrheic keratosis
        ),
        (
            TableSpec(
                id="image_id",
                known_by=("age_approximate", "sex"),
                values={"age_approximate": "age", "sex": "sex"},
            ),
        ),
    ),
    Release(
        "isic2018_task3",
        "ISIC challenge of 2018, task 3: seven classes, of HAM10000.",
        TableSpec(id="image", one_hot=same("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC")),
        (
            TableSpec(
                id="image",
                known_by=("lesion_id", "diagnosis_confirm_type"),
                groups=("lesion_id",),
                values=same("diagnosis_confirm_type"),
            ),
            replace(_HAM, label=None, known_by=(*_HAM.known_by, "dx")),
        ),
    ),
    Release(
        "isic2019",
        "ISIC challenge of 2019: eight classes.",
        TableSpec(
            id="image",
            one_hot=same("MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"),
        ),
        (
            TableSpec(
                id="image",
                known_by=("age_approx", "anatom_site_general", "sex"),
                groups=("lesion_id",),
                values={"age_approx": "age", "sex": "sex", "anatom_site_general": "site"},
                source=("lesion_id", DATASETS),
            ),
        ),
    ),
    Release(
        "isic2020",
        "ISIC challenge of 2020: benign or malignant, with patients.",
        TableSpec(
            id="image_name",
            known_by=("patient_id",),
            label="benign_malignant",
            classes=_BINARY,
            groups=("patient_id",),
            values={
                "age_approx": "age",
                "sex": "sex",
                "anatom_site_general_challenge": "site",
                "diagnosis": "diagnosis",
            },
        ),
        (TableSpec(id="image_name_1", pair="image_name_2"),),
    ),
    Release("ham10000", "HAM10000: seven classes, with lesions seen several times.", _HAM),
)
