"""What the benchmarks share: the machine, and the file that results are kept in."""

import json
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

RESULTS = Path(__file__).resolve().parents[1] / "content" / "results"
PACKAGES = (
    "nemos", "jax", "numpy", "scipy", "scikit-learn", "statsmodels", "glum", "pynapple",
)  # fmt: skip
# JAX keeps every translation, however short.
CACHE = {
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}


def machine():
    """Return the processor in words."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((s.partition(": ")[2] for s in lines if s.startswith("model name")), model)
    return f"{os.cpu_count()} processors ({model}), {platform.system()}"


def store(name, command, tables):
    """Write tables to results/<name>.json: each has a title and rows, which are dicts.

    `book/execute.py` shows them on the status page, with the keys as headings.
    """
    found = {
        "command": command,
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in PACKAGES}},
        "tables": tables,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"kept in {path}")


def show(tables):
    """Print tables for whoever is waiting."""
    for table in tables:
        print(f"\n{table['title']}")
        for row in table["rows"]:
            print("  " + "; ".join(f"{key}: {cell(value)}" for key, value in row.items()))


def cell(value):
    """Return a value as short text."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
