"""The solver "Newton" against statsmodels' IRLS and NeMoS' L-BFGS, and where it must say no."""

import warnings

import jax
import nemos as nmo
import numpy as np
import pytest
import statsmodels.api as sm
from scipy.ndimage import gaussian_filter1d
from sklearn.linear_model import PoissonRegressor

from workshop_utils import register_newton

NEWTON = {"solver_name": "Newton"}
N_BINS = 10_000


@pytest.fixture(autouse=True)
def sixty_four_bits():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    register_newton()
    register_newton()  # as when a cell is run twice
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture(scope="module")
def neuron():
    """Predictors that overlap, as the features of a basis do, and counts: few and many."""
    noise = np.random.default_rng(0).standard_normal(N_BINS)
    X = np.column_stack([gaussian_filter1d(noise, width) for width in (2, 4, 8, 16)])
    X /= X.std(axis=0)
    mu = np.exp(-3 + X @ [0.8, -0.3, 0.5, 0.1])
    return X, np.random.default_rng(1).poisson(np.column_stack([mu, 10 * mu])).astype(float)


def irls(X, y):
    """Return weights, the intercept last, by statsmodels."""
    fit = sm.GLM(y, sm.add_constant(X, prepend=False), family=sm.families.Poisson())
    return np.asarray(fit.fit(maxiter=200, tol=1e-14).params)


def test_weights_are_those_of_statsmodels(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON).fit(X, y)
    found = np.append(model.coef_, model.intercept_)
    assert found == pytest.approx(irls(X, y), rel=1e-7)
    mu = np.asarray(model.predict(X))
    assert mu.mean() == pytest.approx(y.mean(), rel=1e-9)
    assert X.T @ (y - mu) / len(y) == pytest.approx(0, abs=1e-9)


def test_ridge_is_that_of_scikit_learn(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    settings = {"regularizer": "Ridge", "regularizer_strength": 0.01}
    model = nmo.glm.GLM(**settings, **NEWTON).fit(X, y)
    other = PoissonRegressor(alpha=0.01, solver="newton-cholesky", tol=1e-10).fit(X, y)
    assert np.asarray(model.coef_) == pytest.approx(other.coef_, rel=1e-7)
    assert float(model.intercept_[0]) == pytest.approx(other.intercept_, rel=1e-7)


def test_ridge_of_strength_zero_is_the_free_fit(neuron):
    """`choose_precision` gives it for large data: NeMoS then leaves out the rank."""
    X, (y, _) = neuron[0], neuron[1].T
    settings = {"regularizer": "Ridge", "regularizer_strength": 0.0}
    zero, free = (nmo.glm.GLM(**more, **NEWTON).fit(X, y) for more in (settings, {}))
    assert np.asarray(zero.coef_) == pytest.approx(np.asarray(free.coef_), rel=1e-12)
    assert zero.dof_resid_ == free.dof_resid_


def test_one_strength_for_each_weight_is_refused(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    each = {"regularizer": "Ridge", "regularizer_strength": np.full(X.shape[1], 0.01)}
    with pytest.raises(ValueError, match="one strength for all weights"):
        nmo.glm.GLM(**each, **NEWTON).fit(X, y)


def test_weights_and_score_are_those_of_lbfgs(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON).fit(X, y)
    kwargs = {"tol": 1e-12, "maxiter": 2000}
    other = nmo.glm.GLM(solver_name="LBFGS", solver_kwargs=kwargs).fit(X, y)
    assert np.asarray(model.coef_) == pytest.approx(np.asarray(other.coef_), rel=1e-6)
    assert float(model.score(X, y)) == pytest.approx(float(other.score(X, y)), abs=1e-12)


@pytest.mark.parametrize("unit", [1e-12, 1e3])
def test_the_unit_of_a_predictor_does_not_matter(neuron, unit):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON).fit(X * unit, y)
    assert np.asarray(model.coef_) * unit == pytest.approx(irls(X, y)[:-1], rel=1e-6)


def test_thirty_two_bits_reach_the_optimum(neuron):
    jax.config.update("jax_enable_x64", False)
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON).fit(X.astype("float32"), y.astype("float32"))
    assert model.coef_.dtype == "float32"
    assert np.asarray(model.coef_) == pytest.approx(irls(X, y)[:-1], rel=1e-4)


def test_a_population_is_its_neurons_one_by_one(neuron):
    X, y = neuron
    population = nmo.glm.PopulationGLM(**NEWTON).fit(X, y)
    for number in range(2):
        found = np.append(population.coef_[:, number], population.intercept_[number])
        assert found == pytest.approx(irls(X, y[:, number]), rel=1e-7)


def test_bins_without_a_past_are_left_out(neuron):
    X, (y, _) = neuron[0].copy(), neuron[1].T
    X[:200] = np.nan
    model = nmo.glm.GLM(**NEWTON).fit(X, y)
    assert np.asarray(model.coef_) == pytest.approx(irls(X[200:], y[200:])[:-1], rel=1e-7)


def test_a_bad_start_leads_to_the_same_optimum(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    start = (np.zeros(4), np.full(1, -12.0))  # a full step from here overshoots by far
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = nmo.glm.GLM(**NEWTON).fit(X, y, init_params=start)
    assert np.asarray(model.coef_) == pytest.approx(irls(X, y)[:-1], rel=1e-6)


def test_one_who_stops_early_is_told(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(solver_kwargs={"maxiter": 2}, **NEWTON)
    with pytest.warns(RuntimeWarning, match="did not converge"):
        model.fit(X, y)


def test_updates_are_single_steps(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON)
    params = model.initialize_params(X, y)
    name = "optimizer" if hasattr(model, "initialize_optimizer_and_state") else "solver"
    initialize = getattr(model, f"initialize_{name}_and_state")  # of 0.2.9, of 0.2.8
    state = initialize(X=X, y=y, init_params=params)
    for _ in range(10):
        params, state = model.update(params, state, X, y)[:2]
    assert np.asarray(model.coef_) == pytest.approx(irls(X, y)[:-1], rel=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.column_stack([X, X[:, 0] - X[:, 1]]), "a predictor is a sum of others"),
        (lambda X: np.column_stack([X, np.full(N_BINS, 2.0)]), "or constant"),
        (lambda X: np.column_stack([X, np.zeros(N_BINS)]), "zero in every bin"),
    ],
)
def test_weights_that_have_no_best_value_are_refused(neuron, change, message):
    X, (y, _) = neuron[0], neuron[1].T
    with pytest.raises(ValueError, match=message):
        nmo.glm.GLM(**NEWTON).fit(change(X), y)


@pytest.mark.parametrize("x64", [True, False])
@pytest.mark.parametrize(
    "other",
    [{"inverse_link_function": jax.nn.softplus}, {"observation_model": "Bernoulli"}],
    ids=["softplus", "Bernoulli"],
)
def test_another_model_is_refused(neuron, other, x64):
    jax.config.update("jax_enable_x64", x64)
    X, (y, _) = neuron[0], neuron[1].T
    with pytest.raises(ValueError, match="this solver is for Poisson counts"):
        nmo.glm.GLM(**NEWTON, **other).fit(X, np.minimum(y, 1))


@pytest.mark.parametrize("x64", [True, False])
def test_predictors_masked_for_a_neuron_are_refused(neuron, x64):
    """Even one that is at work in a single bin."""
    jax.config.update("jax_enable_x64", x64)
    X, y = neuron
    X = np.column_stack([X, np.arange(N_BINS) == y.sum(axis=1).argmax()])
    mask = np.ones((5, 2))
    mask[4, 0] = 0
    with pytest.raises(ValueError, match="all predictors for every neuron"):
        nmo.glm.PopulationGLM(feature_mask=mask, **NEWTON).fit(X, y)


def test_a_regularizer_with_edges_is_refused():
    with pytest.raises(ValueError, match="Newton is not allowed for Lasso"):
        nmo.glm.GLM(regularizer="Lasso", **NEWTON)


def test_silence_is_refused(neuron):
    X, y = neuron
    y = np.column_stack([y[:, 0], np.zeros(N_BINS)])
    with pytest.raises(ValueError, match=r"no spike|non-finite"):
        nmo.glm.PopulationGLM(**NEWTON).fit(X, y)
