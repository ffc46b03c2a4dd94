"""Judge a model of spike counts: held-out bits, splits in time, time rescaling."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

__all__ = ["BlockedSplit", "bits_per_spike", "rescale_intervals"]


def bits_per_spike(mean_counts: ArrayLike, counts: ArrayLike, constant: float) -> float:
    """Return how much better than a constant rate a model predicts spikes.

    The difference between the Poisson log-likelihoods of the model and of a constant rate,
    per spike and in bits (Stevenson et al. 2008, IEEE Trans Neural Syst Rehabil Eng 16:203).

    Parameters
    ----------
    mean_counts : array_like
        Expected count of each bin under the model, shape ``(n_bins,)``, all above 0.
    counts : array_like
        Observed counts, shape ``(n_bins,)``.
    constant : float
        Expected count of a bin under a constant rate: the mean count of the *training* data.

    Returns
    -------
    float
        Bits per spike; 0 for the constant rate itself, below 0 for a model that is worse.

    Raises
    ------
    ValueError
        For shapes that differ, NaN, an expected count of 0 or below, or no spike.
    """
    mu, y = _expected_and_observed(mean_counts, counts)
    if not constant > 0:
        raise ValueError(f"constant is {constant}: give the mean count of the training data")
    if not y.sum() > 0:
        raise ValueError("no spike in counts: bits per spike are not defined")
    gain = np.sum(y * np.log(mu / constant) - (mu - constant))
    return float(gain / y.sum() / np.log(2))


class BlockedSplit:
    """Cross-validation splits that respect time, for scikit-learn's ``cv=``.

    Each test set is one block of consecutive bins. Bins within `gap` of the block on either
    side belong to neither set, so that no history reaches from one into the other.

    Parameters
    ----------
    n_splits : int
        Number of blocks, at least 2. Together they cover all bins.
    gap : int
        Number of bins left out on each side: at least the length of the history window.
    """

    def __init__(self, n_splits: int = 5, gap: int = 0) -> None:
        if not isinstance(n_splits, Integral) or n_splits < 2:
            raise ValueError(f"n_splits is {n_splits}: it must be a whole number of at least 2")
        if not isinstance(gap, Integral) or gap < 0:
            raise ValueError(f"gap is {gap}: it must be a whole number of bins, 0 or more")
        self.n_splits = n_splits
        self.gap = gap

    def __repr__(self) -> str:
        return f"BlockedSplit(n_splits={self.n_splits}, gap={self.gap})"

    def get_n_splits(self, X=None, y=None, groups=None) -> int:
        """Return the number of splits (scikit-learn calls it)."""
        return self.n_splits

    def split(self, X, y=None, groups=None) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the indices of the bins to train on and of those to test on.

        Parameters
        ----------
        X : array_like
            Predictors in the order of time, shape ``(n_bins, …)``.
        y, groups
            Ignored; scikit-learn passes them.

        Raises
        ------
        ValueError
            If a split would leave no bin to train on.
        """
        n_bins = len(X)
        if n_bins < self.n_splits:
            raise ValueError(f"{n_bins} bins cannot be cut into {self.n_splits} blocks")
        bins = np.arange(n_bins)
        for test in np.array_split(bins, self.n_splits):
            train = bins[(bins < test[0] - self.gap) | (bins > test[-1] + self.gap)]
            if not len(train):
                raise ValueError(
                    f"a gap of {self.gap} bins beside a block of {len(test)} leaves none of "
                    f"{n_bins} bins to train on: take a smaller gap or more blocks"
                )
            yield train, test


def rescale_intervals(
    mean_counts: ArrayLike, counts: ArrayLike, rng: np.random.Generator
) -> np.ndarray:
    """Rescale the intervals between spikes by a model: uniform numbers if it is right.

    Time is stretched until the model's rate is 1; the intervals between the spikes are then
    exponential, and ``1 - exp(-interval)`` is uniform (Brown et al. 2002, Neural Comput
    14:325). A bin does not tell where in it a spike fell, which biases the plain sum of expected
    counts; so each spike gets a random position within its bin. For Poisson counts this is exact.
    Haslinger et al. (2010), Neural Comput 22:2477, do so for bins of at most one spike; the two
    agree where the expected counts are much smaller than 1.

    Parameters
    ----------
    mean_counts : array_like
        Expected count of each bin given the past, shape ``(n_bins,)``. Separate epochs may be
        concatenated.
    counts : array_like
        Observed counts, shape ``(n_bins,)``.
    rng : numpy.random.Generator
        Draws the positions within bins.

    Returns
    -------
    ndarray
        One number from 0 to 1 for each interval, in order, shape ``(n_spikes - 1,)``.

    Raises
    ------
    ValueError
        For shapes that differ, NaN, an expected count of 0 or below, counts that are not
        whole numbers, or fewer than 2 spikes.
    """
    mu, y = _expected_and_observed(mean_counts, counts)
    if not np.array_equal(y, np.round(y)) or y.min() < 0:
        raise ValueError("counts must be whole numbers, 0 or more")
    bins = np.repeat(np.arange(len(y)), y.astype(int))
    if len(bins) < 2:
        raise ValueError(f"{len(bins)} spikes: at least 2 are needed for an interval")
    before = np.concatenate([[0.0], np.cumsum(mu)])[bins]
    positions = np.sort(before + rng.uniform(size=len(bins)) * mu[bins])
    return -np.expm1(-np.diff(positions))


def _expected_and_observed(mean_counts, counts) -> tuple[np.ndarray, np.ndarray]:
    """Return both as arrays of float, or say what is wrong with them."""
    mu, y = np.asarray(mean_counts, dtype=float), np.asarray(counts, dtype=float)
    if mu.shape != y.shape or mu.ndim != 1:
        raise ValueError(
            f"mean_counts has shape {mu.shape} and counts {y.shape}: "
            "both must be (n_bins,), one value for each bin"
        )
    if not (np.isfinite(mu).all() and np.isfinite(y).all()):
        raise ValueError(
            "NaN or infinity in mean_counts or counts: leave out the bins without a complete "
            "history, the same in both"
        )
    if not mu.min() > 0:
        raise ValueError("mean_counts must be above 0 in every bin")
    return mu, y
