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
    "DataError",
    "Dataset",
    "Provenance",
    "StreamedRecording",
    "StreamedSeries",
    "fetch_data",
    "is_simulated",
    "load_data",
    "load_grasshopper",
    "plot_pulses",
    "plot_spikes",
    "plot_tuning",
    "provenance",
    "serve_folder",
    "simulate_recording",
    "stream_data",
]


def __getattr__(name: str):
    """Import the simulator only when it is used: it needs NumPy, and `check` must not."""
    if name == "simulate_recording":
        from workshop_utils.simulate import simulate_recording

        return simulate_recording
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
