"""Graded edits against the truth: the generator renders the same scene with the feature changed.

    python -m tests.analysis.counterfactuals --networks 20

Small networks are trained on generated images whose label is one feature. The score of each on
other images is then compared: as the edit changes the image, and as the generator renders the
same scene with as much more or less of the feature. Opacity, light, colour cast and diameter are
rendered at the very dose of the edit; of the other features the generator's own trait is changed,
and the edit is read at the dose that gives the feature the value that the rendered image has.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import nn

from xattn.analysis.interventions.doses.registry import GRADED_EDITS, DoseCase, Dosed
from xattn.analysis.interventions.pixels import widened
from xattn.features.computed import COMPUTED_FEATURES, Subject, UnmeasurableError
from xattn.images.levels import Pixels
from xattn.synthetic import (
    ImageSpec,
    Plan,
    Rendered,
    render,
    with_features,
    with_strength,
    without_features,
)

SIZE = (80, 104)
LESSONS, EXAM, EPOCHS = 400, 30, 30


@dataclass(frozen=True)
class Task:
    """A feature that a network learns, and the edit that is held against the generator.

    Attributes:
        edit: name of the graded edit.
        artifact: that fades; "" for none.
        strength: property of the image that is changed; "" for none.
        trait: of the generator that is changed; "" for none.
    """

    edit: str
    artifact: str = ""
    strength: str = ""
    trait: str = ""

    @property
    def name(self) -> str:
        return f"{self.edit} ({self.artifact or self.strength or self.trait})"

    def drawn(self, spec: ImageSpec, more: bool) -> ImageSpec:
        """Return the image with more of the feature, or with less."""
        if self.artifact:
            return (with_features if more else without_features)(spec, self.artifact)
        if self.strength:
            size = {"light": 0.15, "colour_cast": 0.08, "diameter": 0.25}[self.strength]
            return with_strength(spec, self.strength, size if more else -size)
        return replace(spec, traits={**spec.traits, self.trait: 1.2 if more else -1.2})

    def truths(self, spec: ImageSpec) -> list[tuple[float, ImageSpec]]:
        """Return doses, and the scenes that have them; NaN where the value says the dose."""
        doses = GRADED_EDITS[self.edit].doses
        if self.artifact:
            return [(dose, with_strength(spec, self.artifact, 1 + dose)) for dose in doses]
        if self.strength:
            return [(dose, with_strength(spec, self.strength, dose)) for dose in doses]
        own = spec.traits[self.trait]
        return [
            (np.nan, replace(spec, traits={**spec.traits, self.trait: own + change}))
            for change in (-0.8, -0.4, 0.4, 0.8)
        ]


TASKS = (
    Task("light", strength="light"),
    Task("colour-variance", trait="colour_variegation"),
    Task("diameter", strength="diameter"),
    Task("opacity", artifact="patches"),
    Task("colour-cast", strength="colour_cast"),
    Task("shape-asymmetry", trait="border_irregularity"),
    Task("skin-tone", trait="skin_tone"),
    Task("opacity", artifact="hair"),
    Task("opacity", artifact="ink"),
    Task("colour-asymmetry", trait="colour_variegation"),
)


def network() -> nn.Module:
    """Return a small convolutional network of one output."""
    layers: list[nn.Module] = []
    for before, after in ((3, 12), (12, 24), (24, 32)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.BatchNorm2d(after), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 1))


def learned(task: Task, seed: int) -> tuple[nn.Module, float]:
    """Train a network to tell more of a feature from less; also give its accuracy on new images."""
    plan, rng = Plan(1000 + seed, effects={}), np.random.default_rng(seed)
    label = rng.random(LESSONS + 60) < 0.5
    images = np.stack([
        render(task.drawn(plan.draw(i), bool(more)), SIZE).image for i, more in enumerate(label)
    ])  # fmt: skip
    x, y = tensor(images), torch.from_numpy(label.astype(np.float32))
    torch.manual_seed(seed)
    net = network()
    steps = EPOCHS * (LESSONS // 32)
    optimiser = torch.optim.AdamW(net.parameters(), lr=5e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-2, total_steps=steps)
    for _ in range(steps):
        rows = torch.from_numpy(rng.choice(LESSONS, 32, replace=False))
        loss = nn.functional.binary_cross_entropy_with_logits(net(x[rows])[:, 0], y[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    net.eval()
    right = (scores(net, images[LESSONS:]) > 0) == label[LESSONS:]
    return net, float(right.mean())


def tensor(images: np.ndarray) -> torch.Tensor:
    """Return images (n, height, width, 3) as a network takes them."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float() / 127.5 - 1


def scores(net: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return log odds (n,)."""
    with torch.inference_mode():
        return net(tensor(images))[:, 0].double().numpy()


def case_of(task: Task, rendered: Rendered, seed: int) -> DoseCase | None:
    """Return what an edit sees of a rendered image; None without the artifact."""
    blocked = np.any([rendered.lesion, *rendered.masks.values()], axis=0)
    mask = rendered.masks.get(task.artifact) if task.artifact else rendered.lesion
    if mask is None or not mask.any():
        return None
    rng = np.random.default_rng(seed)
    return DoseCase(rendered.image, mask, rendered.lesion, ~widened(blocked), False, rng)


def pairs(task: Task, net: nn.Module, seed: int) -> Iterator[tuple[float, float, float]]:
    """Give the change of the score by the edit, by its control, and in truth."""
    plan = Plan(5000 + seed, effects={})
    for i in range(EXAM):
        spec = plan.draw(i)
        spec = with_features(spec, task.artifact) if task.artifact else spec
        rendered = render(spec, SIZE)
        case = case_of(task, rendered, i)
        dosed = None if case is None else GRADED_EDITS[task.edit].prepare(case)
        if case is None or dosed is None or dosed.control is None:
            continue
        truths = [(dose, render(other, SIZE)) for dose, other in task.truths(spec)]
        said = scores(net, np.stack([rendered.image, *(t.image for _, t in truths)]))
        true = said[1:] - said[0]
        for (dose, other), change in zip(truths, true, strict=True):
            at = dose if not np.isnan(dose) else matched(task, case, dosed, other)
            if at is not None:
                images = np.stack([case.taken(one(at)) for one in (dosed.edit, dosed.control)])
                edit, control = scores(net, images) - said[0]
                yield edit, control, change


def matched(task: Task, case: DoseCase, dosed: Dosed, other: Rendered) -> float | None:
    """Return the dose at which the feature has the value of another rendering; None if none."""
    edit = GRADED_EDITS[task.edit]
    doses = np.sort([*edit.doses, 0.0])
    try:
        goal = value(task, other.image, other.lesion)
        altered = [dosed.edit(dose) for dose in doses]
        lesions = [case.lesion if a.lesion is None else a.lesion for a in altered]
        values = [
            value(task, case.taken(a), lesion) for a, lesion in zip(altered, lesions, strict=True)
        ]
    except UnmeasurableError:
        return None
    if not min(values) <= goal <= max(values) or (np.diff(values) <= 0).any():
        return None
    return float(np.interp(goal, values, doses))


def value(task: Task, pixels: Pixels, lesion: np.ndarray | None) -> float:
    """Return the feature of an edit in an image."""
    assert lesion is not None
    return COMPUTED_FEATURES[GRADED_EDITS[task.edit].feature](Subject(pixels, lesion))


def main() -> None:
    """Train networks, a feature after the other, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", type=int, default=20)
    parser.add_argument("--out", default="")
    arguments = parser.parse_args()
    rows = []
    for n in range(arguments.networks):
        task = TASKS[n % len(TASKS)]
        net, accuracy = learned(task, n)
        for edit, control, true in pairs(task, net, n):
            rows.append({"edit": task.name, "network": n, "accuracy": accuracy,
                         "change": edit, "control": control, "true": true})  # fmt: skip
        sys.stdout.write(f"{n} {task.name}: accuracy {accuracy:.2f}\n")
        sys.stdout.write(report(pd.DataFrame(rows)) + "\n")
        sys.stdout.flush()
        if arguments.out:
            pd.DataFrame(rows).to_csv(arguments.out, index=False)


def report(rows: pd.DataFrame) -> str:
    """Return the table for the docs: bias and correlation of each edit, and what is its control's.

    The bias is the slope of the measured on the true change, less 1.
    """
    lines = ["| edit (feature of the generator) | networks | accuracy | pairs | true change, SD | "
             "correlation | measured per true change | control, SD |",
             "|---|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, of in rows.groupby("edit", sort=False):
        r = np.corrcoef(of["change"], of["true"])[0, 1]
        slope = (of["change"] * of["true"]).sum() / np.square(of["true"]).sum()
        lines.append(
            f"| {name} | {of['network'].nunique()} | {of['accuracy'].mean():.2f} | {len(of)} | "
            f"{of['true'].std():.2f} | {r:.2f} | {slope:.2f} | {of['control'].std():.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
