"""Time the build of the website: cold, unchanged, and after a change in one chapter.

In a copy of the course, so that nothing here is touched (some minutes).
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from common import show, store

ROOT = Path(__file__).resolve().parents[1]
LEFT_OUT = shutil.ignore_patterns(".venv", ".git", "_build", "build", "__pycache__", ".*_cache")
CHANGED = "content/add_history.md"


def seconds(course):
    """Return how long `make book` takes there."""
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(course)}
    subprocess.run(["make", "book"], cwd=course, env=environment, check=True)
    return time.perf_counter() - start


def main():
    with tempfile.TemporaryDirectory() as folder:
        course = Path(folder, "course")
        shutil.copytree(ROOT, course, ignore=LEFT_OUT)
        (course / ".venv").symlink_to((ROOT / ".venv").resolve())
        rows = [{"build": "cold", "seconds": seconds(course)}]
        rows.append({"build": "unchanged", "seconds": seconds(course)})
        chapter = course / CHANGED
        text = chapter.read_text(encoding="utf-8")
        chapter.write_text(text.replace("predicted = ", "predicted  = ", 1), encoding="utf-8")
        rows.append({"build": f"one chapter changed ({CHANGED})", "seconds": seconds(course)})
    for row in rows:
        row["of cold"] = row["seconds"] / rows[0]["seconds"]
    tables = [{"title": "make book", "rows": rows}]
    show(tables)
    store("site", "make -C benchmarks bench-site", tables)


if __name__ == "__main__":
    main()
