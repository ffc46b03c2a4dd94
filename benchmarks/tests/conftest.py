"""What the tests of the benchmarks share: paths, and what runs only when it is asked for."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / name) for name in ("book", "tests", "benchmarks")]

APART = {
    "slow": "takes minutes: make -C benchmarks recovery",
    "gpu": "compares an NVIDIA GPU with the CPU: make -C benchmarks gpu",
}


def pytest_collection_modifyitems(config, items):
    """Skip what runs only when it is asked for."""
    for item in items:
        for marker, reason in APART.items():
            if item.get_closest_marker(marker) and config.getoption("-m") != marker:
                item.add_marker(pytest.mark.skip(reason=reason))
