"""Make the notebooks that `make test` executes with nbmake: chapters whose exercises are tried.

Behind each stub the stub itself, the wrong answers of content/wrong_answers and the solution
are tried in the chapter's own kernel, and every fit is recorded. test_execution.py looks at
the result.

Usage: python tests/tested.py [SLUG ...]        (`make test` does it)
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))

from editions import wrong_answers  # noqa: E402
from toc import TEMPLATE, chapters  # noqa: E402

FOLDER = ROOT / "build" / "tested"

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
# Chapters run in content/; all of one run use the same data.
START = "import os; os.chdir({folder!r}); os.environ['WORKSHOP_DATA_SOURCE'] = {source!r}"


def tags(cell):
    """Return the tags of a cell."""
    return cell.metadata.get("tags", [])


def with_answers(cells, answers):
    """Yield the cells of a chapter, and between them those that try its exercises."""
    stub = check = last = None
    for cell in cells:
        if stub is not None and "{solution-start}" in cell.source:
            label = cell.source.partition("{solution-start}")[2].split()[0]
            yield from tried(label, "stub", stub.source, check)
            for says, answer in answers.get(label, ()):
                yield from tried(label, says, answer, check)
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
        cell.metadata["tags"] = ["raises-exception"]  # test_execution.py says what went wrong
        yield cell


def recorded(notebook, path, fits, source):
    """Return the notebook of a chapter with what records its fits; they are kept in a file."""
    start = [START.format(folder=str(path.parent), source=source)]
    end = []
    if "nemos" in path.read_text(encoding="utf-8"):
        start.append(RECORDER)
        end.append(SAVER.format(file=str(fits)))
    new = nbformat.v4.new_code_cell
    notebook.cells = [*map(new, start), *notebook.cells, *map(new, end)]
    return notebook


def write(path, source, folder=FOLDER):
    """Write the tested notebook of one chapter; results of an earlier run go."""
    notebook = jupytext.read(path)
    notebook.cells = list(with_answers(notebook.cells, wrong_answers(path.stem)))
    fits = folder / f"{path.stem}.pickle"
    fits.unlink(missing_ok=True)
    nbformat.write(recorded(notebook, path, fits, source), folder / f"{path.stem}.ipynb")


def main():
    from workshop_utils import fetch_data, provenance

    source = os.environ.get("WORKSHOP_DATA_SOURCE") or "auto"
    if source == "auto":
        source = provenance(fetch_data("allen_478498617.nwb")).kind
    FOLDER.mkdir(parents=True, exist_ok=True)
    paths = [*chapters(), TEMPLATE]
    for old in FOLDER.iterdir():
        if old.stem not in {path.stem for path in paths}:
            old.unlink()
    for path in paths:
        if len(sys.argv) == 1 or path.stem in sys.argv[1:]:
            write(path, source)


if __name__ == "__main__":
    main()
