"""What several test files share."""

import os
import sys
from pathlib import Path

import pytest
from faulty_server import Server

from workshop_utils import fetch_data, provenance

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book"))


# What runs only when it is asked for, and why.
APART = {
    "network": "needs the network: make test-recorded",
    "site": "needs the built site and a browser: make test-site",
    "install": "installs from a package registry: make test-install",
    "slurm": "starts a SLURM, as root: sudo make test-slurm",
}


def pytest_configure(config):
    """Decide once where the data come from, for every test and every notebook of this run."""
    if not hasattr(config, "workerinput") and config.getoption("-m") not in APART:
        kind = provenance(fetch_data("allen_478498617.nwb")).kind
        os.environ["WORKSHOP_DATA_SOURCE"] = kind


def pytest_collection_modifyitems(config, items):
    """Skip what runs only when it is asked for."""
    for item in items:
        for marker, reason in APART.items():
            if item.get_closest_marker(marker) and config.getoption("-m") != marker:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture
def start_server():
    """Return a function that starts a faulty_server server; they end with the test."""
    servers = []

    def start(behave):
        servers.append(Server(behave))
        return servers[-1]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(scope="session")
def stand_in():
    """Path of the simulated recording that the present code makes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKSHOP_DATA_SOURCE", "simulated")
        return fetch_data("allen_478498617.nwb")


def pytest_terminal_summary(terminalreporter):
    """Print the table of the site or of the GPU; say how many faults were tried."""
    for line in getattr(terminalreporter.config, "site_table", []):
        terminalreporter.write_line(line)
    names = ("test_faults.py", "test_stream.py")
    passed = terminalreporter.stats.get("passed", [])
    n = sum(report.nodeid.partition("::")[0].endswith(names) for report in passed)
    if n:
        terminalreporter.write_line(f"{n} cases of faults and of streaming passed")
