"""Chapters in execution: no noise, described figures, fits at their optimum, answers to exercises.

One run of a chapter does for all. Behind each stub it tries, in the same kernel, the stub as it
is, the wrong answers that stand in the metadata of the solution, and then the solution.
"""

import os
import pickle
import re

import jupytext
import nbformat
import numpy as np
import pytest
import statsmodels.api as sm
from nbclient import NotebookClient
from toc import TEMPLATE, chapters

# Runs before the chapter. Keeps what was fitted, and in which cell.
RECORDER = """
import jax
import nemos.glm
import numpy
import scipy.optimize

_fits = []

def _other_link(model, X, y):
    # Log-likelihood per bin that is reached with another link than the exponential, and the
    # best one: Newton's steps of SciPy, from a constant rate. None for the exponential.
    link = model.inverse_link_function
    if link.__name__ == "exp":
        return None
    reached = numpy.asarray(link(X @ model.coef_ + model.intercept_))
    design = numpy.column_stack([X / X.std(axis=0), numpy.ones(len(X))])
    def loss(weights):
        mu = link(design @ weights)
        return jax.numpy.mean(mu - y * jax.numpy.log(mu))
    start = numpy.append(numpy.zeros(X.shape[1]), numpy.log(y.mean()))
    best = scipy.optimize.minimize(
        jax.jit(loss), start, method="trust-exact", jac=jax.jit(jax.grad(loss)),
        hess=jax.jit(jax.hessian(loss)), options={"gtol": 1e-12, "maxiter": 100},
    )
    return numpy.mean(y * numpy.log(reached) - reached), -float(best.fun)

def _recording(fit):
    def recorded_fit(self, X, y, *args, **kwargs):
        fitted = fit(self, X, y, *args, **kwargs)
        _fits.append({
            "cell": get_ipython().user_ns["In"][-1].strip(),  # the source of the running cell
            "X": numpy.asarray(X), "y": numpy.asarray(y),
            "coef": numpy.asarray(self.coef_), "intercept": numpy.asarray(self.intercept_),
            "unregularized": type(self.regularizer).__name__ == "UnRegularized",
            "poisson": type(self.observation_model).__name__ == "PoissonObservations",
            "other_link": _other_link(self, numpy.asarray(X), numpy.asarray(y)),
        })
        return fitted
    return recorded_fit

for _model in (nemos.glm.GLM, nemos.glm.PopulationGLM):
    if "fit" in vars(_model):
        _model.fit = _recording(_model.fit)
"""
SAVER = "import pickle; pickle.dump(_fits, open({file!r}, 'wb'))"
# How far a fit may be from the optimum: loss of log-likelihood per bin, and the ratio of the
# means from 1. A cell with the tag float32 shows what is to be had with 32 bits.
AT_OPTIMUM, WITH_32_BITS = (1e-9, 1e-6), (1e-7, 1e-3)


def tags(cell):
    return cell.metadata.get("tags", [])


def with_answers(cells):
    """Yield the cells of a chapter, and between them those that try its exercises."""
    stub = check = last = None
    for cell in cells:
        if stub is not None and "{solution-start}" in cell.source:
            label = cell.source.partition("{solution-start}")[2].split()[0]
            yield from tried(label, "stub", stub.source, check)
        if check is not None and "solution" in tags(cell) and cell.cell_type == "code":
            for wrong in cell.metadata.get("wrong", []):
                yield from tried(label, wrong["says"], wrong["answer"], check)
        if check is not None and "{solution-end}" in cell.source:
            yield from tried(label, "solution", "", check)
            stub = check = None
        yield cell
        if "check" in tags(cell):
            stub, check = last, cell.source
        last = cell


def tried(label, kind, answer, check):
    """Yield a cell with an answer, and one with the check of the exercise."""
    for part, source in (("answer", answer), ("check", check)):
        cell = nbformat.v4.new_code_cell(source)
        cell.metadata["tried"] = {"exercise": label, "kind": kind, "part": part}
        cell.metadata["tags"] = ["raises-exception"]  # the test says what went wrong
        yield cell


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group(path.stem))
        for path in [*chapters(), TEMPLATE]
    ],
)
def executed(request, tmp_path_factory):
    """One chapter, executed: its notebook and the fits that it made."""
    notebook = jupytext.read(request.param)
    notebook.cells = list(with_answers(notebook.cells))
    return notebook, run_chapter(notebook, request.param, tmp_path_factory.mktemp("fits"))


def run_chapter(notebook, path, folder, **environment):
    """Execute a chapter, with more in its environment if asked; return its fits.

    They are left in `folder`.
    """
    fits_something = "nemos" in path.read_text(encoding="utf-8")
    file = folder / "fits.pickle"
    if fits_something:
        notebook.cells.insert(0, nbformat.v4.new_code_cell(RECORDER))
        notebook.cells.append(nbformat.v4.new_code_cell(SAVER.format(file=str(file))))
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(notebook, timeout=300, resources=resources)
    client.execute(env={**os.environ, **environment})
    return pickle.loads(file.read_bytes()) if fits_something else []


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


VERIFIED = (
    "within the budget:",
    "the same within 1e-8:",
    "the same but for them:",
    "as good as equal:",
    "have the same weights:",
)


def test_what_a_chapter_verifies_holds(executed):
    """Of the data at hand; the text says that it does."""
    notebook, _ = executed
    said = "".join(output.get("text", "") for _, output in outputs(notebook))
    code = "".join(cell.source for cell in notebook.cells if cell.cell_type == "code")
    for phrase in VERIFIED:
        found = re.findall(rf"{phrase} (\w+)", said)
        assert set(found) == ({"True"} if phrase in code else set()), phrase


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
