"""Every chapter on a GPU and on the CPU: the same numbers? (`make -C benchmarks gpu`)

A chapter is executed twice, in fresh kernels: on the CPU alone, and with the GPU as JAX's
default. Each fit that it makes is recorded as in tests/tested.py, and the weights of both runs
are compared. What was found, with times, goes to content/results/gpu.json, which the status
page and the chapter choose_precision show.

GPU_PLATFORM=cpu compares the CPU with itself, to try this file where there is no GPU; nothing is
stored then.
"""

import json
import os
import pickle
import platform
import subprocess
import sys
import time
from importlib.metadata import version

import jupytext
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient
from tested import recorded, tags
from toc import ROOT, chapters

GPU_RESULT = ROOT / "content" / "results" / "gpu.json"
PLATFORM = os.environ.get("GPU_PLATFORM", "cuda,cpu")
#: Largest relative difference of a neuron's weights, in 64 bits.
SAME = 1e-6
#: Tags of cells whose fits differ more between devices, and why.
EXPLAINED = {
    "float32": "has seven digits, and a solver that cannot see more",
    "stops-early": "is not at its optimum: where it stops hangs on the last digits",
}
ON_GPU = {"JAX_PLATFORMS": PLATFORM, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
# Executed at the end of the chapter that times fits of several sizes.
KEEP_TIMES = "import json; open({file!r}, 'w').write(json.dumps(measured))"


def weights(fit):
    """Return the weights and the intercept of each neuron: shape (weights, neurons)."""
    intercept = np.atleast_1d(fit["intercept"])
    return np.vstack([fit["coef"].reshape(-1, len(intercept)), intercept])


def compared(on_cpu, on_gpu, explained=()):
    """Return the largest relative difference of weights, of all fits and of those explained.

    `explained` are the sources of the cells whose fits may differ by more than SAME.
    """
    assert [f["cell"] for f in on_cpu] == [f["cell"] for f in on_gpu], "not the same fits"
    largest = {False: 0.0, True: 0.0}
    for cpu, gpu in zip(on_cpu, on_gpu, strict=True):
        for name in ("X", "y"):
            same = np.allclose(cpu[name], gpu[name], rtol=1e-6, atol=1e-9, equal_nan=True)
            assert same, f"{name} is not the same on both, in\n{cpu['cell']}"
        ours, theirs = weights(cpu), weights(gpu)
        apart = np.linalg.norm(theirs - ours, axis=0) / np.linalg.norm(ours, axis=0)
        is_explained = cpu["cell"] in explained
        bits_64 = ours.dtype == theirs.dtype == np.float64
        assert is_explained or bits_64, f"computed with 32 bits, in\n{cpu['cell']}"
        assert np.isfinite(apart).all(), f"weights are not finite, in\n{cpu['cell']}"
        assert is_explained or apart.max() <= SAME, f"{apart.max():.1e} apart, in\n{cpu['cell']}"
        largest[is_explained] = max(largest[is_explained], apart.max())
    return largest[False], largest[True]


def timed(path, folder, **environment):
    """Execute a chapter; return its notebook, its fits and the seconds that it took."""
    notebook = jupytext.read(path)
    if path.stem == "choose_precision":
        keep = KEEP_TIMES.format(file=str(folder / "times.json"))
        notebook.cells.append(nbformat.v4.new_code_cell(keep))
    start = time.perf_counter()
    file = folder / "fits.pickle"
    source = os.environ.get("WORKSHOP_DATA_SOURCE", "auto")
    resources = {"metadata": {"path": str(path.parent)}}
    client = NotebookClient(
        recorded(notebook, path, file, source), timeout=300, resources=resources
    )
    client.execute(env={**os.environ, **environment})
    fits = pickle.loads(file.read_bytes()) if file.exists() else []
    return notebook, fits, time.perf_counter() - start


@pytest.fixture(scope="module")
def device():
    """Name of the device that is compared with the CPU."""
    command = "import jax; d = jax.devices()[0]; print(d.platform, d.device_kind, sep='|')"
    found = subprocess.run(
        [sys.executable, "-c", command],
        env={**os.environ, **ON_GPU},
        capture_output=True,
        text=True,
    )
    kind, _, name = found.stdout.strip().partition("|")
    if kind != "gpu" and PLATFORM != "cpu":
        pytest.skip(
            "JAX finds no GPU here. Under Linux, with an NVIDIA card and its driver, "
            "`make -C benchmarks gpu` installs what it needs and runs this"
        )
    return name


@pytest.fixture(scope="module")
def results(device):
    """What the chapters gave: printed at the end, and stored when all were run on a GPU."""
    packages = ("jax", "jaxlib", "nemos", "numpy")
    found = {
        "command": "make -C benchmarks gpu",
        "date": time.strftime("%Y-%m-%d"),
        "device": device,
        "driver": "none",
        "processors": os.cpu_count(),
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "chapters": [],
        "fits": [],
    }
    yield found
    if PLATFORM != "cpu":
        query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        found["driver"] = subprocess.run(query, capture_output=True, text=True).stdout.split()[0]
        if len(found["chapters"]) == len(chapters()):
            GPU_RESULT.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


@pytest.mark.gpu
@pytest.mark.parametrize("path", chapters(), ids=lambda p: p.stem)
def test_a_chapter_gives_the_same_on_a_gpu(path, tmp_path, device, results):
    notebook, on_cpu, cpu_s = timed(path, tmp_path, JAX_PLATFORMS="cpu")
    _, on_gpu, gpu_s = timed(path, tmp_path, **ON_GPU)
    row = {
        "chapter": path.stem,
        "fits": len(on_cpu),
        "cpu_s": round(cpu_s, 1),
        "gpu_s": round(gpu_s, 1),
    }
    results["chapters"].append(row)
    if path.stem == "choose_precision":
        results["fits"] = json.loads((tmp_path / "times.json").read_text())
    explained = {c.source.strip() for c in notebook.cells if set(tags(c)) & set(EXPLAINED)}
    row["difference"] = None  # stored if the comparison fails
    largest = compared(on_cpu, on_gpu, explained)
    row["difference"], row["explained"] = (float(f"{apart:.1e}") for apart in largest)


def a_fit(cell="fit", change=1.0, n_neurons=1):
    """Return a fit as test_execution.py records it."""
    rng = np.random.default_rng(0)
    coef = rng.standard_normal((3, n_neurons))
    coef[:, -1] *= change
    return {
        "cell": cell,
        "X": rng.standard_normal((5, 3)),
        "y": rng.poisson(1, (5, n_neurons)),
        "coef": coef[:, 0] if n_neurons == 1 else coef,
        "intercept": rng.standard_normal(n_neurons),
    }


def test_the_same_fits_are_the_same():
    assert compared([a_fit()], [a_fit()]) == (0, 0)
    assert 0 < compared([a_fit()], [a_fit(change=1 + 1e-7)])[0] < SAME


@pytest.mark.parametrize("n_neurons", [1, 50])
def test_another_weight_is_noticed(n_neurons):
    """Also that of the last of many neurons."""
    ours, theirs = (a_fit(change=c, n_neurons=n_neurons) for c in (1, 1 + 1e-5))
    with pytest.raises(AssertionError, match="apart, in"):
        compared([ours], [theirs])
    every, explained = compared([ours], [theirs], {"fit"})
    assert every == 0 and explained > SAME


def test_32_bits_are_noticed():
    """Even where the weights agree, as they can when the features are alike in size."""
    short = {name: a_fit()[name].astype(np.float32) for name in ("coef", "intercept")}
    with pytest.raises(AssertionError, match="32 bits"):
        compared([a_fit()], [a_fit() | short])
    assert compared([a_fit()], [a_fit() | short], {"fit"})[1] < SAME


@pytest.mark.parametrize(
    ("theirs", "message"),
    [
        ([], "not the same fits"),
        ([a_fit(cell="another")], "not the same fits"),
        ([a_fit(change=np.nan)], "not finite"),
        ([a_fit() | {"y": np.zeros((5, 1))}], "y is not the same"),
        ([a_fit() | {"X": np.zeros((5, 3))}], "X is not the same"),
    ],
)
def test_what_cannot_be_compared_is_an_error(theirs, message):
    with pytest.raises(AssertionError, match=message):
        compared([a_fit()], theirs, {"fit"})
