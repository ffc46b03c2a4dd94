"""Execute the chapters into Jupyter Book's cache, and describe the build for its pages.

`jupyter-book build` would execute the chapters too: one after the other, without
noticing a changed `workshop_utils` or lock, and without measuring memory. This script
adds those three things. The build then finds every chapter in the cache.

Usage: python book/execute.py        (from the top of the repository; `make book` does it)
"""

import contextlib
import hashlib
import json
import multiprocessing
import os
import platform
import shutil
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from importlib.metadata import version

import jupytext
from extensions.data_line import data_in
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from toc import ROOT, chapters
from traitlets.config import Config

from workshop_utils import fetch_data, is_simulated

CACHE = ROOT / "_build" / ".jupyter_cache"
STATUS = ROOT / "build" / "status.md"
SOURCE = ROOT / "build" / "source.md"
RECOVERY = ROOT / "build" / "recovery.md"
RESULTS = ROOT / "content" / "results"
RECOVERY_RESULT = RESULTS / "recovery.json"
GPU = ROOT / "build" / "gpu.md"
GPU_RESULT = RESULTS / "gpu.json"  # a run of `make test-gpu`, if any
SPEED = ROOT / "build" / "speed.md"
SPEED_RESULTS = ("chapters", "fits", "features", "site")
COMPARISON = ROOT / "build" / "comparison.md"
EXPLORER = ROOT / "build" / "static" / "explorer_data.js"
RECORDS = ROOT / "_build" / "executions.json"
CELL_TIMEOUT_S = 300
WORKERS = 2
# Kernels print a warning when what they exchange with the client is not encrypted.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})


def fingerprint(source):
    """Return a hash of everything that changes results without changing a chapter."""
    digest = hashlib.sha256(f"{source} {sys.version}".encode())
    code = [
        ROOT / name for name in ("requirements.txt", "book/measure.py", "content/matplotlibrc")
    ]
    for path in [*code, *sorted((ROOT / "workshop_utils").glob("*.py"))]:
        digest.update(path.read_bytes())
    if GPU_RESULT.exists():  # a chapter shows it
        digest.update(GPU_RESULT.read_bytes())
    return digest.hexdigest()


def execute(path, record_timing=False):
    """Execute one chapter; return its notebook, seconds, peak memory in MB and error.

    Runs in a process of its own, so that the only child whose memory is counted is
    this chapter's kernel. `record_timing` adds to each cell when it ran.
    """
    notebook = jupytext.read(path)
    result = single_nb_execution(
        notebook,
        cwd=str(path.parent),
        timeout=CELL_TIMEOUT_S,
        allow_errors=False,
        record_timing=record_timing,
        config=ENCRYPTED,
    )
    try:
        import resource
    except ImportError:  # Windows does not keep this number
        peak_mb = None
    else:
        unit = 1 if platform.system() == "Darwin" else 1024
        peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e6
    return notebook, result.time, peak_mb, result.exc_string


def loaded(notebook):
    """Return the data that an executed notebook says it loaded, as text for a table."""
    found = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            found.update(data_in(output.get("text", "")))
    return ", ".join(f"{name} ({kind})" for name, kind in found.items()) or "none"


def write_measured():
    """Write the table of the datasets page, and the numbers of the explorer of the model."""
    from measure import comparison, explorer_data

    with contextlib.redirect_stdout(None):
        data = json.dumps({"lnp": explorer_data(fetch_data("allen_478498617.nwb"))})
        EXPLORER.parent.mkdir(parents=True, exist_ok=True)
        EXPLORER.write_text(f"const explorerData = {data};\n", encoding="utf-8")
        os.environ["WORKSHOP_DATA_SOURCE"] = "simulated"
        path = fetch_data("allen_478498617.nwb")
    COMPARISON.write_text(comparison(path), encoding="utf-8")


def write_status(records, source):
    """Write the table that the status page includes, and the welcome page's word on the data."""
    packages = ("nemos", "pynapple", "jax", "numpy", "jupyter-book")
    lines = [
        "| chapter | seconds | peak memory (MB) | executed on | data |",
        "|---|---:|---:|---|---|",
    ]
    for path in chapters():
        record = records[path.stem]
        memory = "not measured" if record["peak_mb"] is None else f"{record['peak_mb']:.0f}"
        lines.append(
            f"| {{doc}}`{path.stem}` | {record['seconds']:.1f} | {memory} | {record['date']} "
            f"| {record['data']} |"
        )
    lines += [
        "",
        f"The cortical neuron of this build is **{source}**. "
        f"Python {platform.python_version()} on {platform.system()} {platform.machine()} "
        f"with {os.cpu_count()} processors; "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + ".",
        "",
    ]
    STATUS.parent.mkdir(exist_ok=True)
    STATUS.write_text("\n".join(lines), encoding="utf-8")
    SOURCE.write_text(
        ":::{admonition} This site\n:class: important\n"
        f"The pages you are reading were built on the **{source}** neuron.\n:::\n",
        encoding="utf-8",
    )


def recovery_tables(found):
    """Return the tables of the status page on the error bars, from what the slow test found."""
    lines = [
        "| neuron, and what is recovered | inside the 95 % band | accepted | lowest correlation |",
        "|---|---:|---:|---:|",
    ]
    for row in found["curves"]:
        low, high = row["accepted"]
        lines.append(
            f"| {row['neuron']}: {row['curve']} | {row['inside']:.1%} | {low:.1%} to {high:.1%} "
            f"| {row['lowest_correlation']:.3f} |"
        )
    for row in found["wrong_models"]:
        low, high = row["accepted"]
        lines.append(
            f"| *wrong on purpose*, {row['wrong']}: {row['curve']} | {row['inside']:.1%} "
            f"| {low:.1%} to {high:.1%} | |"
        )
    lines += [
        "",
        f"| neuron | spikes | inside the 95 % region, of {found['neurons']} | accepted "
        "| squared error / expected | accepted |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for row in [*found["weights"], *found["wrong_scales"]]:
        spikes = "{} to {}".format(*row["spikes"]) if "spikes" in row else ""
        wrong = f"*wrong on purpose*, {row['wrong']}: " if "wrong" in row else ""
        least, (low, high) = row["accepted"][0], row["accepted_mean_square"]
        lines.append(
            f"| {wrong}{row['neuron']} | {spikes} | {row['inside']} | {least} or more "
            f"| {row['mean_square']:.2f} | {low:.2f} to {high:.2f} |"
        )
    versions = ", ".join(f"{name} {v}" for name, v in found["versions"].items())
    lines += ["", f"`{found['command']}` on {found['date']} with {versions}.", ""]
    return "\n".join(lines)


def gpu_table(found):
    """Return what the status page says of the chapters on a GPU; None if that was never tried."""
    if found is None:
        return (
            "The chapters were not yet run on a graphics card. `make test-gpu` does it, on a "
            "computer that has one, and stores what it finds with the course.\n"
        )
    lines = [
        "| chapter | fits | largest relative difference of weights | s, CPU | s, GPU |",
        "|---|---:|---:|---:|---:|",
    ]
    for row in found["chapters"]:
        difference = "failed" if row["difference"] is None else f"{row['difference']:.0e}"
        lines.append(
            f"| {{doc}}`{row['chapter']}` | {row['fits']} | {difference} | {row['cpu_s']} "
            f"| {row['gpu_s']} |"
        )
    versions = ", ".join(f"{name} {v}" for name, v in found["versions"].items())
    lines += [
        "",
        f"`{found['command']}` on {found['date']} on {found['device']}, driver {found['driver']}, "
        f"and {found['processors']} processors, with {versions}.",
        "",
    ]
    return "\n".join(lines)


def speed_tables(found):
    """Return the tables of one result of `make bench`, as Markdown."""
    lines = []
    for table in found["tables"]:
        names = list(dict.fromkeys(name for row in table["rows"] for name in row))
        lines += [f"**{table['title']}**", "", "| " + " | ".join(names) + " |"]
        lines += ["|" + "---|" * len(names)]
        for row in table["rows"]:
            values = (row.get(name, "") for name in names)
            cells = (f"{v:.3g}" if isinstance(v, float) else str(v) for v in values)
            lines.append("| " + " | ".join(cells) + " |")
        lines.append("")
    versions = ", ".join(f"{name} {v}" for name, v in found["versions"].items())
    lines += [f"`{found['command']}` on {found['date']}, {found['machine']}, {versions}.", ""]
    return "\n".join(lines)


def main():
    source = "simulated" if is_simulated(fetch_data("allen_478498617.nwb")) else "recorded"
    os.environ["WORKSHOP_DATA_SOURCE"] = source  # one source for all chapters of a build

    RECOVERY.parent.mkdir(exist_ok=True)
    found = json.loads(RECOVERY_RESULT.read_text(encoding="utf-8"))
    RECOVERY.write_text(recovery_tables(found), encoding="utf-8")
    found = json.loads(GPU_RESULT.read_text(encoding="utf-8")) if GPU_RESULT.exists() else None
    GPU.write_text(gpu_table(found), encoding="utf-8")
    paths = [RESULTS / f"{name}.json" for name in SPEED_RESULTS]
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
    SPEED.write_text("\n".join(speed_tables(found) for found in stored), encoding="utf-8")

    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    if records.get("fingerprint") != fingerprint(source):
        shutil.rmtree(CACHE, ignore_errors=True)
        COMPARISON.unlink(missing_ok=True)
        EXPLORER.unlink(missing_ok=True)
        records = {"fingerprint": fingerprint(source), "data": source}
    cache = get_cache(CACHE)

    todo = []
    for path in chapters():
        try:
            cache.match_cache_notebook(jupytext.read(path))
            records[path.stem]
        except KeyError:
            todo.append(path)
    failed = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context, max_tasks_per_child=1) as pool:
        jobs = {pool.submit(execute, path): path for path in todo}
        measured = COMPARISON.exists() and EXPLORER.exists()
        tables = [] if measured else [pool.submit(write_measured)]
        for job in as_completed(jobs):
            path = jobs[job]
            notebook, seconds, peak_mb, error = job.result()
            if error:
                failed.append(path.name)
                print(f"{path.name} failed:\n{error}", file=sys.stderr)
                continue
            cache.cache_notebook_bundle(
                CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds}),
                check_validity=False,
                overwrite=True,
            )
            date = time.strftime("%Y-%m-%d")
            records[path.stem] = {
                "seconds": seconds,
                "peak_mb": peak_mb,
                "date": date,
                "data": loaded(notebook),
            }
            print(f"executed {path.name}: {seconds:.1f} s")

    RECORDS.write_text(json.dumps(records))
    for job in tables:
        job.result()
    if failed:
        print("Chapters that failed: " + ", ".join(sorted(failed)), file=sys.stderr)
        return 1
    if todo or not STATUS.exists():
        write_status(records, source)
    return 0


if __name__ == "__main__":
    sys.exit(main())
