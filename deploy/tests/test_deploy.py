"""The promises of the hub's files: the course's versions, limits, a quiet cache, no password."""

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from toc import ROOT

from spikes_hub.server import KERNEL_ENVIRONMENT

DEPLOY = Path(__file__).resolve().parents[1]
KUBERNETES = DEPLOY / "kubernetes"
DOCKERFILE = (KUBERNETES / "Dockerfile").read_text()
VALUES = yaml.safe_load((KUBERNETES / "values.yaml").read_text())


def versions(lock):
    """Return the set of versions of each package in a lock: markers may choose among several."""
    of_package = {}
    for name, version in re.findall(r"(?m)^([a-z0-9.-]+)==([^ ;]+)", lock.read_text()):
        of_package.setdefault(name, set()).add(version)
    return of_package


@pytest.mark.parametrize("hub", ["jupyterhub", "kubernetes"])
def test_a_hub_locks_the_versions_of_the_course(hub):
    """Both locks are installed together. If this fails: make -C deploy lock."""
    course, added = (
        versions(ROOT / "requirements.txt"),
        versions(DEPLOY / hub / "requirements.txt"),
    )
    both = course.keys() & added
    assert both
    assert {name: added[name] for name in both} == {name: course[name] for name in both}


def test_everything_that_the_image_copies_exists_and_is_in_the_build_context():
    ignored, *patterns = (KUBERNETES / "Dockerfile.dockerignore").read_text().split()
    assert ignored == "*"
    sent = [pattern[1:] for pattern in patterns if pattern[0] == "!"]
    for sources in re.findall(r"(?m)^COPY (.+) \S+$", DOCKERFILE):
        for source in sources.split():
            name = source.replace("${REQUIREMENTS}", "requirements.txt").rstrip("/")
            assert (ROOT / name).exists(), name
            assert any(fnmatch(name, pattern) for pattern in sent), name


def test_limits_hold_what_was_measured():
    """Two of the largest chapters fit, with a tenth to spare; one person takes the guarantee."""
    chapters = json.loads((DEPLOY / "results" / "memory.json").read_text())["peak_mb"]
    *_, crowd = json.loads((DEPLOY / "results" / "load.json").read_text())["rounds"]
    memory = VALUES["singleuser"]["memory"]
    limit, guarantee = (
        float(memory[key].removesuffix("G")) * 1000 for key in ("limit", "guarantee")
    )
    assert limit > 1.1 * (2 * max(chapters.values()) + crowd["peak_server_mb"])
    assert guarantee == pytest.approx(crowd["peak_total_mb"] / crowd["people"], rel=0.25)


def test_cache_is_read_in_silence_and_never_written(tmp_path):
    """A cache that cannot be written to would otherwise warn in everyone's notebook."""
    environment = KERNEL_ENVIRONMENT | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    code = "import jax; print(jax.jit(lambda x: jax.numpy.tanh(x) + 1)(2.0))"
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("1.96") and not ran.stderr
    assert not list(tmp_path.iterdir())


def test_all_files_name_the_same_image_and_its_tag_is_not_latest():
    image = VALUES["singleuser"]["image"]
    named = f"{image['name']}:{image['tag']}"
    assert image["tag"] != "latest"
    claim, job = yaml.safe_load_all((KUBERNETES / "data.yaml").read_text())
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == named
    assert f"--tag {named} ." in DOCKERFILE
    _, gpu = yaml.safe_load((KUBERNETES / "gpu.yaml").read_text())["singleuser"]["profileList"]
    assert gpu["kubespawner_override"]["image"] == f"{named}-gpu"
    (volume,) = VALUES["singleuser"]["storage"]["extraVolumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]


def test_participants_cannot_write_to_what_is_shared():
    storage = VALUES["singleuser"]["storage"]
    assert all(mount["readOnly"] for mount in storage["extraVolumeMounts"])
    assert all(volume["persistentVolumeClaim"]["readOnly"] for volume in storage["extraVolumes"])
    assert DOCKERFILE.index("\nUSER 1000") > DOCKERFILE.index("fill_cache.sh /opt/course")


def test_nobody_gets_in_with_a_password_that_is_in_the_repository():
    config = VALUES["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == "native"  # the default lets anybody in
    assert config["NativeAuthenticator"]["open_signup"] is False
    for path in KUBERNETES.glob("*.yaml"):
        written = r"(?i)(password|secret|token)\w*: *(?!(true|false|\d+)\s)\S"
        assert not re.search(written, path.read_text())
