"""Helpers of the course "From spikes to models".

Importing this package opens no connection, prints nothing and changes no setting.
"""

from workshop_utils.data.errors import DataError
from workshop_utils.data.fetch import fetch_data
from workshop_utils.data.load import load_data, load_grasshopper
from workshop_utils.data.provenance import Provenance, provenance
from workshop_utils.data.registry import DATASETS, Dataset
from workshop_utils.plot import plot_pulses, plot_spikes, plot_tuning

__all__ = [
    "DATASETS",
    "BlockedSplit",
    "DataError",
    "Dataset",
    "Newton",
    "Provenance",
    "StreamedRecording",
    "StreamedSeries",
    "bits_per_spike",
    "check_answer",
    "fetch_data",
    "load_data",
    "load_grasshopper",
    "plot_pulses",
    "plot_spikes",
    "plot_tuning",
    "provenance",
    "register_newton",
    "rescale_intervals",
    "serve_folder",
    "simulate_recording",
    "stream_data",
]


_LAZY = {
    "BlockedSplit": "evaluate",
    "Newton": "newton",
    "StreamedRecording": "data.stream",
    "StreamedSeries": "data.stream",
    "bits_per_spike": "evaluate",
    "check_answer": "answers",
    "register_newton": "newton",
    "rescale_intervals": "evaluate",
    "serve_folder": "data.stream",
    "simulate_recording": "data.stand_in",
    "stream_data": "data.stream",
}


def __getattr__(name: str):
    """Import on first use what takes long or needs NumPy: `check` must run without it."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"workshop_utils.{_LAZY[name]}"), name)
