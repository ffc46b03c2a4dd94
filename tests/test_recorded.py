"""What a reader sees on the recording must equal what was published for it.

`make test-recorded` downloads the recording and compares. Without a network the same
comparison runs on the stand-in, against numbers that are computed in another way: plain
pynwb and NumPy in the place of pynapple, statsmodels in the place of NeMoS.
"""

import json
import math

import jax
import nemos as nmo
import numpy as np
import pynapple as nap
import pytest
import statsmodels.api as sm
from pynwb import NWBHDF5IO
from toc import ROOT

from workshop_utils import fetch_data, provenance

jax.config.update("jax_enable_x64", True)
nap.nap_config.suppress_conversion_warnings = True

RESULTS = ROOT / "content" / "results"
PUBLISHED = json.loads((RESULTS / "published_allen_478498617.json").read_text())
BIN_S = 0.001
N_FIRST = 7


# Absolute tolerances. Times: a tenth of a sample. The published history model was fitted with
# 32-bit numbers.
TOLERANCE = {
    "rate_hz_whole_file": 1e-5,
    "sweep_mean_rate_hz": 1e-9,
    "sweep_max_current_pa": 1e-3,
    "tuning_hz": 1e-4,
    "present_coef_per_pa": 1e-6,
    "present_intercept": 1e-4,
    "present_mean_rate_hz": 1e-6,
    "present_log_likelihood": 1e-8,
    "present_pseudo_r2": 1e-6,
    "history_intercept": 2e-2,
    "history_log_likelihood": 1e-7,
    "history_pseudo_r2": 1e-5,
}
TIME_TOLERANCE_S = 5e-6


SOLVER = {"solver_name": "LBFGS", "solver_kwargs": {"tol": 1e-12, "maxiter": 2000}}


def first_noise_sweep(path):
    """Return a file and what the lesson takes from its first Noise 1 sweep."""
    data = nap.load_file(str(path))
    epochs = data["epochs"]
    sweep = epochs[epochs.tags == "Noise 1"][0]
    current = data["stimulus"].restrict(sweep) * 1e12
    spikes = data["units"].restrict(sweep)
    counts = spikes[0].count(BIN_S, ep=sweep)
    return data, current, spikes, counts, current.bin_average(BIN_S, ep=sweep)


def measure(path):
    """Return the numbers of a file, in the way of the chapters.

    The keys are those of the published numbers.
    """
    data, current, in_sweep, counts, binned = first_noise_sweep(path)
    epochs, spikes, stimulus = data["epochs"], data["units"], data["stimulus"]
    tuning = nap.compute_tuning_curves(in_sweep, current, bins=15)[0]

    X = binned[:, np.newaxis] / 100
    present = nmo.glm.GLM(**SOLVER).fit(X, counts)
    basis = nmo.basis.RaisedCosineLogConv(n_basis_funcs=8, window_size=200)
    features = basis.compute_features(binned)
    scale = np.nanstd(features.d, axis=0)
    history = nmo.glm.GLM(**SOLVER).fit(features / scale, counts)

    rows = [[*row, tag] for row, tag in zip(epochs.values.tolist(), epochs.tags, strict=True)]
    r2 = {"score_type": "pseudo-r2-Cohen"}
    return {
        "location": str(spikes.location[0]),
        "n_spikes_whole_file": len(spikes[0]),
        "rate_hz_whole_file": float(spikes.rate[0]),
        "first_spikes_s": spikes[0].t[:N_FIRST].tolist(),
        "last_spikes_s": spikes[0].t[-N_FIRST:].tolist(),
        "n_samples": len(stimulus),
        "first_time_s": float(stimulus.t[0]),
        "last_time_s": float(stimulus.t[-1]),
        "n_epochs": len(epochs),
        "first_epochs": rows[:N_FIRST],
        "last_epochs": rows[-N_FIRST:],
        "noise_1": epochs[epochs.tags == "Noise 1"].values.tolist(),
        "sweep_n_samples": len(current),
        "sweep_n_bins": len(counts),
        "sweep_n_spikes": len(in_sweep[0]),
        "sweep_mean_rate_hz": float(counts.mean() / BIN_S),
        "sweep_first_spikes_s": in_sweep[0].t[:N_FIRST].tolist(),
        "sweep_last_spikes_s": in_sweep[0].t[-N_FIRST:].tolist(),
        "sweep_max_current_pa": float(current.max()),
        "tuning_hz": tuning.values.tolist(),
        "present_coef_per_pa": float(present.coef_[0] / 100),
        "present_intercept": float(present.intercept_[0]),
        "present_mean_rate_hz": float(present.predict(X).mean() / BIN_S),
        "present_log_likelihood": float(present.score(X, counts)),
        "present_pseudo_r2": float(present.score(X, counts, **r2)),
        "history_intercept": float(history.intercept_[0]),
        "history_log_likelihood": float(history.score(features / scale, counts)),
        "history_pseudo_r2": float(history.score(features / scale, counts, **r2)),
    }


def differences(measured, expected):
    """Return one line for every number that differs by more than its tolerance."""
    found = []

    def compare(key, a, b):
        if isinstance(a, list) and isinstance(b, list):
            if len(a) != len(b):
                found.append(f"{key}: {len(a)} values, expected {len(b)}")
            for x, y in zip(a, b, strict=False):
                compare(key, x, y)
        elif isinstance(b, float):
            if not math.isclose(a, b, rel_tol=0, abs_tol=TOLERANCE.get(key, TIME_TOLERANCE_S)):
                found.append(f"{key}: {a!r}, expected {b!r}")
        elif a != b:
            found.append(f"{key}: {a!r}, expected {b!r}")

    for key in expected:
        compare(key, measured[key], expected[key])
    return found


@pytest.mark.network
def test_recording_gives_the_published_numbers(monkeypatch):
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "recorded")
    path = fetch_data("allen_478498617.nwb")
    assert provenance(path).kind == "recorded"
    assert differences(measure(path), PUBLISHED) == []


def log_cosine_bumps(n_functions, n_lags):
    """Return raised cosines on a stretched log axis, shape (n_lags, n_functions).

    Written from the definition of the NeMoS basis, to have a second opinion.
    """
    stretch = 50
    x = np.linspace(0, 1, n_lags)
    x = np.log(stretch * x + 1) / np.log(stretch + 1)
    # peaks are spaced so that the last bump has fallen to zero at the end of the window
    spacing = 1 / (n_functions - 1 + 2)
    peaks = np.arange(n_functions) * spacing
    arg = (x[:, np.newaxis] - peaks) / spacing * np.pi / 2
    return 0.5 * (np.cos(np.clip(arg, -np.pi, np.pi)) + 1)


def irls(X, y):
    """Return intercept, coefficients, log-likelihood per bin and pseudo-R² of a Poisson GLM."""
    fit = sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson()).fit(tol=1e-14, maxiter=200)
    null = np.sum(y * np.log(y.mean()) - y.mean())
    saturated = np.sum(np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0))
    reached = np.sum(y * np.log(fit.mu) - fit.mu)
    log_factorials = np.sum([math.lgamma(n + 1) for n in y])
    return {
        "intercept": float(fit.params[0]),
        "coef": fit.params[1:],
        "log_likelihood": float((reached - log_factorials) / len(y)),
        "pseudo_r2": float((reached - null) / (saturated - null)),
        "mean": float(fit.mu.mean()),
    }


def measure_otherwise(path):
    """Return the same numbers as `measure`, from plain pynwb, NumPy and statsmodels."""
    with NWBHDF5IO(path, "r") as io:
        nwb = io.read()
        table = nwb.epochs.to_dataframe()
        spikes = nwb.units["spike_times"][0][:]
        location = str(nwb.units["location"][0])
        stimulus = nwb.stimulus["stimulus"]
        times = stimulus.timestamps[:]
        noise = table[table.tags == "Noise 1"]
        start, stop = noise.start_time.iloc[0], noise.stop_time.iloc[0]
        inside = slice(np.searchsorted(times, start), np.searchsorted(times, stop))
        current = stimulus.data[inside] * 1e12
    rows = table[["start_time", "stop_time", "tags"]].to_numpy().tolist()
    in_sweep = spikes[(spikes >= start) & (spikes <= stop)]
    n_bins = len(current) // 20
    binned = current.reshape(n_bins, 20).mean(axis=1)
    y = np.bincount(((in_sweep - start) / BIN_S).astype(int), minlength=n_bins).astype(float)

    edges = np.linspace(0, current.max(), 16)
    seconds = np.histogram(current, edges)[0] / 20_000
    nearest = np.rint((in_sweep - start) * 20_000).astype(int)
    tuning = np.histogram(current[nearest], edges)[0] / seconds

    present = irls(binned[:, np.newaxis] / 100, y)
    bumps = log_cosine_bumps(8, 200)
    windows = np.lib.stride_tricks.sliding_window_view(binned, 200)[:-1]  # past of bins 200, 201…
    history = irls(windows[:, ::-1] @ bumps, y[200:])
    return {
        "location": location,
        "n_spikes_whole_file": len(spikes),
        "rate_hz_whole_file": len(spikes) / (spikes[-1] - spikes[0]),
        "first_spikes_s": spikes[:N_FIRST].tolist(),
        "last_spikes_s": spikes[-N_FIRST:].tolist(),
        "n_samples": len(times),
        "first_time_s": float(times[0]),
        "last_time_s": float(times[-1]),
        "n_epochs": len(rows),
        "first_epochs": rows[:N_FIRST],
        "last_epochs": rows[-N_FIRST:],
        "noise_1": noise[["start_time", "stop_time"]].to_numpy().tolist(),
        "sweep_n_samples": len(current),
        "sweep_n_bins": n_bins,
        "sweep_n_spikes": len(in_sweep),
        "sweep_mean_rate_hz": len(in_sweep) / (stop - start),
        "sweep_first_spikes_s": in_sweep[:N_FIRST].tolist(),
        "sweep_last_spikes_s": in_sweep[-N_FIRST:].tolist(),
        "sweep_max_current_pa": float(current.max()),
        "tuning_hz": tuning.tolist(),
        "present_coef_per_pa": float(present["coef"][0] / 100),
        "present_intercept": present["intercept"],
        "present_mean_rate_hz": present["mean"] / BIN_S,
        "present_log_likelihood": present["log_likelihood"],
        "present_pseudo_r2": present["pseudo_r2"],
        "history_intercept": history["intercept"],
        "history_log_likelihood": history["log_likelihood"],
        "history_pseudo_r2": history["pseudo_r2"],
    }


@pytest.fixture(scope="module")
def measured(stand_in):
    return measure(stand_in)


def test_same_comparison_on_the_stand_in(measured, stand_in):
    expected = measure_otherwise(stand_in)
    assert expected.keys() == PUBLISHED.keys()
    assert differences(measured, expected) == []


def test_comparison_tells_the_stand_in_from_the_recording(measured):
    found = " ".join(differences(measured, PUBLISHED))
    for key in ("n_spikes_whole_file", "tuning_hz", "present_intercept", "history_pseudo_r2"):
        assert key in found
    for key in ("n_samples", "last_epochs", "noise_1", "sweep_n_bins"):
        assert key not in found.replace("sweep_n_samples", "")
