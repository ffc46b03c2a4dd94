"""Time the building of history features, in NeMoS, SciPy and NumPy (`make -C benchmarks bench`).

The same eight filters of 200 bins, causal and shifted by one bin, over sweeps of two lengths and
for populations. All three must give the same numbers. Medians, by pytest-benchmark.

Usage: python benchmarks/features.py [--quick]
"""

import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from common import show, store
from scipy.signal import oaconvolve

SIZES = {"bins": (28_020, 1_000_000), "neurons": (1, 10, 100, 1000)}
QUICK = {"bins": (2_000,), "neurons": (1, 3)}
WINDOW = 200
CASES = [(bins, 1) for bins in SIZES["bins"]] + [
    (SIZES["bins"][0], neurons) for neurons in SIZES["neurons"][1:]
]
if os.environ.get("BENCH_QUICK"):
    CASES = [(QUICK["bins"][0], neurons) for neurons in QUICK["neurons"]]


def basis():
    import jax

    jax.config.update("jax_enable_x64", True)
    import nemos as nmo

    return nmo.basis.RaisedCosineLogConv(n_basis_funcs=8, window_size=WINDOW)


def by_nemos(x, bumps):
    return np.asarray(basis().compute_features(x))


def by_scipy(x, bumps):
    """Overlap-add: FFTs of short pieces."""
    full = oaconvolve(x[:, :, np.newaxis], bumps[:, np.newaxis], axes=0)
    return tidy(full, x.shape)


def by_numpy(x, bumps):
    full = [[np.convolve(column, bump) for bump in bumps.T] for column in x.T]
    return tidy(np.asarray(full).transpose(2, 0, 1), x.shape)


def tidy(full, shape):
    """Shift by one bin, and say where the past is not complete."""
    features = np.empty((*shape, full.shape[2]))
    features[:WINDOW] = np.nan
    features[WINDOW:] = full[WINDOW - 1 : shape[0] - 1]
    return features.reshape(shape[0], -1)


WAYS = {"NeMoS": by_nemos, "SciPy": by_scipy, "NumPy": by_numpy}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}x{case[1]}")
@pytest.mark.parametrize("way", WAYS)
def test_features(benchmark, case, way):
    bins, neurons = case
    x = np.random.default_rng(0).poisson(0.05, case).astype(float)
    bumps = np.asarray(basis().evaluate_on_grid(WINDOW)[1])
    benchmark.extra_info.update(bins=bins, neurons=neurons, way=way)
    large = bins * neurons > 3_000_000
    found = benchmark.pedantic(
        WAYS[way], (x, bumps), rounds=1 if large else 3, warmup_rounds=0 if large else 1
    )
    expected = by_scipy(x[:, :1], bumps)
    np.testing.assert_allclose(found[:, :8], expected, atol=1e-9)


def main():
    if "--quick" in sys.argv:
        os.environ["BENCH_QUICK"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "measured.json")
        options = ["-q", "-p", "no:cacheprovider", "--benchmark-disable-gc", "--benchmark-quiet"]
        code = pytest.main([__file__, *options, f"--benchmark-json={file}"])
        if code:
            return code
        measured = json.loads(file.read_text())["benchmarks"]
    rows = {}
    for found in measured:
        info = found["extra_info"]
        key = {"bins": info["bins"], "neurons": info["neurons"]}
        name = f"{info['way']} (s)"
        rows.setdefault(str(key), key)[name] = float(found["stats"]["median"])
    for row in rows.values():
        row["NeMoS / fastest"] = row["NeMoS (s)"] / min(row[f"{way} (s)"] for way in WAYS)
    tables = [{"title": "Eight history features of each neuron", "rows": list(rows.values())}]
    show(tables)
    if "--quick" not in sys.argv:
        store("features", "python benchmarks/features.py", tables)
    return 0


if __name__ == "__main__":
    sys.exit(main())
