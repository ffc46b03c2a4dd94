"""`python -m workshop_utils`: as people type it, also where packages are missing."""

import json
import os
import subprocess
import sys

import pytest

from workshop_utils import DATASETS, provenance
from workshop_utils import __main__ as command

NAME = "allen_478498617.nwb"


def run(*arguments, missing=(), **environment):
    """Run the command in a process of its own; `missing` packages cannot be imported."""
    code = (
        "import importlib.metadata as m, runpy, sys\n"
        f"missing = {set(missing)!r}\n"
        "sys.modules.update(dict.fromkeys(missing))\n"
        "version = m.version\n"
        "def without(name):\n"
        "    if name in missing:\n"
        "        raise m.PackageNotFoundError(name)\n"
        "    return version(name)\n"
        "m.version = without\n"
        f"sys.argv = ['workshop_utils', *{arguments!r}]\n"
        "runpy.run_module('workshop_utils', run_name='__main__', alter_sys=True)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        encoding=environment.get("PYTHONIOENCODING", "utf-8"),
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
    )


def test_check_is_content_here():
    done = run("check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "✗" not in done.stdout
    assert "✓ JAX" in done.stdout
    assert "packages missing: none" in done.stdout


def test_check_for_programs():
    done = run("check", "--json")
    findings = json.loads(done.stdout)
    assert {"ok", "what", "remedy"} == set(findings[0])
    assert any("Python" in finding["what"] for finding in findings)


@pytest.mark.parametrize(
    "missing",
    [
        ["jax"],
        ["jupytext"],
        ["numpy", "jax", "pynapple", "nemos", "pooch", "psutil", "packaging", "requests", "tqdm"],
    ],
)
def test_check_where_packages_are_missing(missing):
    done = run("check", missing=missing)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "✗" in done.stdout
    assert command.INSTALL in done.stdout


def test_check_names_another_version(monkeypatch, tmp_path, capsys):
    lock = tmp_path / "requirements.txt"
    lock.write_text("pooch==0.0.1 \\\n    --hash=sha256:0\nnothing==1 ; python_version < '3'\n")
    monkeypatch.setattr(command, "LOCK", lock)
    found = list(command.check_packages())
    assert [finding.ok for finding in found] == [True, False]
    assert "(not 0.0.1)" in found[1].what


def test_check_without_a_lock(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "LOCK", tmp_path / "requirements.txt")
    assert [finding.ok for finding in command.check_packages()] == [None]


def test_check_hashes_for_real(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKSHOP_DATA_DIR", str(tmp_path))
    (tmp_path / NAME).write_bytes(b"not the recording")
    finding = next(command.check_data())
    assert finding.ok is False
    assert "fetch" in finding.remedy


def test_check_on_an_old_console():
    done = run("check", PYTHONIOENCODING="cp1252")
    assert done.stdout.startswith("ok Python")


def test_check_shows_no_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://me:secret@proxy:8080")
    (finding,) = [f for f in command.check_network() if "HTTPS_PROXY" in f.what]
    assert "secret" not in finding.what
    assert "proxy:8080" in finding.what


def test_info():
    done = run("info")
    assert done.returncode == 0
    assert NAME in done.stdout
    assert DATASETS[NAME].sha256 in done.stdout


def test_fetch(stand_in):
    done = run("fetch", WORKSHOP_DATA_SOURCE="simulated")
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1] == str(stand_in)


def test_fetch_says_what_is_wrong():
    done = run("fetch", "alen.nwb")
    assert done.returncode == 1
    assert "no data set named 'alen.nwb'" in done.stderr
    assert "Traceback" not in done.stderr


def test_simulate(tmp_path):
    done = run("simulate", str(tmp_path / "made.nwb"))
    assert done.returncode == 0
    assert provenance(tmp_path / "made.nwb").kind == "simulated"
