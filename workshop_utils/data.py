"""Get the course's data: download, verify, or simulate when the network cannot deliver."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pynapple as nap

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "fetch_data",
    "is_simulated",
    "load_grasshopper",
]

SOURCES = ("auto", "recorded", "simulated")
#: Seconds that one address gets to answer before the next is tried.
PROBE_S = 4.0


class DataError(RuntimeError):
    """A data set could not be had; the message says what was tried and what to do."""


@dataclass(frozen=True)
class Dataset:
    """One file of the course.

    Attributes
    ----------
    name : str
        File name, unique.
    sha256 : str
        Checksum of the recorded file.
    urls : tuple of str
        Addresses, tried in this order.
    holds : str
        What is in the file.
    licence : str
        Terms of use.
    citation : str
        What to cite.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    holds: str
    licence: str
    citation: str


DATASETS = {
    d.name: d
    for d in (
        Dataset(
            name="allen_478498617.nwb",
            sha256="262393d7485a5b39cc80fb55011dcf21f86133f13d088e35439c2559fd4b49fa",
            urls=("https://osf.io/download/vf2nj/", "https://osf.io/vf2nj/download"),
            holds=(
                "Whole-cell patch-clamp recording of one neuron (specimen 478498617), mouse "
                "primary visual cortex, layer 4: injected current, membrane potential, spikes."
            ),
            licence="Allen Institute terms of use, https://alleninstitute.org/terms-of-use",
            citation=(
                "Allen Institute for Brain Science (2020) Allen Cell Types Database - Mouse "
                "Patch-seq; Gouwens, Sorensen et al. (2020) Cell 183(4):935-953, "
                "doi:10.1016/j.cell.2020.09.057"
            ),
        ),
    )
}


def fetch_data(name: str) -> Path:
    """Return the path of a data file on this computer; download or simulate it if need be.

    The recorded file is taken from the cache, else downloaded and verified. When the
    network cannot deliver it, a simulated stand-in with the same layout is made instead,
    under another file name, and a notice on standard output says so and why.

    Two environment variables change this. ``WORKSHOP_DATA_SOURCE`` is ``auto`` (the
    default, as above), ``recorded`` (never simulate) or ``simulated`` (never download).
    ``WORKSHOP_DATA_DIR`` is the cache folder.

    Parameters
    ----------
    name : str
        One of `DATASETS`.

    Returns
    -------
    pathlib.Path
        The file. `is_simulated` tells which kind it is.

    Raises
    ------
    ValueError
        If `name` or ``WORKSHOP_DATA_SOURCE`` is not a known one.
    DataError
        If the recording is asked for and no address delivers it.
    """
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise ValueError(f"There is no data set named {name!r}. Known names: {known}.")
    source = os.environ.get("WORKSHOP_DATA_SOURCE") or "auto"
    if source not in SOURCES:
        raise ValueError(
            f"WORKSHOP_DATA_SOURCE is {source!r}, but must be one of: {', '.join(SOURCES)}."
        )
    folder = _cache_folder()
    if source == "simulated":
        return _simulated(name, folder, "WORKSHOP_DATA_SOURCE=simulated asks for it.")
    try:
        path = _recorded(DATASETS[name], folder)
    except DataError as error:
        if source == "recorded":
            raise
        return _simulated(name, folder, str(error))
    print(f"Recorded data: {path.name} (checksum verified)")
    return path


def is_simulated(path: str | os.PathLike) -> bool:
    """Tell whether an NWB file holds the simulated stand-in, from what the file says itself.

    Parameters
    ----------
    path : str or path-like
        An NWB file.

    Returns
    -------
    bool
        True if the file's session description begins with "SIMULATED".
    """
    import h5py

    with h5py.File(path, "r") as file:
        return file["session_description"].asstr()[()].startswith("SIMULATED")


def load_grasshopper(stimulus: int = 1) -> tuple[nap.TsGroup, nap.Tsd]:
    """Load a recorded auditory receptor of a locust; the data come with the package nitime.

    Ten seconds of a pure tone whose amplitude follows a Gaussian noise, and the spikes of
    one receptor neuron of *Locusta migratoria*, recorded intracellularly.

    Parameters
    ----------
    stimulus : {1, 2}
        1: amplitude noise up to 200 Hz (929 spikes); 2: up to 800 Hz (868 spikes).

    Returns
    -------
    spikes : pynapple.TsGroup
        One neuron, spike times in seconds.
    envelope : pynapple.Tsd
        Shape ``(200000,)``: sound level in dB SPL, sampled at 20 kHz, times in seconds.

    Raises
    ------
    ValueError
        If `stimulus` is not 1 or 2.
    DataError
        If the package nitime, which carries the files, is not installed.

    Notes
    -----
    Source: Rokem et al. (2006) J Neurophysiol 95:2541-2552, doi:10.1152/jn.00891.2005,
    distributed with nitime (BSD-3-Clause). The files hold the amplitude relative to its
    maximum; 20 log10(amplitude) plus the level in the header of the spike file gives dB SPL.
    """
    if stimulus not in (1, 2):
        raise ValueError(f"stimulus is {stimulus!r}, but must be 1 (to 200 Hz) or 2 (to 800 Hz).")
    spec = importlib.util.find_spec("nitime")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "The grasshopper data come with the package nitime, which is not installed here. "
            "Type: pip install nitime"
        )
    import numpy as np
    import pandas as pd
    import pynapple as nap

    folder = Path(spec.submodule_search_locations[0], "data")
    header = [
        line
        for line in (folder / f"grasshopper_spike_times{stimulus}.txt").read_text().splitlines()
        if line.startswith("# intensity (dB):")
    ]
    level_db = float(header[0].split(":")[1])
    spike_us = np.loadtxt(folder / f"grasshopper_spike_times{stimulus}.txt")
    sound = pd.read_csv(
        folder / f"grasshopper_stimulus{stimulus}.txt", sep=r"\s+", header=None
    ).to_numpy()
    amplitude = sound[:, 1] / sound[:, 1].max()
    envelope = nap.Tsd(t=sound[:, 0] * 1e-6, d=level_db + 20 * np.log10(amplitude))
    spikes = nap.TsGroup({0: nap.Ts(spike_us * 1e-6)}, time_support=envelope.time_support)
    return spikes, envelope


def _cache_folder() -> Path:
    """Return the folder of the cache; it need not exist."""
    import pooch

    chosen = os.environ.get("WORKSHOP_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("spikes-to-models"))


def _recorded(dataset: Dataset, folder: Path) -> Path:
    """Return the verified recording, from the cache or from the first address that delivers."""
    import pooch

    path = folder / dataset.name
    if path.exists() and pooch.file_hash(path) == dataset.sha256:
        return path
    pooch.get_logger().setLevel("WARNING")  # its notes would land on stderr
    reasons = []
    for url in dataset.urls:
        try:
            _probe(url, PROBE_S)
            # A progress bar writes to stderr: for people at a terminal, not for pages.
            downloader = pooch.HTTPDownloader(
                progressbar=sys.stderr.isatty(), timeout=(PROBE_S, 30)
            )
            data = pooch.create(
                path=folder,
                base_url="",
                registry={dataset.name: f"sha256:{dataset.sha256}"},
                urls={dataset.name: url},
                retry_if_failed=2,
            )
            data.fetch(dataset.name, downloader=downloader)
        except (OSError, ValueError) as error:
            reasons.append(f"{url}: {_explain(error)}")
        else:
            path.chmod(0o644)  # pooch leaves 0600, useless in a shared folder
            return path
    raise DataError(
        f"{dataset.name} could not be downloaded.\n"
        + "\n".join(f"- {reason}" for reason in reasons)
        + f"\nCheck the network, or copy the file from a colleague to {folder}."
    )


def _probe(url: str, seconds: float) -> None:
    """Raise unless `url` begins to answer within `seconds`.

    A thread, because the time a name look-up takes cannot be limited otherwise.
    """
    import requests

    outcome: list[BaseException | None] = []

    def ask() -> None:
        try:
            with requests.get(url, stream=True, timeout=seconds) as response:
                response.raise_for_status()
            outcome.append(None)
        except Exception as error:  # handed to the caller below
            outcome.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise TimeoutError(f"no answer within {seconds:.0f} s")
    if outcome[0] is not None:
        raise outcome[0]


def _explain(error: BaseException) -> str:
    """Say in a few words why a download failed."""
    import requests

    text = str(error)
    if isinstance(error, requests.HTTPError):
        return f"the server answered {error.response.status_code} {error.response.reason}"
    if "NameResolutionError" in text or "getaddrinfo" in text or "resolve" in text:
        return "the server's name could not be found (is there a network?)"
    if isinstance(error, (requests.Timeout, TimeoutError)):
        return "no answer in time"
    if "does not match the known hash" in text:
        return "what arrived is not the recording (wrong checksum); it was thrown away"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    return f"{type(error).__name__}: {text}"


def _simulated(name: str, folder: Path, reason: str) -> Path:
    """Return the stand-in for `name`, made if it is not in the cache, and print a notice."""
    from workshop_utils import simulate

    # A new simulator makes a new file: the folder is named after the simulator's code.
    code = hashlib.sha256(Path(simulate.__file__).read_bytes()).hexdigest()[:8]
    path = folder / f"simulated-{code}" / f"{Path(name).stem}_simulated.nwb"
    if not path.exists():
        simulate.simulate_recording(path)
    print(
        _box(
            "SIMULATED DATA: these are not a recording.",
            f"You work on {path.name}, the stand-in for {name}: a model neuron with the "
            "parameters published for this cell.",
            f"Why: {reason}",
        )
    )
    return path


def _box(*paragraphs: str) -> str:
    """Return the paragraphs in a frame of 78 columns, each line of them wrapped."""
    lines = [
        wrapped
        for paragraph in paragraphs
        for line in paragraph.splitlines()
        for wrapped in textwrap.wrap(line, 74) or [""]
    ]
    edge = "=" * 78
    return "\n".join([edge, *(f"  {line}" for line in lines), edge])
