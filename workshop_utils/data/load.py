"""Open the data with pynapple."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from workshop_utils.data.fetch import fetch_data, packaged
from workshop_utils.data.provenance import provenance, refuse_simulated
from workshop_utils.data.registry import DATASETS

if TYPE_CHECKING:
    import pynapple as nap

__all__ = ["load_data", "load_grasshopper"]


def load_data(name_or_path: str | os.PathLike) -> nap.NWBFile:
    """Open an NWB file with pynapple; what is returned knows where the data are from.

    The same as ``pynapple.load_file(fetch_data(name))``, with the attribute ``provenance``, and
    a time series is built anew at each access, so that what is not kept is freed.

    Parameters
    ----------
    name_or_path : str or path-like
        One of `DATASETS`, which is fetched if need be, or the path of an NWB file.

    Returns
    -------
    pynapple.NWBFile
        Maps the names in the file to pynapple objects; ``provenance`` is a `Provenance`.

    Raises
    ------
    FileNotFoundError
        If `name_or_path` is neither.
    ValueError
        If it names one of the text files of the grasshopper.
    DataError
        If the file holds simulated data while ``WORKSHOP_DATA_SOURCE`` is ``recorded``, or if
        `fetch_data` fails.
    """
    import pynapple as nap

    name_or_path = str(name_or_path)
    if name_or_path in DATASETS and DATASETS[name_or_path].package:
        raise ValueError(f"{name_or_path} is not an NWB file. Use load_grasshopper.")
    path = fetch_data(name_or_path) if name_or_path in DATASETS else Path(name_or_path)
    if not path.is_file():
        raise FileNotFoundError(
            f"{name_or_path} is neither a file nor a data set of the course. "
            f"Known names: {', '.join(DATASETS)}."
        )
    origin = provenance(path)
    refuse_simulated(origin)
    if name_or_path not in DATASETS:
        print(origin)
    data = nap.load_file(str(path))
    data.data = _Contents(data.data)
    data.provenance = origin
    return data


class _Contents(dict):
    """What pynapple found in a file, without keeping the series that it builds of it.

    The times of one series of the whole recording fill 91 MB; a chapter needs a part of them.
    """

    def __setitem__(self, key, value):
        import pynapple as nap

        if not isinstance(value, nap.Tsd):
            super().__setitem__(key, value)


def load_grasshopper(stimulus: int = 1) -> tuple[nap.TsGroup, nap.Tsd]:
    """Load a recorded auditory receptor of a locust; the data are installed with nitime.

    Ten seconds of a pure tone whose level is a Gaussian noise with a standard deviation of
    6 dB, and the spikes of one receptor neuron of *Locusta migratoria*, recorded
    intracellularly. Both sounds were played to the same cell.

    Parameters
    ----------
    stimulus : {1, 2}
        1: noise up to 200 Hz (929 spikes); 2: up to 800 Hz (868 spikes).

    Returns
    -------
    spikes : pynapple.TsGroup
        One neuron, spike times in seconds, and where it is from.
    envelope : pynapple.Tsd
        Shape ``(200000,)``: sound level in dB SPL, sampled at 20 kHz, times in seconds.

    Raises
    ------
    ValueError
        If `stimulus` is not 1 or 2.
    DataError
        If the package nitime is not installed, or if its files are not those of the course
        (wrong checksum).

    Notes
    -----
    Source: Rokem et al. (2006) J Neurophysiol 95:2541-2552, doi:10.1152/jn.00891.2005,
    distributed with nitime (BSD-3-Clause). The files hold the amplitude relative to its
    maximum; 20 log10(amplitude) plus the level in the header of the spike file gives dB SPL.
    """
    if stimulus not in (1, 2):
        raise ValueError(f"stimulus is {stimulus!r}, but must be 1 (to 200 Hz) or 2 (to 800 Hz).")
    times = fetch_data(f"grasshopper_spike_times{stimulus}.txt")
    stimulus_path = packaged(DATASETS[f"grasshopper_stimulus{stimulus}.txt"])
    import numpy as np
    import pandas as pd
    import pynapple as nap

    lines = times.read_text(encoding="utf-8").splitlines()
    header = [line for line in lines if line.startswith("# intensity (dB):")]
    level_db = float(header[0].split(":")[1])
    spike_us = np.loadtxt(times)
    sound = pd.read_csv(stimulus_path, sep=r"\s+", header=None).to_numpy()
    amplitude = sound[:, 1] / sound[:, 1].max()
    envelope = nap.Tsd(t=sound[:, 0] * 1e-6, d=level_db + 20 * np.log10(amplitude))
    spikes = nap.TsGroup(
        {0: nap.Ts(spike_us * 1e-6)},
        time_support=envelope.time_support,
        metadata={"kind": ["recorded"], "source": ["nitime"]},
    )
    return spikes, envelope
