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
from typing import TYPE_CHECKING, Literal

from workshop_utils.download import DownloadError, download, probe

if TYPE_CHECKING:
    import h5py
    import pynapple as nap

__all__ = [
    "DATASETS",
    "DataError",
    "Dataset",
    "Provenance",
    "fetch_data",
    "is_simulated",
    "load_data",
    "load_grasshopper",
    "provenance",
]

SOURCES = ("auto", "recorded", "simulated")
#: Seconds that one address gets to answer before the next is tried.
PROBE_S = 3.0
#: Seconds that one process waits for another that downloads the same file.
LOCK_S = 1800.0
#: Seconds after which it says that it waits.
ANNOUNCE_S = 2.0


class DataError(RuntimeError):
    """A data set could not be had; the message says what was tried and what to do."""


@dataclass(frozen=True)
class Provenance:
    """Where data are from.

    Attributes
    ----------
    kind : {"recorded", "simulated"}
        Whether they were measured on a neuron or computed with a model.
    name : str
        Name of the file.
    source : str
        Where it is, or where it was brought from.
    sha256 : str or None
        Checksum of the file. None for a file that is read in pieces from a server.
    citation : str
        What to cite; empty if the file does not say.
    """

    kind: Literal["recorded", "simulated"]
    name: str
    source: str
    sha256: str | None
    citation: str

    def __str__(self) -> str:
        """Return one line that a reader is shown."""
        if self.kind == "simulated":
            return f"SIMULATED DATA: {self.name} is not a recording."
        checked = "read in pieces" if self.sha256 is None else f"SHA-256 {self.sha256[:8]}…"
        return f"Recorded data: {self.name} ({checked})"


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
    package : str, optional
        The Python package that carries the file, if one does; there are no addresses then.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    holds: str
    licence: str
    citation: str
    size: int | None = None
    package: str | None = None


def _grasshopper(name: str, size: int, sha256: str, holds: str) -> Dataset:
    """Return a file of the recorded receptor neurons, which the package nitime carries."""
    return Dataset(
        name=name,
        sha256=sha256,
        urls=(),
        holds=f"{holds} Auditory receptor of a locust (Locusta migratoria), intracellular, 10 s.",
        licence="BSD 3-clause, distributed with nitime",
        citation="Rokem et al. (2006) J Neurophysiol 95:2541-2552, doi:10.1152/jn.00891.2005",
        size=size,
        package="nitime",
    )


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
        _grasshopper(
            "grasshopper_stimulus1.txt",
            3627459,
            "4b47a4cbca8c5f694f87dd510db608a868dffbaba96845199c8afa545a4c37fa",
            "Time (µs) and amplitude of a sound that changes up to 200 times a second.",
        ),
        _grasshopper(
            "grasshopper_spike_times1.txt",
            7695,
            "840014ad9a8f591d02ab108bcbd46715badb3459e0ef7eac95fdd661ff134e3d",
            "Times (µs) of the 929 spikes during that sound.",
        ),
        _grasshopper(
            "grasshopper_stimulus2.txt",
            3627474,
            "69f257a8e7a5019897111b07f9cd317b136357d256e99682d40c09d5add18e6a",
            "Time (µs) and amplitude of a sound that changes up to 800 times a second.",
        ),
        _grasshopper(
            "grasshopper_spike_times2.txt",
            7216,
            "389e5dccb709fbe0552589ff2e0b64e15d46665e4d2d4172071f2175c8641541",
            "Times (µs) of the 868 spikes during that sound.",
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
    dataset = DATASETS[name]
    source = data_source()
    folder = cache_folder()
    if dataset.package:
        path = packaged(dataset)
    elif source == "simulated":
        return _simulated(name, folder, "WORKSHOP_DATA_SOURCE=simulated asks for it.")
    else:
        try:
            path = _recorded(dataset, folder)
        except DataError as error:
            if source == "recorded":
                raise
            return _simulated(name, folder, str(error))
    print(f"Recorded data: {path.name} (checksum verified)")
    return path


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

    if name_or_path in DATASETS and DATASETS[name_or_path].package:
        raise ValueError(f"{name_or_path} is not an NWB file. Use load_grasshopper.")
    path = fetch_data(str(name_or_path)) if name_or_path in DATASETS else Path(name_or_path)
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


def provenance(path: str | os.PathLike) -> Provenance:
    """Tell where an NWB file is from: by its checksum, and by what it says of itself.

    Parameters
    ----------
    path : str or path-like
        An NWB file.

    Returns
    -------
    Provenance
        A file with the checksum of a data set of the course is described as that.
    """
    import h5py
    import pooch

    path = Path(path)
    known = DATASETS.get(path.name)
    if known and not known.package and _verified(path, known):  # hashed once, not at every call
        sha256 = known.sha256
    else:
        sha256 = pooch.file_hash(path)
    for dataset in DATASETS.values():
        if dataset.sha256 == sha256:
            source = dataset.package or dataset.urls[0]
            return Provenance("recorded", path.name, source, sha256, dataset.citation)
    with h5py.File(path, "r") as file:
        return described(file, path.name, str(path), sha256)


def described(file: h5py.File, name: str, source: str, sha256: str | None) -> Provenance:
    """Return what an open NWB file says of its own provenance."""
    simulated = file["session_description"].asstr()[()].startswith("SIMULATED")
    papers = file.get("general/related_publications")
    citation = "" if papers is None else "; ".join(papers.asstr()[...].ravel())
    return Provenance("simulated" if simulated else "recorded", name, source, sha256, citation)


def refuse_simulated(origin: Provenance) -> None:
    """Raise if the data are simulated and a recording is asked for."""
    if origin.kind == "simulated" and data_source() == "recorded":
        raise DataError(
            f"{origin.name} ({origin.source}) holds simulated data, and "
            "WORKSHOP_DATA_SOURCE=recorded asks for a recording. "
            "Set it to auto or simulated to work with this file."
        )


def data_source() -> str:
    """Return where data may come from: "auto", "recorded" or "simulated"."""
    source = os.environ.get("WORKSHOP_DATA_SOURCE") or "auto"
    if source not in SOURCES:
        raise ValueError(
            f"WORKSHOP_DATA_SOURCE is {source!r}, but must be one of: {', '.join(SOURCES)}."
        )
    return source


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
        return described(file, "", "", None).kind == "simulated"


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
        One neuron, spike times in seconds, and where it is from.
    envelope : pynapple.Tsd
        Shape ``(200000,)``: sound level in dB SPL, sampled at 20 kHz, times in seconds.

    Raises
    ------
    ValueError
        If `stimulus` is not 1 or 2.
    DataError
        If the package nitime, which carries the files, is not installed, or if they are not the
        files of the course (wrong checksum).

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


def cache_folder() -> Path:
    """Return the folder of the cache; it need not exist."""
    import pooch

    chosen = os.environ.get("WORKSHOP_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("spikes-to-models"))


def packaged(dataset: Dataset) -> Path:
    """Return a verified file that an installed Python package carries."""
    import pooch

    spec = importlib.util.find_spec(dataset.package)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            f"{dataset.name} comes with the package {dataset.package}, which is not installed "
            f"here. Type: pip install {dataset.package}"
        )
    path = Path(spec.submodule_search_locations[0], "data", dataset.name)
    if not path.is_file() or pooch.file_hash(path) != dataset.sha256:
        raise DataError(
            f"{path} is missing, or not the file that the course was written for. "
            "Type: pip install --force-reinstall -r requirements.txt"
        )
    return path


def _recorded(dataset: Dataset, folder: Path) -> Path:
    """Return the verified recording, from the cache or from the first address that delivers."""
    path = folder / dataset.name
    if _verified(path, dataset):
        return path
    with _locked(folder, dataset.name):
        if _verified(path, dataset):  # another process has brought it meanwhile
            return path
        reasons = []
        for url in addresses(dataset):
            try:
                probe(url, PROBE_S)
                _deliver(url, path, dataset)
            except DownloadError as error:
                reasons.append(f"{url}: {error}")
            except OSError as error:  # of the disk, not of the network
                raise DataError(
                    f"{dataset.name} cannot be written to {folder} ({error}). Set "
                    "WORKSHOP_DATA_DIR to a folder of your own."
                ) from error
            else:
                return path
    raise DataError(
        f"{dataset.name} could not be downloaded.\n"
        + "\n".join(f"- {reason}" for reason in reasons)
        + f"\nCheck the network, or copy the file from a colleague to {folder}."
    )


def addresses(dataset: Dataset) -> list[str]:
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
        lock = FileLock(folder / f".{name}.lock")
        try:
            lock.acquire(timeout=ANNOUNCE_S)
        except Timeout:
            print(f"Another process is busy with {name}; waiting for it ...", flush=True)
            lock.acquire(timeout=LOCK_S)
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
            f"SIMULATED DATA: {path.name} is not a recording.",
            f"It is the stand-in for {name}: a model neuron with the "
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
