"""A downloaded notebook runs alone, with nothing but what its first cell installs.

`make test-install`: takes a minute or two, and a package registry (the one that pip is set to).
"""

import os
import shutil
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import editions
import pytest
from nbclient import NotebookClient
from nbformat import v4
from toc import ROOT, handouts, pages

pytestmark = pytest.mark.install

WHERE_FROM = "import nemos, workshop_utils as w\nprint(w.__file__, nemos.__file__, sep='\\n')"


@pytest.fixture
def empty_python(tmp_path, monkeypatch):
    """An environment with a kernel, known to Jupyter as `empty`, and nothing else."""
    folder = tmp_path / "empty"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "ipykernel"], check=True)
    named = [python, "-m", "ipykernel", "install", "--prefix", tmp_path, "--name", "empty"]
    subprocess.run(named, check=True, capture_output=True)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share" / "jupyter"))
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return folder


@pytest.fixture
def site():
    """URL of the folder with the package, as on the website."""
    handler = partial(SimpleHTTPRequestHandler, directory=ROOT / "build" / "site")
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_download_runs_in_an_empty_environment(empty_python, site, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_URL", site)
    monkeypatch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
    monkeypatch.setenv("WORKSHOP_DATA_DIR", str(tmp_path / "data"))
    path = next(path for path in handouts() if path.stem == "measure_tuning")
    notebook = editions.edition(path, "participant", editions.Book(pages(), handouts()))
    for cell in notebook.cells:
        cell.metadata.pop("tags", None)  # "Run All" runs the stubs, too
    notebook.cells.append(v4.new_code_cell(WHERE_FROM))
    (tmp_path / "downloads").mkdir()
    NotebookClient(
        notebook,
        kernel_name="empty",
        timeout=600,
        resources={"metadata": {"path": str(tmp_path / "downloads")}},
    ).execute()
    assert "stderr" not in {o.get("name") for c in notebook.cells for o in c.get("outputs", [])}
    for file in notebook.cells[-1].outputs[0].text.splitlines():
        assert file.startswith(str(empty_python)), file
    assert sum("image/png" in str(c.get("outputs")) for c in notebook.cells) >= 3
    shutil.rmtree(empty_python)  # hundreds of megabytes
