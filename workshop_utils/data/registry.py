"""The data sets of the course."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DATASETS", "Dataset"]


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
        URLs, tried in this order; empty for a file of a Python package.
    holds : str
        What is in the file.
    licence : str
        Terms of use.
    citation : str
        What to cite.
    package : str, optional
        The Python package that the file is installed with, if any.
    """

    name: str
    sha256: str
    urls: tuple[str, ...]
    holds: str
    licence: str
    citation: str
    package: str | None = None


def _grasshopper(name: str, sha256: str, holds: str) -> Dataset:
    """Return a file of the recorded receptor neuron, which is installed with nitime."""
    return Dataset(
        name=name,
        sha256=sha256,
        urls=(),
        holds=f"{holds} Auditory receptor of a locust (Locusta migratoria), intracellular, 10 s.",
        licence="BSD 3-clause, distributed with nitime",
        citation="Rokem et al. (2006) J Neurophysiol 95:2541-2552, doi:10.1152/jn.00891.2005",
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
            "4b47a4cbca8c5f694f87dd510db608a868dffbaba96845199c8afa545a4c37fa",
            "Time (µs) and amplitude of a sound that changes up to 200 times a second.",
        ),
        _grasshopper(
            "grasshopper_spike_times1.txt",
            "840014ad9a8f591d02ab108bcbd46715badb3459e0ef7eac95fdd661ff134e3d",
            "Times (µs) of the 929 spikes during that sound.",
        ),
        _grasshopper(
            "grasshopper_stimulus2.txt",
            "69f257a8e7a5019897111b07f9cd317b136357d256e99682d40c09d5add18e6a",
            "Time (µs) and amplitude of a sound that changes up to 800 times a second.",
        ),
        _grasshopper(
            "grasshopper_spike_times2.txt",
            "389e5dccb709fbe0552589ff2e0b64e15d46665e4d2d4172071f2175c8641541",
            "Times (µs) of the 868 spikes during that sound.",
        ),
    )
}
