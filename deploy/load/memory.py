"""Measure the memory of a chapter's kernel, from its start to the last cell.

    python benchmarks/memory.py fit_glm add_history            # prints every cell
    python benchmarks/memory.py --all --cache FOLDER           # writes the result
    python benchmarks/memory.py fit_glm --set MALLOC_ARENA_MAX=2

Runs participants' notebooks from build/site/notebooks (`make notebooks`). "own" is memory
that no other process can share (anonymous pages); the rest of "resident" is the code of the
libraries, which all kernels of one environment share. "data" is what a limit per process
counts (RLIMIT_DATA). Peaks are looked for ten times a second. A cache of compiled code is
read and not written, as on the hub; `--fill` fills it. Nothing is set but what is asked for.
"""

import argparse
import contextlib
import json
import os
import platform
import shlex
import sys
import tempfile
import threading
import time
from importlib.metadata import version
from pathlib import Path

import nbformat
import psutil
from jupyter_client import KernelManager

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "build" / "site" / "notebooks" / "participant"
RESULT = ROOT / "deploy" / "results" / "hub_memory.json"


def sizes(pid):
    """Return the memory of a process in bytes: its own, resident, and what RLIMIT_DATA counts."""
    found = {}
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name in ("RssAnon", "VmRSS", "VmData"):
            found[name] = int(value.split()[0]) * 1024
    return found["RssAnon"], found["VmRSS"], found["VmData"]


def measure(notebook, environment, folder):
    """Run a notebook in a fresh kernel; return seconds and memory in MB after each cell."""
    manager = KernelManager(kernel_name="python3")
    manager.transport_encryption = "auto"
    started = time.perf_counter()
    manager.start_kernel(env={**os.environ, **environment}, cwd=folder)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=120)
    process = psutil.Process(manager.provisioner.pid)
    peaks, said, done = [0, 0, 0], [], threading.Event()

    def watch():
        while not done.wait(0.1):
            with contextlib.suppress(OSError, KeyError):
                peaks[:] = map(max, peaks, sizes(process.pid))

    def hear(message):
        content = message["content"]
        if message["msg_type"] == "error":
            said.append(f"{content['ename']}: {content['evalue']}"[:200])
        elif message["msg_type"] == "stream" and content["name"] == "stderr":
            said.append(f"stderr: {content['text']}"[:200])

    def row(what, seconds):
        own, resident, _ = (round(size / 1e6) for size in sizes(process.pid))
        return {
            "after": what,
            "seconds": round(seconds, 2),
            "own_mb": own,
            "resident_mb": resident,
        }

    watcher = threading.Thread(target=watch)
    watcher.start()
    rows = [row("start", time.perf_counter() - started)]
    cells = [cell for cell in nbformat.read(notebook, 4).cells if cell.cell_type == "code"]
    for number, cell in enumerate(cells, start=1):
        began = time.perf_counter()
        client.execute_interactive(cell.source, output_hook=hear, timeout=300)
        first = (cell.source.strip().splitlines() or [""])[0]
        rows.append(row(f"{number}: {first[:60]}", time.perf_counter() - began))
    used = process.cpu_times()
    done.set()
    watcher.join()
    client.stop_channels()
    manager.shutdown_kernel(now=True)
    return {
        "cells": rows,
        "peak_own_mb": round(peaks[0] / 1e6),
        "peak_data_mb": round(peaks[2] / 1e6),
        "processor_seconds": round(used.user + used.system, 1),
        "said": said,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*")
    parser.add_argument("--all", action="store_true", help="every chapter; writes the result")
    parser.add_argument("--cache", help="folder of the shared cache of compiled code")
    parser.add_argument("--fill", action="store_true", help="write to it, and not only read")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    options = parser.parse_args()
    environment = dict(pair.split("=", 1) for pair in options.set)
    if options.cache:
        environment["JAX_COMPILATION_CACHE_DIR"] = os.path.abspath(options.cache)
        environment["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
        least = "0" if options.fill else "1000000"
        environment["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = least
    known = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
    found = {}
    for chapter in known if options.all else options.chapters:
        with tempfile.TemporaryDirectory() as folder:
            path = NOTEBOOKS / f"{chapter}.ipynb"
            found[chapter] = one = measure(path, environment, folder)
        if not options.all:
            print("own MB  resident  seconds  after")
            for cell in one["cells"]:
                print(
                    f"{cell['own_mb']:6}  {cell['resident_mb']:8}  {cell['seconds']:7.2f}  "
                    f"{cell['after']}"
                )
        print(
            f"{chapter}: peak {one['peak_own_mb']} MB own, {one['peak_data_mb']} MB data, "
            f"last {one['cells'][-1]['own_mb']} MB; {one['processor_seconds']} s of processor",
            *one["said"],
            flush=True,
        )
    if options.all:
        packages = ("jax", "nemos", "pynapple", "numba", "ipykernel")
        result = {
            "date": time.strftime("%Y-%m-%d"),
            "machine": f"{os.cpu_count()} cores, Python {platform.python_version()}, "
            f"{platform.system()} {platform.machine()}",
            "versions": {name: version(name) for name in packages},
            "command": "python benchmarks/memory.py " + shlex.join(sys.argv[1:]),
            "chapters": found,
        }
        RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
