"""Commands: ``python -m workshop_utils check`` (also ``fetch``, ``simulate``, ``info``).

Imports nothing but the standard library before a command needs it: `check` is for the
computers on which something is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from workshop_utils.data.errors import DataError
from workshop_utils.data.fetch import (
    cache_folder,
    candidate_urls,
    fetch_data,
    packaged,
    without_credentials,
)
from workshop_utils.data.provenance import SOURCES
from workshop_utils.data.registry import DATASETS

LOCK = Path(__file__).resolve().parents[1] / "requirements.txt"
INSTALL = "python -m pip install -r requirements.txt"
OLDEST, NEWEST = (3, 12), (3, 14)  # as requires-python in pyproject.toml
NEEDED_DISK_GB = 1.0
NEEDED_MEMORY_GB = 3.0
#: These three work as a set of certain versions or not at all.
LAB = ("jupyterlab", "jupytext", "jupyterlab-myst")


class Finding(NamedTuple):
    """One line of the report: fine (True), wrong (False), or merely good to know (None)."""

    ok: bool | None
    what: str
    remedy: str = ""


def check_python() -> Iterator[Finding]:
    """Check the version of Python."""
    yield Finding(
        OLDEST <= sys.version_info[:2] <= NEWEST,
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()}",
        "Install Python 3.13 and make a new environment with it.",
    )


def check_packages() -> Iterator[Finding]:
    """Compare the installed packages with the lock."""
    try:
        lines = LOCK.read_text(encoding="utf-8").splitlines()
    except OSError:
        yield Finding(None, f"packages: not compared, there is no {LOCK}")
        return
    try:
        from packaging.markers import Marker
    except ImportError:
        yield Finding(False, "packages: packaging is missing", INSTALL)
        return
    missing, other = [], []
    for line in lines:
        found = re.match(r"([\w.-]+)==(\S+)(?: ; (.*?))?(?: \\)?$", line)
        if not found or (found[3] and not Marker(found[3]).evaluate()):
            continue
        try:
            installed = metadata.version(found[1])
        except metadata.PackageNotFoundError:
            missing.append(found[1])
        else:
            if installed != found[2]:
                other.append(f"{found[1]} {installed} (not {found[2]})")
    yield Finding(not missing, "packages missing: " + (", ".join(missing) or "none"), INSTALL)
    yield Finding(
        not other, "packages of another version: " + (", ".join(other) or "none"), INSTALL
    )


def check_jax() -> Iterator[Finding]:
    """Check that JAX computes, on which device, and with 64 bits."""
    try:
        import jax

        jax.config.update("jax_enable_x64", True)
        exact = float(jax.numpy.float64(1) + 2.0**-40) > 1
        devices = ", ".join(sorted({device.platform for device in jax.devices()}))
    except Exception as error:  # whatever is wrong with it, the report goes on
        yield Finding(False, f"JAX does not run: {type(error).__name__}: {error}", INSTALL)
        return
    yield Finding(exact, f"JAX {jax.__version__} computes on: {devices}, with 64 bits", INSTALL)


def check_lab() -> Iterator[Finding]:
    """Check that JupyterLab and its extensions are there."""
    versions = {}
    for package in LAB:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            yield Finding(False, f"{package} is missing", INSTALL)
    if len(versions) == len(LAB):
        yield Finding(True, ", ".join(f"{name} {version}" for name, version in versions.items()))


def check_data() -> Iterator[Finding]:
    """Hash every data file for real."""
    try:
        folder = cache_folder()
        import pooch
    except ImportError as error:
        yield Finding(False, f"data: {error}", INSTALL)
        return
    for dataset in DATASETS.values():
        path = folder / dataset.name
        if dataset.package:
            try:
                path = packaged(dataset)
            except DataError as error:
                yield Finding(False, str(error), INSTALL)
            else:
                yield Finding(True, f"{path}: checksum")
        elif not path.exists():
            yield Finding(
                None,
                f"{dataset.name} is not in {folder}; without a network the chapters simulate it",
                "python -m workshop_utils fetch",
            )
        else:
            yield Finding(
                pooch.file_hash(path) == dataset.sha256,
                f"{path}: checksum of {path.stat().st_size / 1e6:.0f} MB",
                f"Delete the file, then: python -m workshop_utils fetch {dataset.name}",
            )
    source = os.environ.get("WORKSHOP_DATA_SOURCE") or "auto"
    yield Finding(
        source in SOURCES,
        f"WORKSHOP_DATA_SOURCE is {source}",
        f"Set it to one of: {', '.join(SOURCES)}",
    )


def check_computer() -> Iterator[Finding]:
    """Check disk and memory."""
    folder = cache_folder()
    while not folder.exists():  # the nearest one that does
        folder = folder.parent
    free_gb = shutil.disk_usage(folder).free / 1e9
    yield Finding(
        free_gb >= NEEDED_DISK_GB,
        f"{free_gb:.1f} GB free on the disk of the data, {folder}",
        f"Free {NEEDED_DISK_GB:.0f} GB.",
    )
    try:
        import psutil
    except ImportError:
        yield Finding(None, "memory: not measured, psutil is missing", INSTALL)
        return
    available_gb = psutil.virtual_memory().available / 1e9
    yield Finding(
        available_gb >= NEEDED_MEMORY_GB,
        f"{available_gb:.1f} GB of memory available",
        "Close other programs and kernels; a chapter needs up to 1.5 GB.",
    )


def check_network() -> Iterator[Finding]:
    """Tell which proxies and which mirror will be used."""
    for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "WORKSHOP_DATA_MIRROR"):
        if os.environ.get(name):
            yield Finding(None, f"{name} is set to {without_credentials(os.environ[name])}")
    try:
        candidate_urls(next(iter(DATASETS.values())))
    except ValueError as error:
        yield Finding(False, str(error), "Set WORKSHOP_DATA_MIRROR to an http(s) URL.")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_jax,
    check_lab,
    check_data,
    check_computer,
    check_network,
)


def _guarded(part: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Yield the findings of one check; an exception becomes one, and the report goes on."""
    try:
        yield from part()
    except Exception as error:
        name = part.__name__.removeprefix("check_")
        yield Finding(False, f"{name}: not checked, {type(error).__name__}: {error}")


def check(as_json: bool) -> int:
    """Print the report; return 1 if something is wrong, else 0."""
    findings = [finding for part in CHECKS for finding in _guarded(part)]
    if as_json:
        print(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        marks = {True: "✓", False: "✗", None: "·"}
        try:
            "".join(marks.values()).encode(sys.stdout.encoding or "ascii")
        except UnicodeEncodeError:  # an old console
            marks = {True: "ok", False: "NO", None: "--"}
        for finding in findings:
            print(marks[finding.ok], finding.what)
            if finding.remedy and finding.ok is not True:
                print("     ->", finding.remedy)
    return int(any(finding.ok is False for finding in findings))


def info() -> int:
    """Print what is known of every data set."""
    for dataset in DATASETS.values():
        print(dataset.name)
        print("  holds:   ", dataset.holds)
        print("  licence: ", dataset.licence)
        print("  cite:    ", dataset.citation)
        print("  sha256:  ", dataset.sha256)
        if dataset.package:
            print("  from:     the Python package", dataset.package)
        else:
            print("  from:    ", ", ".join(dataset.urls))
            print("  cached:  ", cache_folder() / dataset.name)
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m workshop_utils")
    commands = parser.add_subparsers(dest="command", required=True)
    checking = commands.add_parser("check", help="am I ready? one line for each answer")
    checking.add_argument("--json", action="store_true", help="for programs")
    fetching = commands.add_parser("fetch", help="download a data set, or say why it is simulated")
    fetching.add_argument("name", nargs="?", default=next(iter(DATASETS)))
    simulating = commands.add_parser("simulate", help="write the simulated recording to a file")
    simulating.add_argument("path", type=Path)
    commands.add_parser("info", help="what the data sets are, and how to cite them")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.command == "check":
            return check(chosen.json)
        if chosen.command == "info":
            return info()
        if chosen.command == "fetch":
            print(fetch_data(chosen.name))
        else:
            from workshop_utils.data.stand_in import simulate_recording

            print(simulate_recording(chosen.path))
    except ImportError as error:
        print(f"{error}. Type: {INSTALL}", file=sys.stderr)
        return 1
    except (DataError, ValueError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
