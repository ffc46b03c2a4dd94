"""Where data are from: recorded or simulated, which file, what to cite."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from workshop_utils.data.errors import DataError
from workshop_utils.data.registry import DATASETS, Dataset

if TYPE_CHECKING:
    import h5py

__all__ = ["Provenance", "data_source", "provenance"]

SOURCES = ("auto", "recorded", "simulated")


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
        Its path or URL, or the URL or package that it is distributed with.
    sha256 : str or None
        Checksum of the file. None for a file that is streamed.
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
        checked = "streamed" if self.sha256 is None else f"SHA-256 {self.sha256[:8]}…"
        return f"Recorded data: {self.name} ({checked})"


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
    sha256 = pooch.file_hash(path)
    for dataset in DATASETS.values():
        if dataset.sha256 == sha256:
            return provenance_of_dataset(dataset, path.name)
    with h5py.File(path, "r") as file:
        return provenance_from_nwb(file, path.name, str(path), sha256)


def provenance_of_dataset(dataset: Dataset, name: str) -> Provenance:
    """Return the provenance of a file whose checksum is that of a data set."""
    source = dataset.package or dataset.urls[0]
    return Provenance("recorded", name, source, dataset.sha256, dataset.citation)


def provenance_from_nwb(file: h5py.File, name: str, source: str, sha256: str | None) -> Provenance:
    """Return what an open NWB file says of its own provenance."""
    simulated = file["session_description"].asstr()[()].startswith("SIMULATED")
    papers = file.get("general/related_publications")
    citation = "" if papers is None else "; ".join(papers.asstr()[...].ravel())
    return Provenance("simulated" if simulated else "recorded", name, source, sha256, citation)


def refuse_simulated(origin: Provenance) -> None:
    """Raise if the data are simulated and a recording is asked for."""
    if origin.kind == "simulated" and data_source() == "recorded":
        raise DataError(
            f"{origin.name} ({origin.source}) contains simulated data, and "
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
