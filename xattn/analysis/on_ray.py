"""The questions of a run on a Ray cluster: each of several outputs by one worker.

Within a question nothing is spread: its features share their permutations, of which each worker
would have to draw all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from xattn.analysis.alignment.mask_scores import ScoredMethod
from xattn.analysis.alignment.read_maps import Maps
from xattn.analysis.concepts.pooled import PooledLayer
from xattn.analysis.interventions.table import Interventions
from xattn.analysis.measure import MeasuredUsage, measure
from xattn.analysis.question import Question
from xattn.analysis.settings import UsageSettings
from xattn.analysis.stages import Clock
from xattn.cluster.connect import connected
from xattn.cluster.workers import Workers, in_order, workers_of
from xattn.features.feature_set import FeatureSet
from xattn.settings.cluster import RaySettings


@dataclass(frozen=True)
class Measuring:
    """What the tables of all questions are made of; see `measure`.

    Attributes:
        questions: all that were asked.
        edited: what edits did, question by question.
        features, scored, maps, layer, settings: as for `measure`, of the run.
    """

    questions: Sequence[Question]
    edited: Sequence[Interventions | None]
    features: FeatureSet
    scored: Sequence[ScoredMethod]
    maps: Mapping[str, Maps]
    layer: PooledLayer | None
    settings: UsageSettings

    def of(self, i: int, clock: Clock) -> MeasuredUsage:
        """Return what is found for one question.

        Args:
            i: its number.
            clock: takes the times.
        """
        question = self.questions[i]
        return measure(
            question, self.features.of(question.run), self.scored, self.maps, self.edited[i],
            self.layer, self.settings, clock,
        )  # fmt: skip


def measure_all(measuring: Measuring, clock: Clock, how: RaySettings | None) -> list[MeasuredUsage]:
    """Return what is found for all questions; several are spread, where there is a cluster.

    Args:
        measuring: what the tables are made of.
        clock: takes the times, of several questions those of the last.
        how: which cluster, and how many workers; None for none.

    Raises:
        RunError: the cluster cannot be reached, or the workers of a question died too often.
    """
    questions = measuring.questions
    if how is None or len(questions) == 1:
        return [measuring.of(i, clock) for i in range(len(questions))]
    found: list[MeasuredUsage] = []
    with connected(how.address) as ray:
        number = min(workers_of(ray, how, gpu=False), len(questions))
        with Workers(ray, _of_one, [measuring], number, gpu=False) as workers:
            numbers = range(len(questions))
            for one, seconds in in_order(workers, numbers, lambda i: questions[i].output):
                found.append(replace(one, question=questions[len(found)]))
                clock.seconds.update(seconds)
    return found


def _of_one(measuring: Measuring) -> Callable[[int], tuple[MeasuredUsage, dict[str, float]]]:
    """Return what measures a question, with the times of its stages; made on a worker."""

    def measured(i: int) -> tuple[MeasuredUsage, dict[str, float]]:
        clock = Clock()
        return measuring.of(i, clock), clock.seconds

    return measured
