"""A fit in chunks is the fit to all data at once: the functions of content/choose_precision.md."""

import ast

import jax
import jax.numpy as jnp
import jupytext
import numpy as np
import pytest
import statsmodels.api as sm
from toc import ROOT

FUNCTIONS = ("sums", "add_up", "newton")


@pytest.fixture(scope="module")
def newton():
    """The chapter's function, with those that it calls."""
    jax.config.update("jax_enable_x64", True)
    names = {"jax": jax, "jnp": jnp, "np": np}
    for cell in jupytext.read(ROOT / "content" / "choose_precision.md").cells:
        if cell.cell_type == "code" and "skip-execution" not in cell.metadata.get("tags", []):
            for node in ast.parse(cell.source).body:
                if isinstance(node, ast.FunctionDef) and node.name in FUNCTIONS:
                    exec(compile(ast.Module([node], []), "chapter", "exec"), names)
    return names["newton"]


@pytest.fixture(scope="module")
def data():
    """Predictors with a column of ones, and counts of a simulated neuron that fires rarely."""
    rng = np.random.default_rng(0)
    X = np.column_stack(
        [rng.standard_normal((5000, 4)) @ rng.standard_normal((4, 4)), np.ones(5000)]
    )
    weights = np.array([0.5, -0.3, 0.2, 0.0, -4.0])
    return X, rng.poisson(np.exp(X @ weights)).astype(float)


@pytest.fixture(scope="module")
def at_once(data):
    """The weights by iteratively reweighted least squares of statsmodels, all data at once."""
    X, y = data
    return sm.GLM(y, X, family=sm.families.Poisson()).fit(maxiter=200, tol=1e-14).params


@pytest.mark.parametrize("n_bins", [5000, 1234, 500])
def test_chunks_of_any_size_give_the_fit_to_all_data(newton, data, at_once, n_bins):
    X, y = data

    def chunks():
        for first in range(0, len(y), n_bins):
            yield X[first : first + n_bins], y[first : first + n_bins]

    weights, heights = newton(chunks, np.append(np.zeros(4), np.log(y.mean())))
    np.testing.assert_allclose(weights, at_once, rtol=1e-8)
    assert np.all(np.diff(heights) >= 0)


def test_a_start_from_far_off_arrives_too(newton, data, at_once):
    """With weights of zero the first steps go too far: they are halved."""
    weights, _ = newton(lambda: [data], np.array([0.0, 0, 0, 0, 5]))
    np.testing.assert_allclose(weights, at_once, rtol=1e-8)


def test_a_chunk_that_is_left_out_is_noticed(newton, data, at_once):
    X, y = data
    weights, _ = newton(lambda: [(X[500:], y[500:])], np.zeros(5))
    assert np.abs(weights - at_once).max() > 1e-3
