"""Get the course's data: download, verify, or simulate when the network cannot deliver."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workshop_utils.download import DownloadError, download, probe

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
PROBE_S = 3.0
#: Seconds that one process waits for another that downloads the same file.
LOCK_S = 1800.0


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
    size : int, optional
        Number of bytes, where known.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    holds: str
    licence: str
    citation: str
    size: int | None = None


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

    Three environment variables change this. ``WORKSHOP_DATA_SOURCE`` is ``auto`` (the
    default, as above), ``recorded`` (never simulate) or ``simulated`` (never download).
    ``WORKSHOP_DATA_DIR`` is the cache folder. ``WORKSHOP_DATA_MIRROR`` is the http or https
    address of a folder that is asked first, for example on a server in the classroom.

    A download that was interrupted continues where it stopped. Processes that ask at the same
    time download once.

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
        If `name`, ``WORKSHOP_DATA_SOURCE`` or ``WORKSHOP_DATA_MIRROR`` is not a valid one.
    DataError
        If the recording is asked for and no address delivers it, or if the cache folder holds
        no file and cannot be written to.
    """
    if name not in DATASETS:
        known = ", ".join(DATASETS)
        raise ValueError(f"There is no data set named {name!r}. Known names: {known}.")
    source = os.environ.get("WORKSHOP_DATA_SOURCE") or "auto"
    if source not in SOURCES:
        raise ValueError(
            f"WORKSHOP_DATA_SOURCE is {source!r}, but must be one of: {', '.join(SOURCES)}."
        )
    folder = cache_folder()
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


def cache_folder() -> Path:
    """Return the folder of the cache; it need not exist."""
    import pooch

    chosen = os.environ.get("WORKSHOP_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("spikes-to-models"))


def _recorded(dataset: Dataset, folder: Path) -> Path:
    """Return the verified recording, from the cache or from the first address that delivers."""
    path = folder / dataset.name
    if _verified(path, dataset):
        return path
    with _locked(folder, dataset.name):
        if _verified(path, dataset):  # another process has brought it meanwhile
            return path
        reasons = []
        for url in _addresses(dataset):
            try:
                probe(url, PROBE_S)
                _deliver(url, path, dataset)
            except DownloadError as error:
                reasons.append(f"{url}: {error}")
            else:
                return path
    raise DataError(
        f"{dataset.name} could not be downloaded.\n"
        + "\n".join(f"- {reason}" for reason in reasons)
        + f"\nCheck the network, or copy the file from a colleague to {folder}."
    )


def _addresses(dataset: Dataset) -> list[str]:
    """Return where to ask for a file: the mirror first, if one is set."""
    mirror = os.environ.get("WORKSHOP_DATA_MIRROR")
    if not mirror:
        return list(dataset.urls)
    if not mirror.startswith(("http://", "https://")):
        raise ValueError(
            f"WORKSHOP_DATA_MIRROR is {mirror!r}, but must be the http(s) address of a folder."
        )
    return [f"{mirror.rstrip('/')}/{dataset.name}", *dataset.urls]


def _deliver(url: str, path: Path, dataset: Dataset) -> None:
    """Download to `path`; only a file with the right checksum ever gets that name."""
    import pooch

    part = path.with_name(f".{path.name}.part")
    for beginning in (part.exists(), False):
        download(url, part, size=dataset.size)
        if pooch.file_hash(part) == dataset.sha256:
            break
        part.unlink()
        if not beginning:  # else: what was left from an earlier time may have been wrong
            raise DownloadError(
                "what arrived is not the recording (wrong checksum); it was thrown away"
            )
    part.replace(path)
    _remember(path, dataset)


def _verified(path: Path, dataset: Dataset) -> bool:
    """Tell whether `path` holds the data set. Its content is hashed once, not at every call."""
    import pooch

    if not path.exists():
        return False
    try:
        if json.loads(_memory(path).read_text(encoding="utf-8")) == _fingerprint(path, dataset):
            return True
    except (OSError, ValueError):  # no such note, or a damaged one: hash
        pass
    if pooch.file_hash(path) != dataset.sha256:
        return False
    with contextlib.suppress(OSError):  # a shared folder may be read-only
        _remember(path, dataset)
    return True


def _memory(path: Path) -> Path:
    """Return where it is noted that the content of `path` was hashed."""
    return path.with_name(f".{path.name}.verified")


def _fingerprint(path: Path, dataset: Dataset) -> dict[str, str | int]:
    """Return what changes when the content of a file is changed."""
    state = path.stat()
    return {"sha256": dataset.sha256, "size": state.st_size, "mtime_ns": state.st_mtime_ns}


def _remember(path: Path, dataset: Dataset) -> None:
    """Note that the content of `path` has the right checksum."""
    _memory(path).write_text(json.dumps(_fingerprint(path, dataset)), encoding="utf-8")


@contextlib.contextmanager
def _locked(folder: Path, name: str) -> Iterator[None]:
    """Let one process at a time write `name`; the others wait. A killed one lets go."""
    from filelock import FileLock, Timeout

    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / f".{name}.lock", timeout=LOCK_S)
        lock.acquire()
    except Timeout:
        raise DataError(
            f"Another process has been busy with {name} in {folder} for "
            f"{LOCK_S / 60:.0f} minutes. End it, or set WORKSHOP_DATA_DIR to another folder."
        ) from None
    except OSError as error:
        raise DataError(
            f"{name} is not in {folder}, and nothing can be written there ({error.strerror}). "
            "Whoever owns that folder can put the file into it with:\n"
            f"  WORKSHOP_DATA_DIR={folder} make data\n"
            "Or set WORKSHOP_DATA_DIR to a folder of your own."
        ) from error
    try:
        yield
    finally:
        lock.release()


def _simulated(name: str, folder: Path, reason: str) -> Path:
    """Return the stand-in for `name`, made if it is not in the cache, and print a notice."""
    from workshop_utils import simulate

    # A new simulator makes a new file: the folder is named after the simulator's code.
    code = hashlib.sha256(Path(simulate.__file__).read_bytes()).hexdigest()[:8]
    path = folder / f"simulated-{code}" / f"{Path(name).stem}_simulated.nwb"
    if not path.exists():
        with _locked(folder, path.name):
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
