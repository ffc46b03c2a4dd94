"""Measure the memory of a chapter's kernel (`make -C deploy bench-memory`).

    python deploy/load/memory.py fit_glm add_history           # prints every cell
    python deploy/load/memory.py --cache FOLDER                # every chapter; writes the result
    python deploy/load/memory.py fit_glm --set MALLOC_ARENA_MAX=1

Runs the participants' notebooks of build/site/notebooks (`make notebooks`) as on the hub, with
the environment variables of its kernels. "own" is memory that no other process can share
(anonymous pages); the rest of "resident" is the code of the libraries, which all kernels of one
environment share. "data" is what a limit per process counts (RLIMIT_DATA). Peaks are the largest
of ten samples per second. The cache of compiled code is read and not written.
"""

import argparse
import contextlib
import json
import os
import platform
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
from jupyter_client import KernelManager

DEPLOY = Path(__file__).resolve().parents[1]
NOTEBOOKS = DEPLOY.parent / "build" / "site" / "notebooks" / "participant"
RESULT = DEPLOY / "results" / "memory.json"
sys.path.insert(0, str(DEPLOY / "jupyterhub"))
from spikes_hub.server import KERNEL_ENVIRONMENT  # noqa: E402


def sizes(pid):
    """Return the memory of a process in MB: its own, resident, and what RLIMIT_DATA counts."""
    status = Path(f"/proc/{pid}/status").read_text()
    kb = {line.split(":")[0]: line.split()[1] for line in status.splitlines() if " kB" in line}
    return [round(int(kb[name]) * 1024 / 1e6) for name in ("RssAnon", "VmRSS", "VmData")]


def measure(notebook, environment, folder):
    """Run a notebook in a new kernel.

    Returns a row for the start and for each cell (what ran, seconds, own MB, resident MB), the
    peaks in MB (own, resident, data), seconds of CPU time, and the errors and warnings.
    """
    manager = KernelManager(kernel_name="python3")
    manager.transport_encryption = "auto"
    began = time.perf_counter()
    manager.start_kernel(env={**os.environ, **environment}, cwd=folder)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    process = psutil.Process(manager.provisioner.pid)
    peaks, messages, done = [0, 0, 0], [], threading.Event()

    def watch():
        while not done.wait(0.1):
            with contextlib.suppress(OSError, KeyError):
                peaks[:] = map(max, peaks, sizes(process.pid))

    def on_output(message):
        content = message["content"]
        if message["msg_type"] == "error":
            messages.append(f"{content['ename']}: {content['evalue']}"[:200])
        elif message["msg_type"] == "stream" and content["name"] == "stderr":
            messages.append(f"stderr: {content['text']}"[:200])

    watcher = threading.Thread(target=watch)
    watcher.start()
    rows = [("start", time.perf_counter() - began, *sizes(process.pid)[:2])]
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, start=1):
        began = time.perf_counter()
        client.execute_interactive(cell.source, output_hook=on_output, timeout=300)
        first_line = cell.source.strip().partition("\n")[0]
        seconds = time.perf_counter() - began
        rows.append((f"{number}: {first_line[:60]}", seconds, *sizes(process.pid)[:2]))
    cpu = process.cpu_times()
    done.set()
    watcher.join()
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return rows, peaks, cpu.user + cpu.system, messages


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="default: every chapter; writes the result")
    parser.add_argument("--cache", help="folder of the cache of compiled code")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    environment = KERNEL_ENVIRONMENT | dict(pair.split("=", 1) for pair in options.set)
    if options.cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = os.path.abspath(options.cache)
    peak_mb = {}
    for chapter in options.chapters or sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            notebook = NOTEBOOKS / f"{chapter}.ipynb"
            rows, peaks, cpu_seconds, messages = measure(notebook, environment, folder)
        peak_mb[chapter] = peaks[0]
        if options.chapters:
            print("own MB  resident  seconds  after")
            for after, seconds, own, resident in rows:
                print(f"{own:6}  {resident:8}  {seconds:7.2f}  {after}")
        print(
            f"{chapter}: peak {peaks[0]} MB own, {peaks[2]} MB data, last {rows[-1][2]} MB; "
            f"{cpu_seconds:.1f} s of CPU time",
            *messages,
            flush=True,
        )
    if not options.chapters:
        result = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}",
            "versions": {name: version(name) for name in ("jax", "nemos", "pynapple", "numba")},
            "environment": {name: environment[name] for name in KERNEL_ENVIRONMENT},
            "cache": bool(options.cache),
            "peak_mb": peak_mb,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
