"""Figures that several chapters draw. Each function only draws: it computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pynapple as nap
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["plot_pulses", "plot_spikes", "plot_tuning"]

OBSERVED = "black"
#: Colour and line style of the first, second, … model: they differ in both.
MODEL_STYLES = (("#0072B2", "--"), ("#D55E00", "-"), ("#009E73", "-."))
#: Backgrounds of the first, second, … pulse, from light to dark.
PULSE_GREYS = ("0.93", "0.87", "0.80")


def plot_spikes(spikes: nap.Ts, *, height: float = 0.06, ax: Axes | None = None) -> Axes:
    """Mark spike times by short lines at the bottom of an axes.

    Parameters
    ----------
    spikes : pynapple.Ts
        Spike times in seconds, shape ``(n_spikes,)``.
    height : float
        Length of the marks as a fraction of the height of the axes.
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    ax.vlines(
        spikes.t, 0, height, transform=ax.get_xaxis_transform(), color=OBSERVED, linewidth=0.8
    )
    return ax


def plot_tuning(
    tuning: xr.DataArray,
    *,
    models: Mapping[str, xr.DataArray] | None = None,
    error_hz: np.ndarray | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw one neuron's tuning curve as bars, and the curves of models as lines.

    Parameters
    ----------
    tuning : xarray.DataArray
        Observed rate in Hz, shape ``(n_bins,)``, as ``compute_tuning_curves(…)[0]`` gives it;
        its coordinate is the feature, for example the current in pA.
    models : mapping of str to xarray.DataArray, optional
        Label and rate in Hz, shape ``(n_bins,)``, of each model.
    error_hz : ndarray, optional
        Uncertainty of the observed rate in Hz, shape ``(n_bins,)`` or ``(2, n_bins)``
        (below, above).
    ax : matplotlib Axes, optional
        Where to draw; a new figure by default.

    Returns
    -------
    matplotlib Axes
    """
    ax = _axes(ax)
    centres = tuning[tuning.dims[-1]].values
    width = centres[1] - centres[0]
    ax.bar(
        centres, tuning.values, 0.95 * width, yerr=error_hz, color="0.75", ecolor="0.3",
        label="observed",
    )  # fmt: skip
    for (label, model), (color, style) in zip((models or {}).items(), MODEL_STYLES, strict=False):
        ax.plot(centres, model.values, color=color, linestyle=style, label=label)
    ax.set(xlabel="Injected current (pA)", ylabel="Firing rate (Hz)")
    if models:
        ax.legend(frameon=False)
    return ax


def plot_pulses(
    current: nap.Tsd,
    spikes: nap.Ts,
    pulses: nap.IntervalSet,
    observed: nap.Tsd,
    models: Mapping[str, nap.Tsd] | None = None,
) -> Figure:
    """Draw a sweep: the current, the firing rates, and each pulse enlarged with its spikes.

    Parameters
    ----------
    current : pynapple.Tsd
        Injected current in pA, shape ``(n_samples,)``.
    spikes : pynapple.Ts
        Spike times in seconds, shape ``(n_spikes,)``.
    pulses : pynapple.IntervalSet
        The stretches to enlarge, one panel each (three at most).
    observed : pynapple.Tsd
        Smoothed observed firing rate in Hz, shape ``(n_bins,)``.
    models : mapping of str to pynapple.Tsd, optional
        Label and predicted firing rate in Hz, shape ``(n_bins,)``, of each model.

    Returns
    -------
    matplotlib Figure
    """
    import matplotlib.pyplot as plt

    curves = [("observed, smoothed", observed, OBSERVED, "-")] + [
        (label, rate, color, style)
        for (label, rate), (color, style) in zip(
            (models or {}).items(), MODEL_STYLES, strict=False
        )
    ]
    fig = plt.figure(figsize=(6.4, 6.6), layout="constrained")
    panels = [["current"] * len(pulses), ["rate"] * len(pulses), [*range(len(pulses))]]
    axes = fig.subplot_mosaic(panels, height_ratios=[2, 2, 3])
    axes["rate"].sharex(axes["current"])
    axes["current"].tick_params(labelbottom=False)

    axes["current"].plot(current.t, current.d, color="0.3", linewidth=0.8)
    axes["current"].set_ylabel("Current (pA)")
    axes["rate"].set(ylabel="Rate (Hz)", xlabel="Time (s)")
    for _, rate, color, style in curves:
        axes["rate"].plot(rate.t, rate.d, color=color, linestyle=style, linewidth=1)

    for i, grey in zip(range(len(pulses)), PULSE_GREYS, strict=False):
        start, end = pulses.start[i], pulses.end[i]
        for name in ("current", "rate"):
            axes[name].axvspan(start, end, color=grey, zorder=0)
        for label, rate, color, style in curves:
            part = rate.restrict(pulses[i])
            axes[i].plot(part.t, part.d, color=color, linestyle=style, label=label)
        plot_spikes(spikes.restrict(pulses[i]), ax=axes[i])
        axes[i].set(title=f"pulse {i + 1}", xlabel="Time (s)", facecolor=grey)
        axes[i].set_ylim(bottom=0)
        axes[i].margins(x=0)
    axes[0].set_ylabel("Rate (Hz)")
    handles, labels = axes[0].get_legend_handles_labels()
    # More columns would be wider than the figure.
    fig.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    return fig


def _axes(ax: Axes | None) -> Axes:
    """Return `ax`, or the axes of a new figure."""
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1] if ax is None else ax
