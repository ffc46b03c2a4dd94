"""The helper package as a whole, its figures, and the checks before the installation."""

import subprocess
import sys

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pynapple as nap
import pytest
from toc import ROOT

import workshop_utils
from workshop_utils import plot_pulses, plot_spikes, plot_tuning

matplotlib.use("Agg")
sys.path.insert(0, str(ROOT / "book"))


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_import_is_quiet_and_light():
    code = """
import os, socket, sys
before = dict(os.environ)
socket.socket.connect = None
import workshop_utils
assert dict(os.environ) == before
heavy = {"jax", "nemos", "numba", "pynapple", "pynwb", "matplotlib", "requests"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_all_is_public_and_documented():
    for name in workshop_utils.__all__:
        thing = getattr(workshop_utils, name)
        assert isinstance(thing, dict) or thing.__doc__, name


def test_plot_spikes_marks_every_spike():
    spikes = nap.Ts([0.1, 0.5, 0.9])
    ax = plot_spikes(spikes)
    segments = ax.collections[0].get_segments()
    assert [segment[0][0] for segment in segments] == [0.1, 0.5, 0.9]


def test_plots_draw_where_they_are_told():
    _, ax = plt.subplots()
    assert plot_spikes(nap.Ts([0.1, 0.2]), ax=ax) is ax


def test_plot_tuning():
    current = nap.Tsd(t=np.arange(1000) / 1000, d=np.linspace(0, 100, 1000))
    spikes = nap.TsGroup({0: nap.Ts([0.6, 0.8, 0.9])}, time_support=current.time_support)
    tuning = nap.compute_tuning_curves(spikes, current, bins=5, feature_names=["current"])[0]
    ax = plot_tuning(tuning, models={"a model": tuning}, error_hz=np.ones(5))
    assert [bar.get_height() for bar in ax.patches] == pytest.approx(list(tuning.values))
    assert ax.get_xlabel() == "Injected current (pA)"
    assert ax.get_ylabel() == "Firing rate (Hz)"
    labels = {text.get_text() for text in ax.get_legend().get_texts()}
    assert labels == {"observed", "a model"}


def test_plot_pulses():
    time = np.arange(0, 10, 0.01)
    signal = nap.Tsd(t=time, d=np.sin(time) + 1)
    pulses = nap.IntervalSet([1, 4, 7], [2, 5, 8])
    models = {"one": signal, "two": signal * 0.5}
    fig = plot_pulses(signal, nap.Ts([1.5, 4.5]), pulses, signal, models)
    titles = {ax.get_title(): ax for ax in fig.axes}
    assert {"pulse 1", "pulse 2", "pulse 3"} <= set(titles)
    assert len(titles["pulse 1"].lines) == 3, "observed and two models"
    _, one, two = titles["pulse 1"].lines
    assert one.get_color() != two.get_color()
    assert one.get_linestyle() != two.get_linestyle(), "to be told apart without colours"
    assert all(ax.get_xlabel() for name, ax in titles.items() if name)


def test_lock_names_no_package_registry():
    for name in ("requirements.txt", "requirements-gpu.txt"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        assert "index-url" not in text
        assert text.count("--hash=sha256:") > 500
