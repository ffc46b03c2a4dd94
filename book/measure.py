"""Measure what a lesson's steps give on a recording or its stand-in, and compare the two."""

import json
from pathlib import Path

import jax
import nemos as nmo
import numpy as np
import pynapple as nap

jax.config.update("jax_enable_x64", True)
nap.nap_config.suppress_conversion_warnings = True

PUBLISHED = Path(__file__).parents[1] / "tests" / "recorded_numbers.json"
BIN_S = 0.001
N_FIRST = 7
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

    The keys are those of tests/recorded_numbers.json, what is published for the recording.
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


def comparison(path):
    """Return two MyST tables: the published numbers of the cell beside those of a stand-in."""
    cell, ours = json.loads(PUBLISHED.read_text(encoding="utf-8")), measure(path)
    _, current, spikes, _, _ = first_noise_sweep(path)
    pulses = current.threshold(5.0).time_support  # above 5 pA
    per_pulse = " / ".join(str(len(spikes[0].restrict(pulse))) for pulse in pulses)

    def row(what, key, form):
        return f"| {what} | {cell[key]:{form}} | {ours[key]:{form}} |"

    header = "cell (published) | stand-in (this build) |\n|---|---:|---:|"
    edges = np.linspace(0, cell["sweep_max_current_pa"], len(cell["tuning_hz"]) + 1)
    rates = zip(edges[:-1], edges[1:], cell["tuning_hz"], ours["tuning_hz"], strict=True)
    lines = [
        f"| number | {header}",
        row("spikes in the whole file", "n_spikes_whole_file", "d"),
        row("spikes in the first Noise 1 sweep", "sweep_n_spikes", "d"),
        f"| spikes in its three pulses | 0 / about 14 / about 26 | {per_pulse} |",
        row("mean rate in that sweep (Hz)", "sweep_mean_rate_hz", ".2f"),
        row("largest current in that sweep (pA)", "sweep_max_current_pa", ".1f"),
        row("GLM of the current: weight (per pA)", "present_coef_per_pa", ".4f"),
        row("GLM of the current: intercept", "present_intercept", ".2f"),
        row("GLM of the current: pseudo-R²", "present_pseudo_r2", ".3f"),
        row("GLM of the current's history: pseudo-R²", "history_pseudo_r2", ".3f"),
        "",
        "Firing rate (Hz) in fifteen equal ranges of the current, from 0 to the largest:",
        "",
        f"| range, about (pA) | {header}",
        *(f"| {low:.0f} to {high:.0f} | {a:.1f} | {b:.1f} |" for low, high, a, b in rates),
        "",
    ]
    return "\n".join(lines)


def explorer_data(path):
    """Return what the explorer of the LNP model needs, from the first Noise 1 sweep.

    The log-likelihood of an exponential Poisson model needs of the data only the number of
    spikes, the sum of current times count, and, for each weight w, the sum of exp(w x).
    """
    numbers = measure(path)
    _, _, _, counts, binned = first_noise_sweep(path)
    x = binned.d / 100
    best = 100 * numbers["present_coef_per_pa"]
    weights = np.round(np.arange(0, 10.01, 0.1), 1)
    edges = np.linspace(0, numbers["sweep_max_current_pa"], len(numbers["tuning_hz"]) + 1)
    return {
        "binSize": BIN_S,
        "edges": edges.tolist(),
        "observed": numbers["tuning_hz"],
        "nSpikes": numbers["sweep_n_spikes"],
        "weightedCount": float(x @ counts.d),
        "weights": weights.tolist(),
        "sums": [float(np.exp(w * x).sum()) for w in weights],
        "best": {
            "w": best,
            "b": numbers["present_intercept"],
            "sum": float(np.exp(best * x).sum()),
        },
    }
