"""Time what it costs to know that the data are the right ones (`make bench`).

Compares a call of `fetch_data` that hashes the file with one that remembers that it did.
"""

import contextlib
import io
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pooch

from workshop_utils import DATASETS, data, fetch_data

NAME = "allen_478498617.nwb"
SIZE_MB = 250  # about what 11.3 million samples of time, current and voltage take unpacked
REPEATS = 5


def seconds(call):
    """Return the median time of a call."""
    taken = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        with contextlib.redirect_stdout(io.StringIO()):
            call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def main():
    with tempfile.TemporaryDirectory() as folder:
        os.environ["WORKSHOP_DATA_DIR"] = folder
        os.environ["WORKSHOP_DATA_SOURCE"] = "recorded"
        path = Path(folder, NAME)
        path.write_bytes(os.urandom(2**20) * SIZE_MB)
        DATASETS[NAME] = replace(DATASETS[NAME], sha256=pooch.file_hash(path))

        def first():
            data._memory(path).unlink(missing_ok=True)
            fetch_data(NAME)

        hashed = seconds(first)
        remembered = seconds(lambda: fetch_data(NAME))
    print(f"fetch_data of a file of {SIZE_MB} MB; median of {REPEATS} runs")
    print(f"  hashed:     {hashed * 1e3:.1f} ms")
    print(f"  remembered: {remembered * 1e3:.2f} ms")


if __name__ == "__main__":
    main()
