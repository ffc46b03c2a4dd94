"""Time fits of Poisson GLMs to the optimum, in NeMoS and elsewhere (`make -C benchmarks bench`).

Each solver gets a process of its own for each size: the first fit there is the first that a
reader waits for, translation by JAX included; the repeated one is a new model of the same
shape, median of up to five. A time counts only if the log-likelihood per bin is within 1e-9 of the
optimum's, which scikit-learn finds beforehand in 64 bits; the table says how far it was.

*Warm cache* is a second process, which finds JAX's translations in a folder. *Ridge 0* is the same
fit with a penalty of strength zero, after which NeMoS does not compute the rank of the predictors.
"First / fastest" compares the first fits, with the import of the library left out.

Usage: python benchmarks/fits.py [--sizes 28020x8,1000000x100] [--solvers ...] [--limit 60]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from common import CACHE, show, store

SIZES = "28020x8,28020x200,1000000x8,1000000x100"
AT_OPTIMUM = 1e-9
REPEATS = 5
ENOUGH_S = 5  # no third fit where two took longer
COLUMNS = (
    "solver", "first (s)", "repeated (s)", "first / fastest", "repeated / fastest",
    "import (s)", "above the optimum",
)  # fmt: skip


def nemos(name, penalty=None, **kwargs):
    def prepare(X, y):
        import jax

        jax.config.update("jax_enable_x64", X.dtype == np.float64)
        import nemos as nmo

        from workshop_utils import register_newton

        register_newton()
        glm = nmo.glm.GLM  # imported at the first use

        def fit():
            model = glm(
                solver_name=name,
                solver_kwargs=kwargs,
                regularizer="UnRegularized" if penalty is None else "Ridge",
                regularizer_strength=penalty,
            ).fit(X, y)
            return np.append(np.asarray(model.coef_), np.asarray(model.intercept_))

        return fit

    return prepare


def statsmodels(X, y):
    import statsmodels.api as sm

    def fit():
        design = sm.add_constant(X, prepend=False)
        return sm.GLM(y, design, family=sm.families.Poisson()).fit(tol=1e-10).params

    return fit


def sklearn(name, **kwargs):
    def prepare(X, y):
        from sklearn.linear_model import PoissonRegressor

        def fit():
            model = PoissonRegressor(alpha=0, solver=name, max_iter=10_000, **kwargs).fit(X, y)
            return np.append(model.coef_, model.intercept_)

        return fit

    return prepare


def glum(X, y):
    from glum import GeneralizedLinearRegressor

    def fit():
        model = GeneralizedLinearRegressor(family="poisson", alpha=0, gradient_tol=1e-8)
        model.fit(X, y)
        return np.append(model.coef_, model.intercept_)

    return fit


SOLVERS = {
    "NeMoS Newton": nemos("Newton"),
    "NeMoS Newton (warm cache)": nemos("Newton"),
    "NeMoS Newton + Ridge 0": nemos("Newton", penalty=0.0),
    "NeMoS Newton + Ridge 0 (warm cache)": nemos("Newton", penalty=0.0),
    "NeMoS LBFGS": nemos("LBFGS", tol=1e-12, maxiter=2000),
    "statsmodels IRLS": statsmodels,
    "scikit-learn newton-cholesky": sklearn("newton-cholesky", tol=1e-8),
    "scikit-learn lbfgs": sklearn("lbfgs", tol=1e-8),
    "glum": glum,
}


def make_data(rows, columns):
    """Return predictors, neighbours alike as those of a basis are, and counts: 1 in 20 bins."""
    rng = np.random.default_rng([rows, columns])
    X = rng.standard_normal((rows, columns))
    for j in range(1, columns):
        X[:, j] = 0.9 * X[:, j - 1] + np.sqrt(1 - 0.9**2) * X[:, j]
    weights = rng.standard_normal(columns)
    weights *= 0.7 / np.std(X[:10_000] @ weights)
    return X, rng.poisson(np.exp(np.log(0.04) + X @ weights)).astype(float)


def best(X, y):
    """Return the lowest negative log-likelihood per bin, and check that it is."""
    from sklearn.linear_model import PoissonRegressor

    model = PoissonRegressor(alpha=0, solver="newton-cholesky", tol=1e-12).fit(X, y)
    residuals = model.predict(X) - y
    slopes = np.append(residuals @ X, residuals.sum()) / len(y)
    assert np.abs(slopes).max() < 1e-11, slopes
    return loss(np.append(model.coef_, model.intercept_), X, y)


def loss(weights, X, y):
    """Return the negative log-likelihood per bin, without the term of log y!."""
    log_mu = X @ weights[:-1] + weights[-1]
    return float(np.mean(np.exp(log_mu) - y * log_mu))


def judge(weights, X, y, optimum):
    """Return how far above the lowest negative log-likelihood per bin these weights are."""
    return loss(np.asarray(weights, dtype=float), X, y) - optimum


def run_one(folder, solver, kind):
    """Fit with one solver and print what came out: this is the fresh process."""
    import warnings

    warnings.simplefilter("ignore")  # who does not converge is found out below
    X = np.load(Path(folder, "X.npy")).astype(kind, copy=False)
    y = np.load(Path(folder, "y.npy")).astype(kind)
    start = time.perf_counter()
    fit = SOLVERS[solver](X, y)
    imported = time.perf_counter() - start
    seconds, weights = [], None
    while len(seconds) < 2 or (len(seconds) <= REPEATS and sum(seconds) < ENOUGH_S):
        start = time.perf_counter()
        weights = fit()
        seconds.append(time.perf_counter() - start)
    optimum = json.loads(Path(folder, "optimum.json").read_text())
    found = {
        "import": imported,
        "first": seconds[0],
        "repeated": statistics.median(seconds[1:]),
        "above": judge(weights, X, y, optimum),
    }
    print(json.dumps(found))


def measure(size, solvers, limit):
    """Return a table for each kind of numbers."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        X, y = make_data(*shape(size))
        Path(folder, "optimum.json").write_text(json.dumps(best(X, y)))
        np.save(Path(folder, "X.npy"), X)
        np.save(Path(folder, "y.npy"), y)
        del X, y
        for kind in ("float64", "float32"):
            rows = [row(folder, size, kind, solver, limit) for solver in solvers]
            compare(rows)
            rows = [{name: r[name] for name in COLUMNS if name in r} for r in rows]
            bins, columns = shape(size)
            title = f"Fits to the optimum: {bins} bins, {columns} predictors, {kind}"
            tables.append({"title": title, "rows": rows})
    return tables


def shape(size):
    return tuple(int(number) for number in size.split("x"))


def row(folder, size, kind, solver, limit):
    """Return one row of the table, from a process that may take `limit` seconds."""
    command = [sys.executable, __file__, "--one", folder, solver, kind]
    new = {"solver": solver}
    # No cache, and every processor for everybody.
    left_out = ("JAX_", "OPENBLAS_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(left_out)}
    if "warm" in solver:
        environment |= CACHE | {"JAX_COMPILATION_CACHE_DIR": str(Path(folder, "cache"))}
    try:
        if "warm" in solver:
            subprocess.run(command, capture_output=True, timeout=limit, env=environment)
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=limit, env=environment
        )
    except subprocess.TimeoutExpired:
        new |= {"first (s)": f"over {limit} in all", "repeated (s)": ""}
        print(size, kind, new)
        return new
    if done.returncode:
        error = done.stderr.strip().splitlines()[-1][:60]
        new |= {"first (s)": f"failed: {error}", "repeated (s)": ""}
        print(size, kind, new)
        return new
    found = json.loads(done.stdout.splitlines()[-1])
    counts = abs(found["above"]) <= AT_OPTIMUM
    if counts:
        new |= {"first (s)": found["first"], "repeated (s)": found["repeated"]}
    else:
        new |= {"first (s)": "not at the optimum", "repeated (s)": ""}
    new |= {"import (s)": found["import"], "above the optimum": f"{found['above']:.1e}"}
    print(size, kind, new)
    return new


def compare(rows):
    """Add to each row how many times longer it took than the fastest."""
    for column in ("first", "repeated"):
        times = [r[f"{column} (s)"] for r in rows if isinstance(r[f"{column} (s)"], float)]
        for r in rows:
            if isinstance(r[f"{column} (s)"], float):
                r[f"{column} / fastest"] = r[f"{column} (s)"] / min(times)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default=SIZES)
    parser.add_argument("--solvers", default=",".join(SOLVERS))
    parser.add_argument("--limit", type=int, default=60, help="seconds for one process")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run_one(*arguments.one)
        return
    tables = []
    for size in arguments.sizes.split(","):
        tables += measure(size, arguments.solvers.split(","), arguments.limit)
        # After each size: the next may be the one that somebody does not want to wait for.
        store("fits", "python benchmarks/fits.py --sizes " + arguments.sizes, tables)
    show(tables)


if __name__ == "__main__":
    main()
