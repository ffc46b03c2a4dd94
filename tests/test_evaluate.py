"""Scores, splits and time rescaling against closed forms and independent implementations."""

from itertools import pairwise

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kstest, poisson
from sklearn.linear_model import PoissonRegressor
from sklearn.model_selection import cross_val_score

from workshop_utils import BlockedSplit, bits_per_spike, rescale_intervals


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_bits_per_spike_equal_the_difference_of_likelihoods(rng):
    mu = rng.uniform(0.01, 2, size=500)
    y = rng.poisson(mu)
    gain = poisson.logpmf(y, mu).sum() - poisson.logpmf(y, 0.7).sum()
    assert bits_per_spike(mu, y, 0.7) == pytest.approx(gain / y.sum() / np.log(2), abs=1e-9)


def test_bits_per_spike_equal_those_of_statsmodels(rng):
    x = rng.standard_normal((2000, 2))
    y = rng.poisson(np.exp(-2 + x @ [0.5, -0.3]))
    fit = sm.GLM(y, sm.add_constant(x), family=sm.families.Poisson()).fit(tol=1e-14)
    expected = (fit.llf - fit.llnull) / y.sum() / np.log(2)
    assert bits_per_spike(fit.mu, y, y.mean()) == pytest.approx(expected, abs=1e-9)


def test_a_constant_rate_scores_zero(rng):
    y = rng.poisson(0.3, size=100)
    assert bits_per_spike(np.full(100, 0.2), y, 0.2) == 0


@pytest.mark.parametrize(
    ("mu", "y", "constant", "message"),
    [
        (np.ones(3), np.ones(4), 1.0, r"shape \(3,\) and counts \(4,\)"),
        (np.ones((3, 1)), np.ones(3), 1.0, r"both must be \(n_bins,\)"),
        ([1.0, np.nan], [1, 1], 1.0, "without a complete history"),
        ([1.0, 0.0], [1, 1], 1.0, "above 0"),
        ([1.0, 1.0], [0, 0], 1.0, "no spike"),
        ([1.0, 1.0], [1, 0], 0.0, "mean count of the training data"),
    ],
)
def test_bits_per_spike_say_what_is_wrong(mu, y, constant, message):
    with pytest.raises(ValueError, match=message):
        bits_per_spike(mu, y, constant)


@given(n_bins=st.integers(2, 300), n_splits=st.integers(2, 12), gap=st.integers(0, 60))
def test_splits_never_leak(n_bins, n_splits, gap):
    splitter = BlockedSplit(n_splits, gap=gap)
    try:
        splits = list(splitter.split(np.zeros(n_bins)))
    except ValueError as error:
        longest = -(-n_bins // n_splits)
        assert n_bins < n_splits or longest + gap >= n_bins / 2, error
        return
    tested = np.concatenate([test for _, test in splits])
    np.testing.assert_array_equal(tested, np.arange(n_bins))  # each bin is tested once
    for train, test in splits:
        assert len(train)
        np.testing.assert_array_equal(test, np.arange(test[0], test[-1] + 1))
        distance = np.abs(train[:, np.newaxis] - test).min(axis=1)
        np.testing.assert_array_equal(train, np.sort(train))
        assert distance.min() == gap + 1 or test[-1] + gap + 1 >= n_bins or test[0] <= gap
        assert distance.min() > gap
        left_out = n_bins - len(train) - len(test)
        assert left_out <= 2 * gap


def test_scikit_learn_takes_the_splits(rng):
    x = rng.standard_normal((300, 1))
    y = rng.poisson(np.exp(x[:, 0] - 1))
    scores = cross_val_score(PoissonRegressor(), x, y, cv=BlockedSplit(4, gap=10))
    assert scores.shape == (4,)
    assert np.isfinite(scores).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((1,), "at least 2"), ((2.5,), "whole number"), ((5, -1), "gap"), ((5, 0.5), "gap")],
)
def test_splits_refuse_nonsense(arguments, message):
    with pytest.raises(ValueError, match=message):
        BlockedSplit(*arguments)


def test_a_gap_that_leaves_nothing_is_an_error():
    with pytest.raises(ValueError, match="smaller gap or more blocks"):
        list(BlockedSplit(2, gap=50).split(np.zeros(100)))


def test_a_homogeneous_poisson_process_is_rescaled_to_uniform_numbers(rng):
    """Also in bins that are far too long: what the plain sum over bins gets wrong."""
    y = rng.poisson(0.5, size=20_000)
    u = rescale_intervals(np.full(len(y), 0.5), y, rng)
    assert len(u) == y.sum() - 1
    assert kstest(u, "uniform").pvalue > 0.01
    plain = -np.expm1(-0.5 * np.diff(np.repeat(np.arange(len(y)), y)))
    assert kstest(plain, "uniform").pvalue < 1e-6


def test_intervals_are_sums_of_the_intensity():
    """By hand: each spike in the middle of its bin, expected counts that differ greatly."""

    class Middle:
        def uniform(self, size):
            return np.full(size, 0.5)

    u = rescale_intervals([1, 2, 4, 8], [1, 0, 1, 1], Middle())
    expected = [0.5 + 2 + 2, 2 + 4]
    np.testing.assert_allclose(u, 1 - np.exp(-np.array(expected)), rtol=1e-12)


def test_rescaling_agrees_with_the_published_correction(rng):
    """Haslinger et al. (2010): a truncated exponential within the bin of the later spike."""
    mu = 0.004 * (1.2 + np.sin(np.arange(200_000) / 3000))
    y = (rng.uniform(size=len(mu)) < -np.expm1(-mu)).astype(int)  # one spike at most
    spikes = np.flatnonzero(y)
    xi = []
    for i, j in pairwise(spikes):
        r = rng.uniform()
        xi.append(mu[i + 1 : j].sum() - np.log(1 - r * -np.expm1(-mu[j])))
    published = np.sort(-np.expm1(-np.array(xi)))
    ours = np.sort(rescale_intervals(mu, y, rng))
    # They differ by where in its bin a spike is put: by less than two bins' intensity.
    assert np.abs(published - ours).max() < 2 * mu.max()


def test_the_true_intensity_passes_and_a_wrong_one_fails(rng):
    mu = 0.03 * np.exp(np.sin(np.arange(60_000) / 500))
    y = rng.poisson(mu)
    assert kstest(rescale_intervals(mu, y, rng), "uniform").pvalue > 0.01
    assert kstest(rescale_intervals(np.full(len(y), y.mean()), y, rng), "uniform").pvalue < 1e-4


@pytest.mark.parametrize(
    ("y", "message"),
    [([0, 1, 0], "at least 2"), ([0.5, 1, 1], "whole numbers"), ([-1, 2, 1], "whole numbers")],
)
def test_rescaling_says_what_is_wrong(y, message, rng):
    with pytest.raises(ValueError, match=message):
        rescale_intervals(np.ones(3), y, rng)
