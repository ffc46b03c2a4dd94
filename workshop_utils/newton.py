"""Newton's method for the fits of the course, to be plugged into NeMoS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Newton", "register_newton"]

ROWS = 4096  # as many bins at a time as stay in the processor's cache


def derivatives(X: NDArray, y: NDArray, weights: NDArray) -> tuple[float, NDArray, NDArray]:
    """Return the negative log-likelihood of a Poisson GLM, its slope and its curvature.

    Per bin, without the term of log y!, in one pass over the data.

    Parameters
    ----------
    X : numpy.ndarray
        Predictors, shape ``(n_bins, n_features)``.
    y : numpy.ndarray
        Counts, shape ``(n_bins,)``.
    weights : numpy.ndarray
        The weights and, last, the intercept: shape ``(n_features + 1,)``.

    Returns
    -------
    tuple
        A number, an array of the shape of `weights`, and a square matrix.
    """
    loss, slope = 0.0, np.zeros(len(weights))
    curvature = np.zeros((len(weights), len(weights)))
    for start in range(0, len(X), ROWS):
        counts = y[start : start + ROWS]
        x = np.ones((len(weights), len(counts)))  # 64 bits, the last for the intercept
        x[:-1] = X[start : start + ROWS].T
        log_mu = weights @ x
        with np.errstate(over="ignore", invalid="ignore"):  # too long a step will be halved
            mu = np.exp(log_mu)
            loss += mu.sum() - counts @ log_mu
            slope += x @ (mu - counts)
            x *= np.sqrt(mu)
            curvature += x @ x.T  # of a matrix with itself, BLAS computes one half
    return loss / len(y), slope / len(y), curvature / len(y)


def newton_step(slope: NDArray, curvature: NDArray) -> NDArray:
    """Return the step to the bottom of the parabola that has this slope and curvature."""
    scale = np.sqrt(np.diag(curvature))  # predictors may have any unit
    if not (scale > 0).all():
        raise ValueError("a predictor is zero in every bin: its weight has no best value")
    scaled = curvature / np.outer(scale, scale)
    if np.linalg.cond(scaled) > 1e13:
        raise ValueError(
            "some weights have no best value: a predictor is a sum of others (or constant, as the "
            "intercept is), or there are too few spikes where it is at work. Leave it out, or "
            "choose the regularizer Ridge"
        )
    return -np.linalg.solve(scaled, slope / scale) / scale


def fit_newton(
    X: NDArray, y: NDArray, weights: NDArray, tol: float, maxiter: int, ridge: float = 0.0
) -> tuple[NDArray, float, int, bool]:
    """Return weights, penalized loss per bin, steps taken, and whether it converged.

    The loss is the negative log-likelihood plus half of `ridge` times the sum of the squared
    weights, as in NeMoS and scikit-learn; the intercept is free.

    A step goes to where a parabola with the present slope and curvature has its lowest point,
    and is halved until it leads downhill (Nocedal and Wright 2006, Numerical Optimization,
    chapter 3). The last one is the first that promises less than `tol`.
    """
    price = np.append(np.full(len(weights) - 1, ridge), 0.0)

    def penalized(weights: NDArray) -> tuple[float, NDArray, NDArray]:
        loss, slope, curvature = derivatives(X, y, weights)
        return (
            loss + price @ weights**2 / 2,
            slope + price * weights,
            curvature + np.diag(price),
        )

    loss, slope, curvature = penalized(weights)
    for number in range(1, maxiter + 1):
        step = newton_step(slope, curvature)
        promised = -slope @ step / 2
        if promised < tol:
            return weights + step, loss - promised, number, True
        for _ in range(30):
            there = penalized(weights + step)
            if there[0] < loss:
                break
            step = step / 2
        else:  # no way down: rounding errors are larger than what is left to gain
            return weights, loss, number, False
        weights, (loss, slope, curvature) = weights + step, there
    return weights, loss, maxiter, False


class Newton:
    """A solver for NeMoS: Newton's method for Poisson counts and the exponential.

    It fits `GLM` and, one neuron after the other, `PopulationGLM`, free or with Ridge. It
    computes with NumPy on the processor: nothing is translated before the first fit.
    `register_newton` makes it known to NeMoS. The arguments are those that NeMoS gives to
    every solver; the two that a user chooses (`solver_kwargs`) are:

    Parameters
    ----------
    tol : float
        Stop at the step that promises to raise the log-likelihood per bin by less.
    maxiter : int
        Largest number of steps.
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
        self.fun = unregularized_loss
        try:
            self.ridge = float(regularizer_strength or 0.0)
        except (TypeError, ValueError):
            raise ValueError(
                "this solver takes one strength for all weights; choose LBFGS for several"
            ) from None
        self.tol, self.maxiter = tol, maxiter

    def init_state(self, init_params: Any, *args: Any) -> None:
        """Return nothing: where Newton's method goes depends on where it is alone."""

    def update(self, params: Any, state: Any, *args: Any) -> tuple[Any, Any, None]:
        """Take one step."""
        return self._fit(params, args, maxiter=1)

    def run(self, init_params: Any, *args: Any) -> tuple[Any, Any, None]:
        """Take steps until the optimum is reached."""
        return self._fit(init_params, args, self.maxiter)

    def _fit(self, params: Any, args: tuple, maxiter: int) -> tuple[Any, Any, None]:
        import jax.numpy as jnp
        from nemos.solvers import OptimizationInfo

        X, y = (np.asarray(values) for values in args)
        coef, intercept = np.asarray(params.coef), np.asarray(params.intercept)
        self._refuse_another_model(type(params), coef, intercept, y.shape[1:])
        if not y.any(axis=0).all():
            raise ValueError("there is no spike: no rate is low enough")
        columns = np.vstack([coef.reshape(X.shape[1], -1), intercept]).T.astype(float)
        neurons = y.reshape(len(y), -1).T
        fits = [
            fit_newton(X, counts, weights, self.tol, maxiter, self.ridge)
            for counts, weights in zip(neurons, columns, strict=True)
        ]
        weights, losses, steps, converged = (np.array(v) for v in zip(*fits, strict=True))
        found = type(params)(
            jnp.asarray(weights[:, :-1].T.reshape(coef.shape), coef.dtype),
            jnp.asarray(weights[:, -1], intercept.dtype),
        )
        n_steps = int(steps.max())
        loss = float(losses.sum())
        info = OptimizationInfo(loss, n_steps, bool(converged.all()), n_steps == maxiter)
        return found, info, None

    def _refuse_another_model(
        self, kind: Any, coef: NDArray, intercept: NDArray, neurons: Any
    ) -> None:
        """Compare NeMoS' loss with the one above, on few made-up data: the same for any data."""
        import jax.numpy as jnp

        rng = np.random.default_rng(0)
        n_features = coef.shape[0]
        X = rng.uniform(0, 1, (64, n_features)).astype(coef.dtype)
        y = rng.poisson(1, (64, *neurons)).astype(coef.dtype)
        weights = np.append(np.full(n_features, 1 / n_features), 0.1)
        same = np.full_like(coef, weights[0]), np.full_like(intercept, weights[-1])
        point = kind(*map(jnp.asarray, same))
        own = sum(derivatives(X, counts, weights)[0] for counts in y.reshape(64, -1).T)
        theirs = self.fun(point, jnp.asarray(X), jnp.asarray(y))
        if not np.isclose(own, theirs, rtol=np.sqrt(np.finfo(coef.dtype).eps)):
            raise ValueError(
                "this solver is for Poisson counts, the exponential and all predictors for "
                "every neuron; choose LBFGS for another model"
            )

    @classmethod
    def get_accepted_arguments(cls) -> set[str]:
        """Return the names that `solver_kwargs` may have."""
        return {"tol", "maxiter"}

    def get_optim_info(self, state: Any) -> Any:
        """Return what NeMoS asks for after a fit: whether it converged, in how many steps."""
        return state


def register_newton() -> None:
    """Make the solver "Newton" known to NeMoS.

    Then ``nmo.glm.GLM(solver_name="Newton")`` fits with it. A second call changes nothing.
    """
    import nemos as nmo

    nmo.solvers.register("Newton", Newton, replace=True)
    nmo.regularizer.UnRegularized.allow_solver("Newton")
    nmo.regularizer.Ridge.allow_solver("Newton")
