"""Data sets of one table and images, as their authors publish them: which columns mean what.

As in `releases.py`, each is one description that `isic.py` reads. Sources: ISIC archive,
gallery.isic-archive.com; Kurtansky et al. 2024, "The SLICE-3D dataset"; Pacheco et al. 2020,
"PAD-UFES-20"; Daneshjou et al. 2022, doi:10.1126/sciadv.abq6147; Groh et al. 2021,
arXiv:2104.09957; Hernández-Pérez et al. 2024, "BCN20000"; APTOS 2019 and EyePACS, of Kaggle.
"""

from __future__ import annotations

from xattn.annotations.frames import TableSpec
from xattn.annotations.layouts.releases import Release, same

_ISIC = {
    "age_approx": "age",
    "sex": "sex",
    "anatom_site_general": "site",
    "anatom_site_special": "site_special",
    "clin_size_long_diam_mm": "diameter_mm",
}

PUBLISHED = (
    Release(
        "isic_archive",
        "An export of the ISIC archive: a metadata.csv beside its images.",
        TableSpec(
            id="isic_id",
            known_by=("attribution", "copyright_license"),
            # Exports before October 2024 have benign_malignant and diagnosis instead.
            label="diagnosis_1",
            label_or=(
                "benign_malignant", "diagnosis_2", "diagnosis_3", "diagnosis_4", "diagnosis_5",
                "diagnosis",
            ),
            groups=("patient_id", "lesion_id"),
            values={
                **_ISIC,
                "fitzpatrick_skin_type": "fitzpatrick",
                "attribution": "institution",
                **same(
                    "image_type", "dermoscopic_type", "image_manipulation", "family_hx_mm",
                    "personal_hx_mm", "concomitant_biopsy", "diagnosis_confirm_type",
                ),
            },
        ),
        domain=None,
    ),
    Release(
        "isic2024",
        "ISIC challenge of 2024 (SLICE-3D): benign or malignant, with patients; images in HDF5.",
        TableSpec(
            id="isic_id",
            known_by=("patient_id", "tbp_tile_type"),
            label="target",
            classes={"0": "benign", "0.0": "benign", "1": "malignant", "1.0": "malignant"},
            groups=("patient_id",),
            # iddx_*, mel_*, lesion_id and tbp_lv_dnn_lesion_confidence tell the label.
            values={
                **_ISIC,
                "attribution": "institution",
                **same(
                    "tbp_tile_type", "tbp_lv_location_simple", "tbp_lv_areaMM2",
                    "tbp_lv_color_std_mean", "tbp_lv_deltaLBnorm", "tbp_lv_eccentricity",
                    "tbp_lv_norm_border", "tbp_lv_norm_color", "tbp_lv_symm_2axis",
                    "tbp_lv_nevi_confidence",
                ),
            },
        ),
        domain="clinical",
    ),
    Release(
        "pad_ufes_20",
        "PAD-UFES-20: photographs of telephones, six classes, with patients.",
        TableSpec(
            id="img_id",
            known_by=("patient_id", "lesion_id", "biopsed"),
            label="diagnostic",
            groups=("patient_id",),
            values={
                "age": "age", "gender": "sex", "region": "site", "fitspatrick": "fitzpatrick",
                **same(
                    "smoke", "drink", "pesticide", "skin_cancer_history", "cancer_history",
                    "has_piped_water", "has_sewage_system", "background_father",
                    "background_mother", "diameter_1", "diameter_2", "itch", "grew", "hurt",
                    "changed", "bleed", "elevation", "biopsed",
                ),
            },
        ),
        domain="clinical",
    ),
    Release(
        "ddi",
        "Diverse Dermatology Images: benign or malignant, with skin tones.",
        TableSpec(
            id="DDI_file",
            known_by=("skin_tone",),
            label="malignant",
            classes={"False": "benign", "FALSE": "benign", "True": "malignant",
                     "TRUE": "malignant"},
            values=same("skin_tone"),
            nominal=("skin_tone",),  # 12, 34 and 56 stand for pairs of Fitzpatrick's types
        ),
        domain="clinical",
    ),
    Release(
        "fitzpatrick17k",
        "Fitzpatrick17k: benign, malignant or non-neoplastic, with skin types.",
        TableSpec(
            id="md5hash",
            known_by=("nine_partition_label", "label"),
            label="three_partition_label",
            values={
                "fitzpatrick": "fitzpatrick",  # of older copies of the table
                "fitzpatrick_scale": "fitzpatrick",
                **same("fitzpatrick_centaur", "qc"),
            },
        ),
        domain="clinical",
    ),
    Release(
        "bcn20000",
        "BCN20000: dermoscopy of Barcelona, with lesions.",
        TableSpec(
            id="bcn_filename",
            known_by=("lesion_id",),
            label="diagnosis",
            groups=("lesion_id",),
            values={"age_approx": "age", "sex": "sex", "anatom_site_general": "site"},
        ),
    ),
    Release(
        "aptos2019",
        "APTOS 2019: fundus, grades 0 to 4 of diabetic retinopathy.",
        TableSpec(id="id_code", label="diagnosis"),
        domain="fundus",
    ),
    Release(
        "eyepacs",
        "EyePACS of Kaggle: fundus of both eyes, grades 0 to 4 of diabetic retinopathy.",
        TableSpec(
            id="image",
            label="level",
            group_in_id=r"(.+)_(?:left|right)",
            value_in_id=("side", r".+_(left|right)"),
        ),
        domain="fundus",
    ),
)  # fmt: skip
