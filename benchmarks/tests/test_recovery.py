"""Do the error bars of the course's fits tell the truth? (`make -C benchmarks recovery`)

Poisson neurons are simulated whose filters we know, and which the bases can express exactly: so
the 95 % bands must hold the truth in 95 % of cases. 50 neurons of each kind are fitted as in the
chapters, with the band of content/spike_history.md. The neurons are simulated without NeMoS.

Each statement below is accepted in a range that a right implementation misses with a
probability of at most LEVEL. There are 14 of them, so that all hold with a probability above
0.999 for seeds that were not looked at. The seeds are fixed: the result is the same each time.
"""

import json
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import jax
import nemos as nmo
import numpy as np
import pytest
from numba import njit
from scipy.interpolate import BSpline
from scipy.linalg import block_diag
from scipy.stats import binom, chi2, norm

jax.config.update("jax_enable_x64", True)

RESULT = Path(__file__).parents[2] / "content" / "results" / "recovery.json"
LEVEL = 5e-5
N_NEURONS = 50
N_BINS = 82_000  # of 1 ms
SOLVER = {"solver_name": "LBFGS", "solver_kwargs": {"tol": 1e-12, "maxiter": 2000}}

CURRENT = nmo.basis.RaisedCosineLogConv(n_basis_funcs=8, window_size=200, label="current")
SPIKES = nmo.basis.RaisedCosineLogConv(n_basis_funcs=4, window_size=2000, label="spikes")
BEND = nmo.basis.BSplineEval(n_basis_funcs=6, bounds=(0, 100), label="bend")
CURRENT_BUMPS = np.asarray(CURRENT.evaluate_on_grid(200)[1])
SPIKE_BUMPS = np.asarray(SPIKES.evaluate_on_grid(2000)[1])

# The truth. A delayed peak and a shallow trough, in log rate per pA and bin;
CURRENT_WEIGHTS = np.array([0, 10, 30, 40, 20, 0, -5, -5]) * 1e-4
# a refractory neuron that then calls for another spike, and adapts;
SPIKE_WEIGHTS = np.array([-1.5, -0.2, 0.1, -0.015])
# and a rate that rises with the current and saturates.
BEND_HZ = np.array([20, 25, 80, 240, 300, 310])  # of the rested neuron


class Kind(NamedTuple):
    """A kind of neuron, and what is to be recovered of it.

    `features` takes the counts; `curves` are matrices that turn the true weights, the last of
    which is the intercept, into filters or curves.
    """

    log_drive: np.ndarray
    spike_filter: np.ndarray
    features: object
    weights: np.ndarray
    curves: dict


class Recovered(NamedTuple):
    """What the fits of all neurons gave: numbers of spikes, weights, covariances."""

    n_spikes: np.ndarray
    weights: np.ndarray
    covariances: np.ndarray


def pink_noise(rng):
    """Return noise of the stand-in's spectrum that never repeats: mean 0, variance 1."""
    frequency_hz = np.fft.rfftfreq(N_BINS, 0.001)
    within = (frequency_hz >= 1) & (frequency_hz <= 100)
    phase = rng.uniform(0, 2 * np.pi, within.sum())
    spectrum = np.zeros(len(frequency_hz), dtype=complex)
    spectrum[within] = np.exp(1j * phase) / np.sqrt(frequency_hz[within])
    noise = np.fft.irfft(spectrum, N_BINS)
    return noise / noise.std()


@njit
def draw_counts(log_drive, spike_filter, rng):
    """Draw Poisson counts bin by bin; spike_filter[0] acts one bin after the spike."""
    log_factor = np.zeros(len(log_drive) + len(spike_filter))
    counts = np.zeros(len(log_drive))
    for t in range(len(log_drive)):
        counts[t] = rng.poisson(np.exp(log_drive[t] + log_factor[t]))
        if counts[t] > 0:
            log_factor[t + 1 : t + 1 + len(spike_filter)] += counts[t] * spike_filter
    return counts


def curve(n_weights, at, functions):
    """Return a matrix with `functions` in the columns from `at` on, otherwise 0."""
    matrix = np.zeros((len(functions), n_weights))
    matrix[:, at : at + functions.shape[1]] = functions
    return matrix


def current_kind(with_spikes):
    """Return the neuron with a filter of the current and, if asked, one of its own spikes."""
    current = 60 + 12 * pink_noise(np.random.default_rng(1))  # pA
    filtered = np.convolve(np.append(0, current), CURRENT_BUMPS @ CURRENT_WEIGHTS)[:N_BINS]
    intercept = np.log(0.25 if with_spikes else 0.02) - filtered[200:].mean()
    if not with_spikes:
        return Kind(
            log_drive=intercept + filtered,
            spike_filter=np.zeros(1),
            features=lambda y: CURRENT.compute_features(current),
            weights=np.append(CURRENT_WEIGHTS, intercept),
            curves={"filter of the current": curve(9, 0, CURRENT_BUMPS)},
        )
    return Kind(
        log_drive=intercept + filtered,
        spike_filter=SPIKE_BUMPS @ SPIKE_WEIGHTS,
        features=lambda y: (CURRENT + SPIKES).compute_features(current, y),
        weights=np.concatenate([CURRENT_WEIGHTS, SPIKE_WEIGHTS, [intercept]]),
        curves={
            "filter of the current": curve(13, 0, CURRENT_BUMPS),
            "post-spike filter": curve(13, 8, SPIKE_BUMPS[::10]),
        },
    )


def splines(current_pa):
    """Return the six cubic B-splines by SciPy, shape (n, 6)."""
    knots = np.concatenate([[0] * 3, np.linspace(0, 100, 4), [100] * 3])
    return BSpline.design_matrix(current_pa, knots, 3).toarray()


def bend_kind():
    """Return the neuron with a nonlinear tuning to the present current, and spike history.

    The splines add up to 1, so a constant could belong to them or to the intercept: the first
    is left out. What is recovered is the form of the curve, its mean taken away. The height is
    that of a rested neuron, and hardly determined for one that always fires.
    """
    current = 100 * norm.cdf(pink_noise(np.random.default_rng(2)))  # all from 0 to 100 pA
    log_rate = np.log(BEND_HZ / 1000)
    functions = splines(np.linspace(0, 100, 101))[:, 1:]
    tuning = curve(10, 0, functions - functions.mean(axis=0))
    return Kind(
        log_drive=splines(current) @ log_rate,
        spike_filter=SPIKE_BUMPS @ SPIKE_WEIGHTS,
        features=lambda y: np.asarray((BEND + SPIKES).compute_features(current, y))[:, 1:],
        weights=np.concatenate([log_rate[1:] - log_rate[0], SPIKE_WEIGHTS, log_rate[:1]]),
        curves={
            "nonlinearity": tuning,
            "post-spike filter": curve(10, 5, SPIKE_BUMPS[::10]),
        },
    )


def fit(features, y):
    """Fit as in the chapters; return weights and covariance for features as they are."""
    mean, scale = features.mean(axis=0), features.std(axis=0)
    X = (features - mean) / scale
    model = nmo.glm.GLM(**SOLVER).fit(X, y)
    mu = np.asarray(model.predict(X))
    design = np.column_stack([X, np.ones(len(X))])
    covariance = np.linalg.inv(design.T @ (mu[:, np.newaxis] * design))

    slope = design.T @ (y - mu)
    assert mu.mean() == pytest.approx(y.mean(), rel=1e-6)
    assert slope @ covariance @ slope < 1e-6  # the optimum is a thousandth of an error away
    back = np.diag(np.append(1 / scale, 1.0))  # weights of X to weights of the features
    back[-1, :-1] = -mean / scale
    return back @ np.append(model.coef_, model.intercept_), back @ covariance @ back.T


def recover(kind, mix=None):
    """Simulate and fit N_NEURONS. For a wrong model, `mix` turns the features into fewer."""
    mix = np.eye(len(kind.weights) - 1) if mix is None else mix
    unmix = block_diag(mix, 1)  # the weights that the wrong model gives to the right features
    fits = []
    for seed in range(N_NEURONS):
        rng = np.random.default_rng([3, seed])
        y = draw_counts(kind.log_drive, kind.spike_filter, rng)
        features = np.asarray(kind.features(y))[2000:]  # complete pasts only
        weights, covariance = fit(features @ mix, y[2000:])
        fits.append((y[2000:].sum(), unmix @ weights, unmix @ covariance @ unmix.T))
    jax.clear_caches()  # each fit holds on to its code, and 250 are more than Linux maps
    return Recovered(*(np.array(values) for values in zip(*fits, strict=True)))


def share_inside(weights, covariances, truth, matrix):
    """Return the share of points at which the 95 % band holds the truth, for each neuron."""
    error = weights @ matrix.T - matrix @ truth
    variance = np.einsum("kj,nji,ki->nk", matrix, covariances, matrix)
    return np.mean(np.abs(error) < norm.ppf(0.975) * np.sqrt(variance), axis=1)


def accepted_share(covariance, matrix):
    """Return the range of the mean share over N_NEURONS if errors have this covariance.

    Neurons are independent, the points of a curve are not: so draw the errors, take the share
    of each draw, and average as many draws at a time as there are neurons.
    """
    rng = np.random.default_rng(4)
    zero = np.zeros(len(covariance))
    errors = rng.multivariate_normal(zero, covariance, 20_000)
    shares = share_inside(errors, covariance[np.newaxis], zero, matrix)
    means = [rng.choice(shares, (4000, N_NEURONS)).mean(axis=1) for _ in range(100)]
    return np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2])


def judge_curve(recovered, kind, name, factor=1):
    """Return how often the band of a curve holds the truth, its covariance times `factor`."""
    matrix = kind.curves[name]
    shares = share_inside(recovered.weights, factor * recovered.covariances, kind.weights, matrix)
    return {
        "curve": name,
        "inside": round(shares.mean(), 3),
        "accepted": accepted_share(recovered.covariances[0], matrix).round(3).tolist(),
    }


def judge_weights(recovered, kind, factor=1):
    """Return whether the errors of all weights are as large as their covariance says."""
    errors = recovered.weights - kind.weights
    covariances = factor * recovered.covariances
    n = len(kind.weights)
    # The squared Mahalanobis distance from the truth: chi-square with n degrees of freedom.
    solved = np.linalg.solve(covariances, errors[:, :, np.newaxis])[:, :, 0]
    distances = np.sum(errors * solved, axis=1)
    z = errors / np.sqrt(np.einsum("nii->ni", covariances))
    range_of_sum = chi2(N_NEURONS * n).ppf([LEVEL / 2, 1 - LEVEL / 2])
    return {
        "inside": int(np.sum(distances < chi2(n).ppf(0.95))),
        # Even all of 50 are no surprise (8 %): too wide a region shows in the mean square.
        "accepted": [int(binom(N_NEURONS, 0.95).ppf(LEVEL)), N_NEURONS],
        "mean_square": round(distances.mean() / n, 3),
        "accepted_mean_square": (range_of_sum / N_NEURONS / n).round(3).tolist(),
        "largest_mean_z": round(np.abs(z.mean(axis=0)).max(), 3),
        "accepted_mean_z": round(norm.ppf(1 - LEVEL / 2 / n) / np.sqrt(N_NEURONS), 3),
    }


def lowest_correlation(recovered, kind, name):
    """Return the correlation of a curve with the truth, for the neuron where it is lowest."""
    matrix = kind.curves[name]
    truth = matrix @ kind.weights
    return round(min(np.corrcoef(matrix @ w, truth)[0, 1] for w in recovered.weights), 3)


def find_out():
    """Fit everything, right and wrong, and store what came out, whatever it is."""
    kinds = {
        "current": current_kind(False),
        "current and past spikes": current_kind(True),
        "bent tuning and past spikes": bend_kind(),
    }
    both, bend = kinds["current and past spikes"], kinds["bent tuning and past spikes"]
    mean_knots = np.array([[100, 300, 600, 800, 900]]).T / 9  # they make the straight line
    wrong = {
        "past spikes left out": (both, "filter of the current", np.eye(12)[:, :8]),
        "current left out": (both, "post-spike filter", np.eye(12)[:, 8:]),
        "straight line for the bend": (bend, "nonlinearity", block_diag(mean_knots, np.eye(4))),
    }
    curves, weights, scales, controls = [], [], [], []
    for name, kind in kinds.items():
        recovered = recover(kind)
        spikes = [int(recovered.n_spikes.min()), int(recovered.n_spikes.max())]
        weights.append({"neuron": name, "spikes": spikes, **judge_weights(recovered, kind)})
        for curve_name in kind.curves:
            curves.append(
                {
                    "neuron": name,
                    **judge_curve(recovered, kind, curve_name),
                    "lowest_correlation": lowest_correlation(recovered, kind, curve_name),
                }
            )
        for what, factor in (("half", 0.5), ("twice", 2)):
            label = f"{what} the variance"
            scales.append(
                {"neuron": name, "wrong": label, **judge_weights(recovered, kind, factor)}
            )
    for label, (kind, curve_name, mix) in wrong.items():
        controls.append({"wrong": label, **judge_curve(recover(kind, mix), kind, curve_name)})
    packages = ("nemos", "jax", "numpy", "numba")
    found = {
        "command": "make -C benchmarks recovery",
        "date": time.strftime("%Y-%m-%d"),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "neurons": N_NEURONS,
        "curves": curves,
        "weights": weights,
        "wrong_scales": scales,
        "wrong_models": controls,
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


@pytest.fixture(scope="module", params=["stored", pytest.param("new", marks=pytest.mark.slow)])
def result(request, tmp_path_factory):
    """Return what was stored or, if asked for, find it out now."""
    if request.param == "stored":
        return json.loads(RESULT.read_text(encoding="utf-8"))
    # Keep compiled fits: NeMoS would compile each of them again.
    folder = tmp_path_factory.mktemp("compiled")
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    return find_out()


def within(value, accepted):
    return accepted[0] <= value <= accepted[1]


def test_bands_hold_the_truth_at_95_percent_of_points(result):
    assert len(result["curves"]) == 5
    for row in result["curves"]:
        assert within(row["inside"], row["accepted"]), row


def test_regions_of_all_weights_hold_the_truth(result):
    assert len(result["weights"]) == 3
    for row in result["weights"]:
        assert within(row["inside"], row["accepted"]), row
        assert within(row["mean_square"], row["accepted_mean_square"]), row


def test_estimates_are_right_and_without_bias(result):
    """Correlations are those of the least lucky of 50 neurons."""
    for row in result["weights"]:
        assert row["largest_mean_z"] < row["accepted_mean_z"], row
    for row in result["curves"]:
        assert row["lowest_correlation"] > 0.9, row


def test_errors_of_the_wrong_size_are_noticed(result):
    """As if there were twice as many bins, or half as many."""
    for row in result["wrong_scales"]:
        assert not within(row["mean_square"], row["accepted_mean_square"]), row
        if row["wrong"] == "half the variance":
            assert not within(row["inside"], row["accepted"]), row


def test_bands_of_a_wrong_model_do_not_hold_the_truth(result):
    assert len(result["wrong_models"]) == 3
    for row in result["wrong_models"]:
        assert not within(row["inside"], row["accepted"]), row
