"""Get a data file: from the cache, from the network, or simulated where there is none."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import os
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path

from workshop_utils.data.errors import DataError, DownloadError
from workshop_utils.data.http import download
from workshop_utils.data.provenance import data_source
from workshop_utils.data.registry import DATASETS, Dataset

__all__ = ["cache_folder", "candidate_urls", "fetch_data", "packaged"]

#: Seconds that one process waits for another that downloads the same file.
LOCK_S = 1800.0
#: Seconds after which it says that it waits.
ANNOUNCE_S = 2.0
#: Bytes that the simulation of the recording needs on the disk. HDF5 crashes on a full one.
STAND_IN_BYTES = 30e6


def fetch_data(name: str) -> Path:
    """Return the path of a data file on this computer; download or simulate it if need be.

    The recorded file is taken from the cache, else downloaded and verified. When the
    network cannot deliver it, a simulated stand-in with the same layout is made instead,
    under another file name, and a notice on standard output says so and why.

    Three environment variables change this. ``WORKSHOP_DATA_SOURCE`` is ``auto`` (the
    default, as above), ``recorded`` (never simulate) or ``simulated`` (never download).
    ``WORKSHOP_DATA_DIR`` is the cache folder. ``WORKSHOP_DATA_MIRROR`` is the http or https
    URL of a folder that is tried first, for example on a server in the classroom.

    A download that was interrupted continues where it stopped. Processes that ask at the same
    time download once.

    Parameters
    ----------
    name : str
        One of `DATASETS`.

    Returns
    -------
    pathlib.Path
        The file. `provenance` tells whether it is recorded or simulated.

    Raises
    ------
    ValueError
        If `name`, ``WORKSHOP_DATA_SOURCE`` or ``WORKSHOP_DATA_MIRROR`` is not a valid one.
    DataError
        If the recording is asked for and no URL delivers it, or if the file is not in the cache
        folder and cannot be written there.
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
        return _stand_in(name, folder, "WORKSHOP_DATA_SOURCE=simulated asks for it.")
    else:
        try:
            path = _recording(dataset, folder)
        except DataError as error:
            if source == "recorded":
                raise
            return _stand_in(name, folder, str(error))
    print(f"Recorded data: {path.name} (checksum verified)")
    return path


def cache_folder() -> Path:
    """Return the folder of the cache; it need not exist."""
    import pooch

    chosen = os.environ.get("WORKSHOP_DATA_DIR")
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("spikes-to-models"))


def packaged(dataset: Dataset) -> Path:
    """Return a verified file that is installed with a Python package."""
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


def candidate_urls(dataset: Dataset) -> list[str]:
    """Return the URLs to try: the mirror's first, if one is set."""
    mirror = os.environ.get("WORKSHOP_DATA_MIRROR")
    if not mirror:
        return list(dataset.urls)
    if not mirror.lower().startswith(("http://", "https://")):
        raise ValueError(
            f"WORKSHOP_DATA_MIRROR is {mirror!r}, but must be the http(s) URL of a folder."
        )
    return [f"{mirror.rstrip('/')}/{dataset.name}", *dataset.urls]


def _recording(dataset: Dataset, folder: Path) -> Path:
    """Return the verified recording, from the cache or from the first URL that delivers it."""
    path = folder / dataset.name
    try:
        if _has_checksum(path, dataset.sha256):
            return path
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror}). Whoever owns it can type:\n"
            f"  chmod -R a+rX {folder}\n"
            "Or set WORKSHOP_DATA_DIR to a folder of your own."
        ) from error
    with _locked(folder, dataset.name):
        if _has_checksum(path, dataset.sha256):  # another process has downloaded it meanwhile
            return path
        reasons = []
        for url in candidate_urls(dataset):
            try:
                _deliver(url, path, dataset)
            except DownloadError as error:
                reasons.append(f"{without_credentials(url)}: {error}")
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


def without_credentials(url: str) -> str:
    """Return a URL without user name, password and query, which may be secret."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "(a URL that makes no sense)"
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _deliver(url: str, path: Path, dataset: Dataset) -> None:
    """Download to `path`; only a file with the right checksum ever gets that name."""
    part = path.with_name(f".{path.name}.part")
    for beginning in (part.exists(), False):
        download(url, part)
        if _has_checksum(part, dataset.sha256):
            break
        part.unlink()
        if not beginning:  # else: what was left from an earlier time may have been wrong
            raise DownloadError(
                "what arrived is not the recording (wrong checksum); it was deleted"
            )
    part.replace(path)


def _has_checksum(path: Path, sha256: str) -> bool:
    """Tell whether a file is there and has the right content."""
    import pooch

    return path.exists() and pooch.file_hash(path) == sha256


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


def _stand_in(name: str, folder: Path, reason: str) -> Path:
    """Return the stand-in for `name`, made if it is not in the cache, and print a notice."""
    from workshop_utils.data import stand_in

    # A new simulator makes a new file: the folder is named after the simulator's code.
    code = hashlib.sha256(Path(stand_in.__file__).read_bytes()).hexdigest()[:8]
    path = folder / f"simulated-{code}" / f"{Path(name).stem}_simulated.nwb"
    if not _is_intact(path):
        with _locked(folder, path.name):
            if not _is_intact(path):
                _simulate(path)
    print(
        _box(
            f"SIMULATED DATA: {path.name} is not a recording.",
            f"It is the stand-in for {name}: a model neuron, mostly with the "
            "parameters published for this cell.",
            f"Why: {reason}",
        )
    )
    return path


def _simulate(path: Path) -> None:
    """Make the stand-in, and note its checksum beside it."""
    import pooch

    from workshop_utils.data.stand_in import simulate_recording

    path.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(path.parent).free
    if free < STAND_IN_BYTES:
        raise DataError(
            f"The disk that holds {path.parent} is full: {free / 1e6:.0f} MB are free, and the "
            f"simulated recording needs {STAND_IN_BYTES / 1e6:.0f}. Free some space, or set "
            "WORKSHOP_DATA_DIR to a folder on another disk."
        )
    simulate_recording(path)
    _note(path).write_text(pooch.file_hash(path), encoding="utf-8")


def _note(path: Path) -> Path:
    return path.with_suffix(".sha256")


def _is_intact(path: Path) -> bool:
    """Tell whether a stand-in is there as it was made."""
    try:
        return _has_checksum(path, _note(path).read_text(encoding="utf-8"))
    except OSError:
        return False


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
