"""Chapters in execution: no noise, described figures, fits at their optimum, answers to exercises.

nbmake executes each chapter once, as tested.py prepares it; here its outputs are judged.
"""

import pickle
import re

import nbformat
import numpy as np
import pytest
import statsmodels.api as sm
from editions import ANSWERS
from tested import FOLDER, tags
from toc import TEMPLATE, chapters

# How far a fit may be from the optimum: loss of log-likelihood per bin, and the ratio of the
# means from 1. A cell with the tag float32 shows what is to be had with 32 bits.
AT_OPTIMUM, WITH_32_BITS = (1e-9, 1e-6), (1e-7, 1e-3)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group(path.stem))
        for path in [*chapters(), TEMPLATE]
    ],
)
def executed(request):
    """One chapter, executed: its notebook and the fits that it made."""
    path = request.param
    made, fits = FOLDER / f"{path.stem}.ipynb", FOLDER / f"{path.stem}.pickle"
    again = f"type: make test-chapter SLUG={path.stem}"
    assert made.exists(), f"{path.name} was not executed; {again}"
    changed = [path, ANSWERS / f"{path.stem}.py"]
    newest = max(file.stat().st_mtime for file in changed if file.exists())
    assert made.stat().st_mtime >= newest, f"{path.name} changed after it was executed; {again}"
    notebook = nbformat.read(made, as_version=4)
    failed = "did not run to its end: nbmake says why"
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    ran = [cell for cell in code if "skip-execution" not in tags(cell)]
    assert ran[-1].get("execution_count"), f"{path.name} {failed}"
    return notebook, pickle.loads(fits.read_bytes()) if fits.exists() else []


def outputs(notebook):
    """Yield cell and output, for every output of a chapter."""
    for cell in notebook.cells:
        if "tried" in cell.metadata:
            continue
        for output in cell.get("outputs", []):
            yield cell, output


def test_no_output_noise(executed):
    notebook, _ = executed
    for cell, output in outputs(notebook):
        where = f"cell that begins with {cell.source[:60]!r}"
        assert output.get("name") != "stderr", f"{where} writes to stderr: {output['text']}"
        text = output.get("data", {}).get("text/plain", "")
        noise = re.match(r"\[?<matplotlib|\[?Text\(|\(array|<Figure", text)
        assert "image/png" in output.get("data", {}) or not noise, f"{where} shows {text}"


def test_every_figure_is_described(executed):
    notebook, _ = executed
    for cell, output in outputs(notebook):
        if "image/png" not in output.get("data", {}):
            continue
        alt = cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "")
        assert len(alt.split()) >= 12, f"no description: {cell.source[:60]!r}"


def optimum(X, y):
    """Return log-likelihood per bin (without log y!) at the optimum, by IRLS of statsmodels."""
    design = sm.add_constant(X / X.std(axis=0), has_constant="add")
    fit = sm.GLM(y, design, family=sm.families.Poisson()).fit(maxiter=200, tol=1e-14)
    return np.mean(y * np.log(fit.mu) - fit.mu)


def test_fits_reach_the_optimum(executed):
    notebook, fits = executed
    early = {cell.source.strip() for cell in notebook.cells if "stops-early" in tags(cell)}
    with_32_bits = {cell.source.strip() for cell in notebook.cells if "float32" in tags(cell)}
    unproven = set(early)
    own = {cell.source.strip() for cell in notebook.cells if "tried" not in cell.metadata}
    for fit in fits:
        if fit["cell"] not in own:  # a wrong answer
            continue
        if not (fit["unregularized"] and fit["poisson"]):
            continue
        X, y = fit["X"], fit["y"]
        coef = fit["coef"].reshape(X.shape[1], -1)
        known = np.isfinite(X).all(axis=1)
        X, y = X[known], y[known].reshape(known.sum(), -1)
        for neuron in range(y.shape[1]):
            observed = y[:, neuron]
            log_mu = X @ coef[:, neuron] + fit["intercept"][neuron]
            reached = np.mean(observed * log_mu - np.exp(log_mu))
            loss = optimum(X, observed) - reached
            ratio = np.exp(log_mu).mean() / observed.mean()
            if fit["other_link"]:  # the mean need not be met
                reached, best = fit["other_link"]
                loss, ratio = best - reached, 1
            most = WITH_32_BITS if fit["cell"] in with_32_bits else AT_OPTIMUM
            at_optimum = abs(loss) <= most[0] and abs(ratio - 1) <= most[1]
            if fit["cell"] in early:
                assert not at_optimum, "the fit that is meant to stop early does not"
                unproven.discard(fit["cell"])
            else:
                assert at_optimum, f"loss {loss:.1e} per bin, ratio {ratio}, in\n{fit['cell']}"
    assert not unproven, "a cell tagged stops-early holds no fit"


def test_chapters_fit_something(executed, request):
    notebook, fits = executed
    code = "\n".join(c.source for c in notebook.cells if c.cell_type == "code")
    assert bool(fits) == ("GLM(" in code)


def test_exercises_answer_back(executed):
    """A stub, wrong answers and the solution: each gets the answer that it deserves."""
    notebook, _ = executed
    for cell in notebook.cells:
        if "tried" not in cell.metadata:
            continue
        tried = cell.metadata["tried"]
        where = f"{tried['exercise']}, {tried['kind']!r}, {tried['part']}"
        errors = [o for o in cell.outputs if o.output_type == "error"]
        assert not errors, f"{where}: {errors[0].ename}: {errors[0].evalue}"
        if tried["part"] == "answer":
            continue
        said = "".join(o.get("text", "") for o in cell.outputs)
        lines = said.splitlines()
        assert lines, f"{where}: the check says nothing"
        assert all(line.startswith(("Right", "Not yet")) for line in lines), f"{where}: {said}"
        wrong = [line for line in lines if line.startswith("Not yet")]
        if tried["kind"] == "solution":
            assert not wrong, f"{where}: {said}"
        elif tried["kind"] == "stub":
            assert wrong == lines, f"{where}: {said}"
        else:
            assert any(tried["kind"] in line for line in wrong), f"{where}: {said}"
