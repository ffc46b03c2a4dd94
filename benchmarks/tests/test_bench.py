"""The benchmarks run, at small sizes, and count no time of a fit that is not at its optimum."""

import json
import os
import subprocess
import sys

import pytest
from toc import ROOT

BENCHMARKS = ROOT / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import fits  # noqa: E402

SIZE = "600x2"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Data of one small fit, as `fits.py` leaves them to its processes."""
    folder = tmp_path_factory.mktemp("fit")
    X, y = fits.make_data(600, 2)
    fits.np.save(folder / "X.npy", X)
    fits.np.save(folder / "y.npy", y)
    (folder / "optimum.json").write_text(json.dumps(fits.best(X, y)))
    return folder


@pytest.mark.parametrize("solver", ["NeMoS Newton", "scikit-learn newton-cholesky"])
def test_a_fit_at_the_optimum_counts(folder, solver):
    row = fits.row(folder, SIZE, "float64", solver, limit=120)
    assert row["first (s)"] > 0 and row["repeated (s)"] > 0, row
    assert abs(float(row["above the optimum"])) <= 1e-9


def test_a_fit_that_is_not_at_the_optimum_does_not_count(folder, monkeypatch, tmp_path):
    for name in ("X.npy", "y.npy"):
        (tmp_path / name).symlink_to(folder / name)
    optimum = json.loads((folder / "optimum.json").read_text())
    (tmp_path / "optimum.json").write_text(json.dumps(optimum - 1e-8))
    row = fits.row(tmp_path, SIZE, "float64", "scikit-learn newton-cholesky", limit=120)
    assert row["first (s)"] == "not at the optimum" and row["repeated (s)"] == "", row


def test_a_fit_that_takes_too_long_or_fails_is_named(folder):
    row = fits.row(folder, SIZE, "float64", "statsmodels IRLS", limit=0.1)
    assert row["first (s)"].startswith("over 0.1"), row
    row = fits.row(folder, SIZE, "float64", "no such solver", limit=120)
    assert row["first (s)"].startswith("failed"), row


def test_ratios_are_to_the_fastest_that_counts():
    rows = [
        {"first (s)": "not at the optimum", "repeated (s)": ""},
        {"first (s)": 4.0, "repeated (s)": 3.0},
        {"first (s)": 2.0, "repeated (s)": 6.0},
    ]
    fits.compare(rows)
    assert "first / fastest" not in rows[0]
    assert [r["first / fastest"] for r in rows[1:]] == [2, 1]
    assert [r["repeated / fastest"] for r in rows[1:]] == [1, 2]


def test_the_best_is_that_of_statsmodels():
    import numpy as np
    import statsmodels.api as sm

    X, y = fits.make_data(600, 2)
    mu = sm.GLM(y, sm.add_constant(X), family=sm.families.Poisson()).fit(tol=1e-14).mu
    assert fits.best(X, y) == pytest.approx(np.mean(mu - y * np.log(mu)), abs=1e-12)


def test_features_are_the_same_everywhere():
    pytest.importorskip("pytest_benchmark", reason="needs what make -C benchmarks bench installs")
    script = str(BENCHMARKS / "features.py")
    # pytest-benchmark measures nothing where it believes that tests run beside each other
    alone = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_XDIST")}
    command = [sys.executable, script, "--quick"]
    done = subprocess.run(command, capture_output=True, text=True, env=alone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "NeMoS / fastest" in done.stdout


def test_the_common_way_is_a_notebook_that_runs_to_the_end():
    import jupytext
    from nbclient import NotebookClient

    notebook = jupytext.read(BENCHMARKS / "published_way.md")
    NotebookClient(notebook, timeout=300).execute()
    printed = [c.outputs[0].text.split() for c in notebook.cells if "pseudo-r2" in c.source]
    assert all(0 < float(score) < 1 for scores in printed for score in scores), printed
    last = notebook.cells[-1].outputs[0].text.split()  # bits per spike of both models
    assert len(last) >= 4 and all(0 < float(bits) < 5 for bits in last), last


def test_a_damaged_compilation_cache_is_replaced_without_a_word(tmp_path):
    """With the variables that the Makefile sets."""
    script = "import jax; print(jax.jit(lambda x: 2 * x)(21.0))"
    print_all = ["make", "--silent", "--eval", "variables: ; @env", "variables"]
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "PYTHONWARN"))}
    made = subprocess.run(print_all, cwd=ROOT, env=clean, capture_output=True, text=True)
    lines = made.stdout.splitlines()
    set_by_make = dict(s.split("=", 1) for s in lines if s.startswith(("JAX_", "PYTHONWARN")))
    assert set_by_make["JAX_COMPILATION_CACHE_DIR"] == str(ROOT / "build" / "jax")
    variables = clean | set_by_make | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path)}

    def run():
        command = [sys.executable, "-c", script]
        return subprocess.run(command, env=variables, capture_output=True, text=True)

    run()
    kept = list(tmp_path.glob("*-cache"))
    assert kept, "nothing was kept"
    for path in kept:
        path.write_bytes(path.read_bytes()[:50])
    done = run()
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "42.0", "")
