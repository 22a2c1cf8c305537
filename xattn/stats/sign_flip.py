"""Fisher's randomisation test of a mean of 0: signs flipped, all of them or a sample."""

from __future__ import annotations

import numpy as np

from xattn.stats.adjust import upper_p
from xattn.stats.arrays import Codes, Floats, Ints


def exact_sign_flip_p(scores: Ints) -> float:
    """Return the fraction of all 2^n sign patterns whose sum is at least as far from 0.

    The sum's distribution on the whole numbers is the inverse Fourier transform of the product of
    cosines, so no pattern is drawn.

    Args:
        scores: (n,) whole numbers.

    Returns:
        The two-sided p-value, in (0, 1]; accurate to 1e-12, below which it is given as 1e-12.

    Source: Fisher 1935; the transform after Pagano and Tritchler, Journal of the American
    Statistical Association 1983.
    """
    size, times = np.unique(np.abs(scores[scores != 0]), return_counts=True)
    if not len(size):
        return 1.0
    divisor = int(np.gcd.reduce(size))
    size, observed = size // divisor, abs(int(scores.sum())) // divisor
    reach = int((size * times).sum())
    points = 2 * reach + 1
    angle = 2 * np.pi * np.arange(reach + 1) / points
    wave = np.ones(reach + 1)
    for value, count in zip(size, times, strict=True):
        wave *= np.cos(angle * value) ** int(count)
    fraction = np.fft.irfft(wave, points)  # of the sums 0, 1, ..., reach, -reach, ..., -1
    p = fraction[observed : reach + 1].sum() * (2 if observed else 1)
    p = 1.0 if not observed else p
    return float(min(1.0, max(p, 1e-12)))


def sampled_sign_flip_p(
    difference: Floats, group: Codes, permutations: int = 999, seed: int = 0
) -> float:
    """Return the two-sided p-value of a mean of 0, the signs of whole groups being exchangeable.

    Exact under the null that each group's differences are as likely with the opposite sign, for
    the observed signs count as one of those drawn.

    Args:
        difference: (n,).
        group: (n,) numbers.
        permutations: sign patterns drawn.
        seed: same seed, same p.

    Returns:
        In [1 / (1 + permutations), 1]; NaN below two groups.

    Source: Fisher 1935.
    """
    _, number = np.unique(group, return_inverse=True)
    groups = int(number.max()) + 1 if len(number) else 0
    if groups < 2 or not np.any(difference):
        return np.nan if groups < 2 else 1.0
    sums = np.bincount(number.reshape(-1), difference)
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], (permutations, groups))
    means = np.abs(np.concatenate([[sums.sum()], signs @ sums]))
    return float(upper_p(means))
