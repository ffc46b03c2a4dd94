"""Time whole chapters, from the start of the kernel to the last cell (`make -C benchmarks bench`).

Each execution has a fresh kernel; its peak memory is what `book/execute.py` measures for the
status page. Cold: with an empty folder for JAX's translations; warm: once more with that folder.
In the comparison, the common way and the cold chapter have no such folder.

Usage: python benchmarks/chapters.py [slug ...] [--repeats 3]       (default: all chapters, once)
"""

import argparse
import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path

from common import CACHE, show, store

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

from execute import execute  # noqa: E402
from toc import chapters  # noqa: E402

COMMON_WAY = ROOT / "benchmarks" / "published_way.md"
COMPARED = "add_history"


def run(path, cache=None):
    """Execute a chapter in a process of its own, with a folder for translations or none."""
    for name in [name for name in os.environ if name.startswith("JAX_")]:
        del os.environ[name]
    if cache:
        os.environ.update(CACHE, JAX_COMPILATION_CACHE_DIR=str(cache))
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        notebook, seconds, peak_mb, error = pool.submit(execute, path, True).result()
    if error:
        raise RuntimeError(f"{path.name} failed:\n{error}")
    return {"s": seconds, "MB": peak_mb} | moments(notebook, seconds)


def moments(notebook, seconds):
    """Return how long the first cells of a kind took; cells say when they ran."""
    cells = [c for c in notebook.cells if c.cell_type == "code" and "execution" in c.metadata]
    spans = [(c, when(BEGIN, c), when(END, c)) for c in cells]
    kinds = {
        "setup cell": lambda c: "workshop_utils import" in c.source,
        "load": lambda c: "load_data(" in c.source or "fetch_data(" in c.source,
        "first fit": lambda c: re.search(r"^(?!def )\S.*\bfit\(", c.source, re.MULTILINE),
    }
    found = {}
    for name, belongs in kinds.items():
        found[name] = next((end - start for c, start, end in spans if belongs(c)), None)
    last = spans[-1][2]
    drawn = [
        end for c, _, end in spans if any("image/png" in o.get("data", {}) for o in c.outputs)
    ]
    scored = [end for c, _, end in spans if "pseudo-r2" in c.source]
    # The clock starts with the kernel.
    for name, ends in (("first figure at", drawn), ("scores at", scored)):
        found[name] = seconds - (last - ends[0]) if ends else None
    return found


BEGIN, END = "iopub.execute_input", "shell.execute_reply"


def when(event, cell):
    stamp = cell.metadata["execution"][event]
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def median(runs, key):
    values = [r[key] for r in runs if r[key] is not None]
    return float(statistics.median(values)) if values else ""


def row(name, cold, warm):
    new = {"chapter": name, "cold (s)": median(cold, "s"), "warm (s)": median(warm, "s")}
    new["peak memory (MB)"] = round(median(cold, "MB") or 0)
    for key in ("setup cell", "load", "first fit", "first figure at"):
        new[f"{key} (s)"] = median(cold, key)
    new["first fit, warm (s)"] = median(warm, "first fit")
    return new


def measure(paths, repeats):
    rows = []
    for path in paths:
        cold, warm = [], []
        for _ in range(repeats):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(run(path, cache))
                warm.append(run(path, cache))
        rows.append(row(path.stem, cold, warm))
        print(rows[-1])
    return rows


def compare(repeats):
    """Return the table of the chapter against the common way, in turns within one run."""
    ours, warm, theirs = [], [], []
    path = ROOT / "content" / f"{COMPARED}.md"
    for _ in range(repeats):
        theirs.append(run(COMMON_WAY))
        ours.append(run(path))  # as the common way: to keep translations takes time, too
        with tempfile.TemporaryDirectory() as cache:
            run(path, cache)
            warm.append(run(path, cache))
    table = []
    names = ("the common way", f"{COMPARED}, cold", f"{COMPARED}, warm")
    for name, runs in zip(names, (theirs, ours, warm), strict=True):
        seconds, mb, scored = (median(runs, key) for key in ("s", "MB", "scores at"))
        table.append(
            {
                "notebook": name,
                "seconds": seconds,
                "of the common way": seconds / median(theirs, "s"),
                "to the scores of both models (s)": scored,
                "of the common way's": scored / median(theirs, "scores at"),
                "peak memory (MB)": round(mb or 0),
                "of its memory": mb / median(theirs, "MB") if mb else "",
            }
        )
    return table


def fresh(code):
    """Return the median time of a fresh Python that runs `code`, of five."""
    taken = []
    for _ in range(5):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("slugs", nargs="*")
    parser.add_argument("--repeats", type=int, default=1)
    arguments = parser.parse_args()
    os.environ["MATPLOTLIBRC"] = str(ROOT / "content" / "matplotlibrc")
    with contextlib.redirect_stdout(None):
        from workshop_utils import fetch_data

        fetch_data("allen_478498617.nwb")  # made or downloaded before the clock starts
    bare = fresh("pass")
    tables = [
        {
            "title": "The chapter and the same steps in the common way, median of three",
            "rows": compare(3),
        },
        {
            "title": "Chapters; where nothing is said, cold",
            "rows": measure(
                [p for p in chapters() if not arguments.slugs or p.stem in arguments.slugs],
                arguments.repeats,
            ),
        },
        {
            "title": "The package, median of five",
            "rows": [
                {
                    "what": "import workshop_utils",
                    "seconds more than bare Python": fresh("import workshop_utils") - bare,
                }
            ],
        },
    ]
    show(tables)
    store("chapters", " ".join(["python benchmarks/chapters.py", *sys.argv[1:]]), tables)


if __name__ == "__main__":
    main()
