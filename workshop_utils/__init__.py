"""Helpers of the course "From spikes to models".

Importing this package opens no connection, prints nothing and changes no setting.
"""

from workshop_utils.data import (
    DATASETS,
    DataError,
    Dataset,
    Provenance,
    fetch_data,
    is_simulated,
    load_data,
    load_grasshopper,
    provenance,
)
from workshop_utils.plot import plot_pulses, plot_spikes, plot_tuning
from workshop_utils.stream import StreamedRecording, StreamedSeries, serve_folder, stream_data

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
    "is_simulated",
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


_LATE = {
    "BlockedSplit": "evaluate",
    "Newton": "newton",
    "bits_per_spike": "evaluate",
    "check_answer": "answers",
    "register_newton": "newton",
    "rescale_intervals": "evaluate",
    "simulate_recording": "simulate",
}


def __getattr__(name: str):
    """Import what needs NumPy only when it is used: `check` must run without."""
    if name not in _LATE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"workshop_utils.{_LATE[name]}"), name)
