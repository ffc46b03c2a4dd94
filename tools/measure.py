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


def measure(path):
    """Return the numbers of a file, in the way of the chapters.

    The keys are those of tests/recorded_numbers.json, what is published for the recording.
    """
    data = nap.load_file(str(path))
    epochs, spikes, stimulus = data["epochs"], data["units"], data["stimulus"]
    noise_1 = epochs[epochs.tags == "Noise 1"]
    sweep = noise_1[0]
    current = stimulus.restrict(sweep) * 1e12
    in_sweep = spikes.restrict(sweep)
    counts = in_sweep[0].count(BIN_S, ep=sweep)
    binned = current.bin_average(BIN_S, ep=sweep)
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
        "noise_1": noise_1.values.tolist(),
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


def spikes_per_pulse(path):
    """Return the number of spikes in each of the three pulses of the first Noise 1 sweep."""
    data = nap.load_file(str(path))
    epochs = data["epochs"]
    current = data["stimulus"].restrict(epochs[epochs.tags == "Noise 1"][0])
    pulses = current.threshold(5e-12).time_support
    return [len(data["units"][0].restrict(pulse)) for pulse in pulses]


def comparison(path):
    """Return two MyST tables: the published numbers of the cell beside those of a stand-in."""
    cell, ours = json.loads(PUBLISHED.read_text(encoding="utf-8")), measure(path)
    pulses = " / ".join(map(str, spikes_per_pulse(path)))
    rows = [
        ("spikes in the whole file", "n_spikes_whole_file", "d"),
        ("spikes in the first Noise 1 sweep", "sweep_n_spikes", "d"),
        ("mean rate in that sweep (Hz)", "sweep_mean_rate_hz", ".2f"),
        ("largest current in that sweep (pA)", "sweep_max_current_pa", ".1f"),
        ("GLM of the current: weight (per pA)", "present_coef_per_pa", ".4f"),
        ("GLM of the current: intercept", "present_intercept", ".2f"),
        ("GLM of the current: pseudo-R²", "present_pseudo_r2", ".3f"),
        ("GLM of the current's history: pseudo-R²", "history_pseudo_r2", ".3f"),
    ]
    lines = ["| number | cell (published) | stand-in (this build) |", "|---|---:|---:|"]
    lines += [f"| {what} | {cell[key]:{form}} | {ours[key]:{form}} |" for what, key, form in rows]
    lines.insert(4, f"| spikes in its three pulses | 0 / about 14 / about 26 | {pulses} |")
    lines += [
        "",
        "Firing rate (Hz) in fifteen equal ranges of the current, from 0 to the largest:",
        "",
    ]
    lines += [
        "| range, about (pA) | cell (published) | stand-in (this build) |",
        "|---|---:|---:|",
    ]
    edges = np.linspace(0, cell["sweep_max_current_pa"], len(cell["tuning_hz"]) + 1)
    for i, (theirs_hz, ours_hz) in enumerate(
        zip(cell["tuning_hz"], ours["tuning_hz"], strict=True)
    ):
        lines.append(f"| {edges[i]:.0f} to {edges[i + 1]:.0f} | {theirs_hz:.1f} | {ours_hz:.1f} |")
    return "\n".join([*lines, ""])


def explorer_data(path):
    """Return what the explorer of the LNP model needs, from the first Noise 1 sweep.

    The log-likelihood of an exponential Poisson model needs of the data only the number of
    spikes, the sum of current times count, and, for each weight w, the sum of exp(w x).
    """
    data = nap.load_file(str(path))
    epochs, spikes = data["epochs"], data["units"]
    sweep = epochs[epochs.tags == "Noise 1"][0]
    current = data["stimulus"].restrict(sweep) * 1e12
    counts = spikes[0].count(BIN_S, ep=sweep).d
    x = current.bin_average(BIN_S, ep=sweep).d / 100
    tuning = nap.compute_tuning_curves(spikes.restrict(sweep), current, bins=15)[0].values
    model = nmo.glm.GLM(**SOLVER).fit(x[:, np.newaxis], counts)
    w, b = float(model.coef_[0]), float(model.intercept_[0])
    weights = np.round(np.arange(0, 10.01, 0.1), 1)
    n_spikes, weighted_count = int(counts.sum()), float(x @ counts)
    return {
        "weights": weights.tolist(),
        "sums": [float(f"{np.exp(weight * x).sum():.7g}") for weight in weights],
        "nSpikes": n_spikes,
        "weightedCount": weighted_count,
        "binSize": BIN_S,
        "edges": np.linspace(0, float(current.max()), 16).round(3).tolist(),
        "observed": tuning.round(3).tolist(),
        "best": {
            "w": w,
            "b": b,
            "logLikelihood": n_spikes * b + weighted_count * w - float(np.exp(b + w * x).sum()),
        },
    }
