"""A thousand workers, simulated: what queue, stragglers and failures make of a run in shards.

The rules are those of `--engine ray` and of shards in a job array. A worker starts, loads the model
and takes a shard after the other; one that fails is started again and goes on with its shard from
the last batch that it committed. Events are simulated one by one; nothing is measured here.
"""

from __future__ import annotations

import heapq
import sys
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Cluster:
    """What is assumed of the machines.

    Attributes:
        workers: how many.
        seconds_per_image: of a worker by itself, decoding, forward pass and writing.
        start: seconds until a worker has loaded its libraries and the model.
        spread: standard deviation of a worker's speed, as a fraction of it.
        stragglers: fraction of workers that are `slower` times as slow.
        slower: how much.
        lifetime: mean seconds until a worker fails; infinite for never.
        again: seconds until another takes its place.
        shared: images a second that the shared disk takes from all together.
    """

    workers: int = 1000
    seconds_per_image: float = 0.05
    start: float = 20.0
    spread: float = 0.1
    stragglers: float = 0.01
    slower: float = 4.0
    lifetime: float = 24 * 3600.0
    again: float = 60.0
    shared: float = float("inf")


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes:
        seconds: until the last shard was done.
        ideal: seconds if all workers were alike, never failed and ended together.
        failures: workers that were lost.
        repeated: images that were done twice, the batch that was lost.
        idle: fraction of the workers' time without work, start and waiting at the end.
    """

    seconds: float
    ideal: float
    failures: int
    repeated: float
    idle: float

    @property
    def efficiency(self) -> float:
        """Ideal time over time."""
        return self.ideal / self.seconds


def simulate(cluster: Cluster, images: int, shards: int, batch: int = 16, seed: int = 0) -> Outcome:
    """Let workers take shards until none is left.

    Args:
        cluster: what is assumed of it.
        images: of the whole run.
        shards: how many it is cut into, of equal length.
        batch: images that are committed together.
        seed: same seed, same outcome.
    """
    rng = np.random.default_rng(seed)
    n, each = cluster.workers, images / shards
    speed = np.clip(rng.normal(1, cluster.spread, n), 0.3, None)
    slow = rng.random(n) < cluster.stragglers
    pace = cluster.seconds_per_image * np.where(slow, cluster.slower, 1.0) / speed
    # A disk that takes less than all give is a queue of its own: everyone goes at its part.
    pace = np.maximum(pace, n / cluster.shared if np.isfinite(cluster.shared) else 0.0)
    free = [(cluster.start, worker) for worker in range(n)]
    heapq.heapify(free)
    fails = rng.exponential(cluster.lifetime, n)
    left, failures, repeated, work, last = shards, 0, 0.0, 0.0, 0.0
    while left:
        now, worker = heapq.heappop(free)
        left -= 1
        todo = each
        while now + todo * pace[worker] > fails[worker]:
            done = max(0.0, (fails[worker] - now) / pace[worker])
            lost = done % batch if done < todo else 0.0
            todo -= done - lost
            repeated, failures = repeated + lost, failures + 1
            work += done * pace[worker]
            now = max(now, fails[worker]) + cluster.again + cluster.start
            fails[worker] = now + rng.exponential(cluster.lifetime)
        work += todo * pace[worker]
        now += todo * pace[worker]
        last = max(last, now)
        heapq.heappush(free, (now, worker))
    ideal = max(images * cluster.seconds_per_image / n, images / cluster.shared)
    return Outcome(last, ideal, failures, repeated, 1 - work / (n * last))


def table(images: int = 1_000_000, seeds: int = 20) -> str:
    """Return what shards a worker, stragglers and failures do, as Markdown."""
    hour = 3600.0
    worlds = {
        "all alike, no failures": Cluster(spread=0, stragglers=0, lifetime=float("inf")),
        "1 % four times as slow": Cluster(lifetime=float("inf")),
        "a worker fails once a day": Cluster(stragglers=0),
        "both": Cluster(),
        "both, a worker fails once an hour": Cluster(lifetime=hour),
        "both, a disk for 5,000 images a second": Cluster(shared=5000),
    }
    counts = (1, 4, 16, 64)
    lines = [
        "| | " + " | ".join(f"{k} shard{'s' * (k > 1)} a worker" for k in counts) + " |",
        "|---" * (len(counts) + 1) + "|",
    ]
    for name, cluster in worlds.items():
        cells = []
        for k in counts:
            runs = [simulate(cluster, images, k * cluster.workers, seed=s) for s in range(seeds)]
            parts = np.array([run.efficiency for run in runs])
            lost = np.mean([run.repeated for run in runs]) / images
            twice = f", {100 * lost:.2f} % twice" if lost > 5e-5 else ""
            span = f"{parts.min():.2f} to {parts.max():.2f}"
            cells.append(f"{np.median(parts):.2f} ({span}){twice}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    for count in (1_000_000, 100_000_000):
        sys.stdout.write(f"\n{count:,} images, 1,000 workers:\n\n{table(count)}")
