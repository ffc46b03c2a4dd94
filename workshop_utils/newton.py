"""Newton's method as a solver for NeMoS: scikit-learn's, behind the interface of NeMoS."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["register_newton"]


class Newton:
    """Solver for NeMoS: Newton's method for Poisson counts and the exponential.

    An adapter for scikit-learn's ``newton-cholesky``, for `GLM` and, one neuron after the other,
    `PopulationGLM`, without a regularizer or with Ridge. It computes in 64 bits on the CPU, and
    has nothing to compile. `register_newton` makes it known to NeMoS. NeMoS gives the same
    arguments to every solver; these two are the user's choice, in ``solver_kwargs``:

    Parameters
    ----------
    tol : float
        Largest slope at the optimum: of the penalized log-likelihood per bin, along any weight.
    maxiter : int
        Largest number of steps.

    Raises
    ------
    ValueError
        For another model, a penalty strength for each weight, a neuron without spikes, or
        weights that the data do not determine.
    """

    def __init__(
        self,
        unregularized_loss: Any,
        regularizer: Any,
        regularizer_strength: float | None,
        has_aux: bool,
        init_params: Any = None,
        tol: float = 1e-10,
        maxiter: int = 50,
    ):
        self.loss = unregularized_loss
        try:
            self.ridge = float(regularizer_strength or 0.0)
        except (TypeError, ValueError):
            raise ValueError(
                "this solver takes one strength for all weights; choose LBFGS for several"
            ) from None
        self.tol, self.maxiter = tol, maxiter

    @classmethod
    def get_accepted_arguments(cls) -> set[str]:
        """Return the names that `solver_kwargs` may have."""
        return {"tol", "maxiter"}

    def init_state(self, init_params: Any, *args: Any) -> None:
        """Return no state: a step depends on the present weights only."""

    def update(self, params: Any, state: Any, *args: Any) -> tuple[Any, Any, None]:
        """Take one step."""
        return self._fit(params, args, max_iter=1)

    def run(self, init_params: Any, *args: Any) -> tuple[Any, Any, None]:
        """Take steps until the optimum is reached."""
        return self._fit(init_params, args, self.maxiter)

    def _fit(self, params: Any, args: tuple, max_iter: int) -> tuple[Any, Any, None]:
        import jax.numpy as jnp
        from nemos.solvers import OptimizationInfo, SolverAdapterState
        from sklearn.linear_model import PoissonRegressor
        from threadpoolctl import threadpool_limits

        X, y = (np.asarray(values, dtype=float) for values in args)
        self._check_model(params, y.shape[1:])
        if not y.any(axis=0).all():
            raise ValueError("a neuron has no spike: no rate is low enough")
        scale = scale_of(X, self.ridge)
        if 0.01 < scale.min() and scale.max() < 100:
            scale = np.ones_like(scale)  # near enough to 1: no copy
        else:
            X = X / scale
        model = PoissonRegressor(
            alpha=self.ridge / scale[0] ** 2,
            solver="newton-cholesky",
            tol=self.tol,
            max_iter=max_iter,
            warm_start=True,  # from the weights that NeMoS gives
        )
        coef = np.array(params.coef, dtype=float).reshape(X.shape[1], -1)
        intercept = np.array(params.intercept, dtype=float)
        n_steps, converged = 0, True
        # More threads of OpenMP gain nothing, and on a busy machine they wait for each other.
        with threadpool_limits(1, "openmp"):
            for i, counts in enumerate(y.reshape(len(y), -1).T):
                model.coef_, model.intercept_ = coef[:, i] * scale, intercept[i]
                converged &= fit_neuron(model, X, counts)
                coef[:, i], intercept[i] = model.coef_ / scale, model.intercept_
                n_steps = max(n_steps, model.n_iter_)
        fitted = type(params)(
            jnp.asarray(coef.reshape(params.coef.shape), params.coef.dtype),
            jnp.asarray(intercept, params.intercept.dtype),
        )
        stats = OptimizationInfo(None, n_steps, converged, n_steps == max_iter)
        return fitted, SolverAdapterState(None, stats), None

    def _check_model(self, params: Any, neurons: tuple) -> None:
        """Compare NeMoS' loss with that of the one model, on a few made-up bins."""
        import jax.numpy as jnp

        dtype, n_features = params.coef.dtype, len(params.coef)
        rng = np.random.default_rng(0)
        X = rng.uniform(0, 1, (64, n_features)).astype(dtype)
        y = rng.poisson(1, (64, *neurons)).astype(dtype)
        coef = jnp.full_like(params.coef, 1 / n_features)
        loss = self.loss(type(params)(coef, jnp.full_like(params.intercept, 0.1)), X, y)
        log_mu = X @ np.asarray(coef) + 0.1
        expected = np.mean(np.exp(log_mu) - y * log_mu, axis=0).sum()
        if not np.isclose(loss, expected, rtol=np.sqrt(np.finfo(dtype).eps)):
            raise ValueError(
                "this solver is for Poisson counts, the exponential and all predictors for "
                "every neuron; choose LBFGS for another model"
            )


def scale_of(X: NDArray, ridge: float) -> NDArray:
    """Return the root mean square of each predictor, or with Ridge the largest for all.

    scikit-learn's tolerance, and its test for a singular Hessian, depend on the unit.
    """
    scale = np.sqrt(np.einsum("ij,ij->j", X, X) / len(X))
    if ridge:
        scale[:] = scale.max()  # the penalty is on the weights as they are
    if not scale.all():
        raise ValueError("a predictor is zero in every bin: its weight has no best value")
    return scale


def fit_neuron(model: Any, X: NDArray, counts: NDArray) -> bool:
    """Fit a `PoissonRegressor` and return whether it is at the optimum.

    Raises
    ------
    ValueError
        If the Hessian is singular. scikit-learn does not always notice that, and goes on with
        L-BFGS when it does.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what they are about is checked below
        model.fit(X, counts)
    mu = model.predict(X)
    weighted = np.sqrt(mu)[:, np.newaxis] * X
    hessian = weighted.T @ weighted + model.alpha * len(X) * np.eye(X.shape[1])
    hessian = np.block([[hessian, (mu @ X)[:, np.newaxis]], [mu @ X, mu.sum()]])
    size = np.sqrt(np.diag(hessian))
    if np.linalg.cond(hessian / np.outer(size, size)) > 1e13:
        raise ValueError(
            "some weights have no best value: a predictor is a sum of others (or constant, as the "
            "intercept is), or there are too few spikes where it is at work. Leave it out, or "
            "choose the regularizer Ridge"
        )
    slopes = (mu - counts) @ X / len(X) + model.alpha * model.coef_
    return bool(max(np.abs(slopes).max(), abs(np.mean(mu - counts))) <= model.tol)


def register_newton() -> None:
    """Make the solver "Newton" known to NeMoS, unless NeMoS has one of its own.

    Then ``nmo.glm.GLM(solver_name="Newton")`` fits with it. A second call changes nothing.
    """
    import nemos as nmo

    if "Newton" not in nmo.solvers.list_available_algorithms():
        nmo.solvers.register("Newton", Newton)
        nmo.regularizer.UnRegularized.allow_solver("Newton")
        nmo.regularizer.Ridge.allow_solver("Newton")
