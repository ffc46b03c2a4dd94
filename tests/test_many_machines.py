"""Sweep on many machines: the chapter's functions give the same answer however they are run."""

import ast
import os
import subprocess
import sys

import jupytext
import numpy as np
import psutil
import pytest
from toc import ROOT

CHAPTER = ROOT / "content" / "many_machines.md"


def functions(**names):
    """Return the chapter's imports and functions, with these values of its names."""
    found = {"__name__": "__main__", **names}  # as in a notebook, so that they travel by value
    for cell in jupytext.read(CHAPTER).cells:
        if cell.cell_type != "code" or "exercise" in cell.metadata.get("tags", []):
            continue
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.Import | ast.ImportFrom | ast.FunctionDef):
                exec(compile(ast.Module([node], []), CHAPTER.name, "exec"), found)
    return found


@pytest.fixture(scope="module")
def chapter():
    """The functions, three short simulated sweeps and what a plain loop makes of them."""
    import jax

    jax.config.update("jax_enable_x64", True)  # here; the workers must see to it themselves
    rng = np.random.default_rng(0)
    current = np.convolve(rng.standard_normal((3, 4020)).ravel(), np.ones(20) / 20, "same")
    sweeps = [(x, rng.poisson(0.05 * np.exp(np.roll(x, 3)))) for x in current.reshape(3, 4020)]
    tasks = [(n, window, fold) for n in (3, 5) for window in (50, 200) for fold in range(3)]
    chapter = functions(sweeps=sweeps, tasks=tasks, max_window=200)
    chapter["serial"] = {task: chapter["score"](sweeps, *task) for task in tasks}
    return chapter


@pytest.fixture(scope="module")
def client():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address="127.0.0.1:0",
            silence_logs="ERROR",
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def assert_same(results, serial):
    """Assert that results, pairs of task and result, are those of the loop."""
    assert {task for task, _ in results} == serial.keys()
    for task, result in results:
        assert result["process"] != os.getpid()
        assert result["bits"] == pytest.approx(serial[task]["bits"], abs=1e-11)
        assert result["mean ratio"] == pytest.approx(1, abs=1e-6)


def test_every_fit_of_the_loop_is_at_its_optimum(chapter):
    assert len(chapter["serial"]) == 12
    for result in chapter["serial"].values():
        assert result["mean ratio"] == pytest.approx(1, abs=1e-6)
        assert result["slope"] < 1e-8


def test_workers_find_what_the_loop_finds(chapter, client):
    results = chapter["collect"](chapter["hand_in"](client))
    assert_same(results.items(), chapter["serial"])
    assert len({result["process"] for result in results.values()}) == 2


def test_a_second_client_finds_it_by_the_address(chapter, client):
    from distributed import Client

    with Client(client.scheduler.address) as second:
        results = chapter["collect"](chapter["hand_in"](second))
    assert_same(results.items(), chapter["serial"])


def test_a_worker_that_dies_loses_nothing(chapter, client, monkeypatch):
    from distributed import as_completed

    monkeypatch.setitem(chapter, "tasks", 3 * chapter["tasks"])  # enough to die amidst
    victim = next(iter(client.run(os.getpid).values()))
    jobs, results = chapter["hand_in"](client), []
    for job in as_completed(jobs):
        results.append((jobs[job], job.result()))
        if len(results) == 4:
            psutil.Process(victim).kill()
    assert len(results) == len(jobs) == 36
    assert_same(results, chapter["serial"])
    client.wait_for_workers(2)
    assert victim not in client.run(os.getpid).values()


def test_a_function_carries_the_arrays_that_it_names(chapter):
    import cloudpickle

    assert len(cloudpickle.dumps(chapter["score"])) < 20_000
    chapter["lookback"] = np.zeros(1_000_000)
    assert len(cloudpickle.dumps(chapter["greedy"])) > 8_000_000


def test_sharded_weights_are_those_of_one_device_and_of_single_fits():
    """In a process of its own: JAX makes its devices when it first computes."""
    flags = {"XLA_FLAGS": "--xla_force_host_platform_device_count=4", "JAX_PLATFORMS": "cpu"}
    path = os.pathsep.join([str(ROOT), str(ROOT / "book"), str(ROOT / "tests")])
    subprocess.run(
        [sys.executable, __file__],
        env=os.environ | flags | {"PYTHONPATH": path},
        check=True,
        timeout=300,
    )


def fit_sharded():
    """Fit eight simulated neurons on four devices, on one, and each alone."""
    import jax
    import nemos as nmo
    from jax.sharding import Mesh, NamedSharding, PartitionSpec

    jax.config.update("jax_enable_x64", True)
    chapter = functions()
    rng = np.random.default_rng(1)
    X = np.column_stack([np.ones(5000), rng.standard_normal((5000, 4))])
    true = rng.normal(0, 0.3, (5, 8))
    true[0] = -3
    counts = rng.poisson(np.exp(X @ true)).astype(float)
    products = (X[:, :, None] * X[:, None, :]).reshape(len(X), -1)
    start = np.zeros((5, 8))
    start[0] = np.log(counts.mean(axis=0))
    together, slopes = chapter["fit_newton"](X, products, counts, start)
    assert slopes.max() < 1e-12

    devices = jax.devices()
    assert len(devices) == 4
    mesh = Mesh(np.array(devices), ("neurons",))
    cut = NamedSharding(mesh, PartitionSpec(None, "neurons"))
    X_all, products_all = jax.device_put((X, products), NamedSharding(mesh, PartitionSpec()))
    counts_cut, start_cut = jax.device_put((counts, start), cut)
    arguments = X_all, products_all, counts_cut
    compiled = chapter["newton_step"].lower(start_cut, *arguments).compile().as_text()
    assert "all-gather" not in compiled, "a device asks another"
    assert "all-reduce" not in compiled, "a device asks another"
    sharded, slopes = chapter["fit_newton"](*arguments, start_cut)
    assert [piece.data.shape for piece in sharded.addressable_shards] == [(5, 2)] * 4
    assert slopes.max() < 1e-12
    np.testing.assert_allclose(sharded, together, rtol=0, atol=1e-12)

    for neuron in range(8):
        glm = nmo.glm.GLM(solver_name="LBFGS", solver_kwargs={"tol": 1e-12, "maxiter": 2000})
        glm.fit(X[:, 1:], counts[:, neuron])
        single = np.append(glm.intercept_, glm.coef_)
        np.testing.assert_allclose(together[:, neuron], single, rtol=0, atol=1e-6)


if __name__ == "__main__":
    fit_sharded()
