"""Execute the pages with code into Jupyter Book's cache.

`jupyter-book build` would execute them too, but one after the other, and without noticing
a change of `workshop_utils`, of the lock or of stored results. jupyter-cache's own parallel
executor starts one kernel per processor, however little memory there is. The build then
finds every page in the cache.

Usage: python book/execute.py        (from the top of the repository; `make book` does it)
"""

import hashlib
import json
import multiprocessing
import os
import re
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor, as_completed

import jupytext
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from toc import ROOT, chapters
from traitlets.config import Config

from workshop_utils import fetch_data, provenance

CACHE = ROOT / "_build" / ".jupyter_cache"
RECORDS = ROOT / "_build" / "executions.json"
CELL_TIMEOUT_S = 300
WORKERS = 2  # kernels at a time: each holds up to 1.5 GB
# Kernels print a warning when what they exchange with the client is not encrypted.
ENCRYPTED = Config({"KernelManager": {"transport_encryption": "auto"}})
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def digest(paths, *more):
    """Return a hash of the content of files and of some text."""
    made = hashlib.sha256(" ".join(more).encode())
    for path in sorted(paths):
        made.update(path.read_bytes())
    return made.hexdigest()


def fingerprint(source):
    """Return a hash of everything that changes results without changing a page."""
    code = (ROOT / "workshop_utils").rglob("*.py")
    settings = [ROOT / "requirements.txt", ROOT / "content" / "matplotlibrc"]
    return digest([*code, *settings], source, sys.version)


def execute(path):
    """Execute one page; return its notebook, the seconds that it took, and the error if any."""
    notebook = jupytext.read(path)
    result = single_nb_execution(
        notebook,
        cwd=str(path.parent),
        timeout=CELL_TIMEOUT_S,
        allow_errors=False,
        config=ENCRYPTED,
    )
    return notebook, result.time, what_failed(path, notebook, result)


def what_failed(path, notebook, result):
    """Return file, line and error of the cell that failed; nothing if all is well."""
    if result.err is None:
        return ""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in cells:
        for output in cell.outputs:
            if output.output_type == "error":
                text = path.read_text(encoding="utf-8")
                line = text[: max(text.find(cell.source), 0)].count("\n") + 1
                traceback = ANSI.sub("", "\n".join(output.traceback))
                name = path.relative_to(ROOT)
                return f"{name}:{line}: {output.ename} in the cell that begins here\n{traceback}"
    return f"{path.relative_to(ROOT)}: {result.err}"  # a time-out


def outdated(cache, records, results):
    """Yield the pages that are not in the cache, or that show results measured since."""
    for path in chapters():
        shows_results = '"results' in path.read_text(encoding="utf-8")
        try:
            cache.match_cache_notebook(jupytext.read(path))
        except KeyError:
            yield path
        else:
            if shows_results and records.get("results") != results:
                yield path


def main():
    path = fetch_data("allen_478498617.nwb")
    source = provenance(path).kind
    os.environ["WORKSHOP_DATA_SOURCE"] = source  # one source for all pages of a build

    records = json.loads(RECORDS.read_text()) if RECORDS.exists() else {}
    if records.get("fingerprint") != fingerprint(source):
        shutil.rmtree(CACHE, ignore_errors=True)
        RECORDS.unlink(missing_ok=True)
        records = {"fingerprint": fingerprint(source), "data": source}
    results = digest((ROOT / "content" / "results").glob("*.json"))
    cache = get_cache(CACHE)

    todo = list(outdated(cache, records, results))
    failed = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=context, max_tasks_per_child=1) as pool:
        jobs = {pool.submit(execute, path): path for path in todo}
        for job in as_completed(jobs):
            path = jobs[job]
            try:
                notebook, seconds, error = job.result()
            except Exception as dead:  # the kernel, or the process around it
                name = path.relative_to(ROOT)
                seconds, error = 0.0, f"{name}: {type(dead).__name__}: {dead}"
            if error:
                failed.append(path)
                print(f"\n{error}", file=sys.stderr)
                continue
            cache.cache_notebook_bundle(
                CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds}),
                check_validity=False,
                overwrite=True,
            )
            print(f"executed {path.name}: {seconds:.1f} s", flush=True)
    if todo or not RECORDS.exists():
        RECORDS.parent.mkdir(exist_ok=True)
        records["results"] = None if failed else results
        RECORDS.write_text(json.dumps(records))
    if failed:
        names = ", ".join(sorted(str(path.relative_to(ROOT)) for path in failed))
        sys.exit(f"Failed: {names}. What was executed before is kept; the website was not built.")


if __name__ == "__main__":
    main()
