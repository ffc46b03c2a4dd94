"""The solver "Newton" against statsmodels' IRLS and NeMoS' L-BFGS, and what it refuses."""

import subprocess
import sys
import warnings

import jax
import nemos as nmo
import numpy as np
import pytest
import statsmodels.api as sm
from scipy.ndimage import gaussian_filter1d

from workshop_utils import register_newton

NEWTON = {"solver_name": "Newton"}
N_BINS = 10_000


@pytest.fixture(autouse=True)
def float64():
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
    weights = np.append(model.coef_, model.intercept_)
    assert weights == pytest.approx(irls(X, y), rel=1e-7)
    mu = np.asarray(model.predict(X))
    assert mu.mean() == pytest.approx(y.mean(), rel=1e-9)
    assert X.T @ (y - mu) / len(y) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize("unit", [1, 1e-10, 1e3])
@pytest.mark.parametrize("dependent", [False, True])
def test_ridge_is_at_the_optimum_that_nemos_defines(neuron, unit, dependent):
    """Where the penalty pulls as much as the counts, also if predictors depend on each other."""
    X, (y, _) = neuron[0] * unit, neuron[1].T
    if dependent:
        X = np.column_stack([X, X[:, 0] - X[:, 1]])
    strength = 0.01 * unit**2
    model = nmo.glm.GLM(regularizer="Ridge", regularizer_strength=strength, **NEWTON).fit(X, y)
    mu, coef = np.asarray(model.predict(X)), np.asarray(model.coef_)
    pull = X.T @ (y - mu) / len(y) / unit
    assert pull == pytest.approx(strength * coef / unit, abs=1e-9)
    assert np.abs(pull).max() > 1e-3
    assert mu.mean() == pytest.approx(y.mean(), rel=1e-8)


def test_ridge_of_strength_zero_is_the_fit_without_a_penalty(neuron):
    """NeMoS then skips the rank of the predictors: `choose_precision` advises it."""
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


@pytest.mark.parametrize("unit", [1e-12, 1e3, np.array([1e-12, 1, 1e6, 1e3])])
def test_the_unit_of_a_predictor_does_not_matter(neuron, unit):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON).fit(X * unit, y)
    assert np.asarray(model.coef_) * unit == pytest.approx(irls(X, y)[:-1], rel=1e-6)


def test_data_in_float32_reach_the_optimum(neuron):
    jax.config.update("jax_enable_x64", False)
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON).fit(X.astype("float32"), y.astype("float32"))
    assert model.coef_.dtype == "float32"
    assert model.solver_state_.stats.converged  # to a tolerance that float32 cannot reach
    assert np.asarray(model.coef_) == pytest.approx(irls(X, y)[:-1], rel=1e-5)


def test_a_population_is_its_neurons_one_by_one(neuron):
    X, y = neuron
    population = nmo.glm.PopulationGLM(**NEWTON).fit(X, y)
    for i in range(2):
        weights = np.append(population.coef_[:, i], population.intercept_[i])
        assert weights == pytest.approx(irls(X, y[:, i]), rel=1e-7)


def test_a_population_converges_when_all_its_neurons_do(neuron):
    X, y = neuron
    optimum = irls(X, y[:, 1])
    start = np.column_stack([np.zeros(4), optimum[:-1]]), np.array([-3, optimum[-1]])
    population = nmo.glm.PopulationGLM(solver_kwargs={"maxiter": 2}, **NEWTON)
    with pytest.warns(RuntimeWarning, match="did not converge"):
        population.fit(X, y, init_params=start)


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


def test_a_fit_that_starts_at_the_optimum_stays_there(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    first = nmo.glm.GLM(**NEWTON).fit(X, y)
    again = nmo.glm.GLM(**NEWTON).fit(X, y, init_params=(first.coef_, first.intercept_))
    assert again.solver_state_.stats.converged
    assert again.solver_state_.stats.num_steps <= 1
    assert np.asarray(again.coef_) == pytest.approx(np.asarray(first.coef_), rel=1e-7)


@pytest.mark.parametrize("name", ["Newton", "LBFGS"])
def test_the_state_says_the_same_as_that_of_other_solvers(neuron, name):
    X, (y, _) = neuron[0], neuron[1].T
    stats = nmo.glm.GLM(solver_name=name).fit(X, y).solver_state_.stats
    assert stats.converged and not stats.reached_max_steps
    assert 2 < int(stats.num_steps) < 100
    early = nmo.glm.GLM(solver_name=name, solver_kwargs={"maxiter": 2})
    with pytest.warns(RuntimeWarning, match="did not converge"):
        stats = early.fit(X, y).solver_state_.stats
    assert (bool(stats.converged), bool(stats.reached_max_steps)) == (False, True)
    assert int(stats.num_steps) == 2


def test_updates_are_single_steps(neuron):
    X, (y, _) = neuron[0], neuron[1].T
    model = nmo.glm.GLM(**NEWTON)
    params = model.initialize_params(X, y)
    state = model.initialize_optimizer_and_state(X=X, y=y, init_params=params)
    distances = []
    for _ in range(10):
        params, state = model.update(params, state, X, y)[:2]
        distances.append(np.abs(np.asarray(model.coef_) - irls(X, y)[:-1]).max())
    assert distances[0] > 1e-3 > 1e-6 > distances[-1]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: np.column_stack([X, X[:, 0] - X[:, 1]]), "a predictor is a sum of others"),
        # scikit-learn does not notice:
        (lambda X: np.column_stack([X, X[:, 0] * (1 + 1e-7 * X[:, 3])]), "a sum of others"),
        (lambda X: np.column_stack([X, np.full(N_BINS, 2.0)]), "or constant"),
        (lambda X: np.column_stack([X, np.zeros(N_BINS)]), "zero in every bin"),
    ],
)
def test_weights_that_have_no_best_value_are_refused(neuron, change, message):
    X, (y, _) = neuron[0], neuron[1].T
    with pytest.raises(ValueError, match=message):
        nmo.glm.GLM(**NEWTON).fit(change(X), y)


def test_too_few_spikes_are_refused(neuron):
    """Four weights can push the rate to zero everywhere but in the two bins with a spike."""
    X = neuron[0][:2000:100]
    y = np.isin(np.arange(len(X)), [3, 11]).astype(float)
    with pytest.raises(ValueError, match="too few spikes"):
        nmo.glm.GLM(**NEWTON).fit(X, y)


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


def test_a_neuron_without_spikes_is_refused(neuron):
    X, y = neuron
    start = np.zeros((4, 2)), np.zeros(2)  # without it NeMoS says so before the solver
    with pytest.raises(ValueError, match="a neuron has no spike"):
        nmo.glm.PopulationGLM(**NEWTON).fit(X, y * [1, 0], init_params=start)


def test_a_solver_of_nemos_with_this_name_is_left_alone():
    """Ours can be deleted when NeMoS releases its own."""
    code = """
import nemos as nmo
from workshop_utils import register_newton
own = nmo.solvers.get_solver("LBFGS").implementation  # stands for NeMoS' Newton
nmo.solvers.register("Newton", own, backend="nemos", default=True)
nmo.regularizer.UnRegularized.allow_solver("Newton")
register_newton()
assert nmo.solvers.list_algo_backends("Newton") == ["nemos"]
assert nmo.glm.GLM(solver_name="Newton").solver_spec.implementation is own
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
