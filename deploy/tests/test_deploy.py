"""What the hub's files promise: versions of the locks, limits as measured, no password."""

import json
import os
import re
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
KUBERNETES = ROOT / "deploy" / "kubernetes"
DOCKERFILE = (KUBERNETES / "Dockerfile").read_text()
VALUES = yaml.safe_load((KUBERNETES / "values.yaml").read_text())
MEMORY = json.loads((ROOT / "deploy" / "results" / "hub_memory.json").read_text())
LOAD = json.loads((ROOT / "deploy" / "results" / "hub_load.json").read_text())


def versions(lock):
    """Return all versions of each package in a lock: one for each Python, perhaps."""
    found = {}
    for name, version in re.findall(r"(?m)^([a-z0-9.-]+)==([^ ;]+)", (ROOT / lock).read_text()):
        found.setdefault(name, set()).add(version)
    return found


def gigabytes(text):
    return float(re.fullmatch(r"([0-9.]+)G", text)[1])


@pytest.mark.parametrize("lock", ["deploy/jupyterhub", "deploy/kubernetes"])
def test_what_a_hub_adds_agrees_with_the_course(lock):
    course, added = versions("requirements.txt"), versions(f"{lock}/requirements.txt")
    assert {name: added[name] for name in course.keys() & added} == {
        name: course[name] for name in course.keys() & added
    }


def test_image_and_server_pull_notebooks_alike():
    server, image = (
        versions("deploy/jupyterhub/requirements.txt"),
        versions("deploy/kubernetes/requirements.txt"),
    )
    for name in ("nbgitpuller", "jupyter-resource-usage"):
        assert image[name] == server[name]


def test_image_has_the_jupyterhub_of_the_chart():
    says = (KUBERNETES / "values.yaml").read_text()
    (hub,) = versions("deploy/kubernetes/requirements.txt")["jupyterhub"]
    assert f"whose hub is JupyterHub {hub.rpartition('.')[0]}:" in says


def test_image_and_binder_have_one_python():
    publish = (ROOT / ".github" / "workflows" / "publish.yml").read_text()
    (image,) = re.findall(r"FROM python:(\S+?)-slim", DOCKERFILE)
    (binder,) = re.findall(r"echo python-(\S+) > runtime.txt", publish)
    assert image == binder
    assert "binder/" not in publish  # repo2docker would look nowhere else


def test_everything_that_the_image_copies_is_there_and_sent():
    sent = (KUBERNETES / "Dockerfile.dockerignore").read_text().split()
    assert sent[0] == "*"
    patterns = [line[1:] for line in sent[1:]]
    for sources in re.findall(r"(?m)^COPY (.+) \S+$", DOCKERFILE):
        for source in sources.split():
            name = source.replace("${REQUIREMENTS}", "requirements.txt").rstrip("/")
            assert (ROOT / name).exists(), name
            assert any(fnmatch(name, p) or p.startswith(name) for p in patterns), name


def test_image_and_server_set_the_same():
    """What the Dockerfile and jupyterhub_config.py set for JAX, memory and threads."""
    server = (ROOT / "deploy" / "jupyterhub" / "jupyterhub_config.py").read_text()
    names = (
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS",
        "MALLOC_ARENA_MAX",
        "OPENBLAS_NUM_THREADS",
    )
    for name in names:
        (value,) = re.findall(rf"\b{name}=(\S+)", DOCKERFILE)
        assert re.search(rf'"{name}"(: |\] = )"{value}"', server)


def test_limits_are_those_that_were_measured():
    """A chapter fits in the limit with a fifth to spare, and the guarantee is what one takes."""
    chapters = MEMORY["chapters"].values()
    peak = max(chapter["peak_own_mb"] for chapter in chapters)
    server = max(found["peak_server_mb"] for found in LOAD["rounds"])
    memory = VALUES["singleuser"]["memory"]
    assert 1.1 * (peak + server) < 1000 * gigabytes(memory["limit"]) < 1.7 * (peak + server)
    largest = LOAD["rounds"][-1]
    each = largest["peak_total_mb"] / largest["people"]
    assert 0.9 * each < 1000 * gigabytes(memory["guarantee"]) < 1.3 * each
    assert VALUES["singleuser"]["cpu"]["guarantee"] <= VALUES["singleuser"]["cpu"]["limit"]


def test_chapters_ran_with_the_cache_as_the_hub_has_it():
    assert "--cache" in MEMORY["command"] and "--fill" not in MEMORY["command"]
    assert {name: chapter["said"] for name, chapter in MEMORY["chapters"].items()} == {
        name: [] for name in MEMORY["chapters"]
    }


def test_cache_is_read_in_silence_and_never_written(tmp_path):
    """A cache that cannot be written to would otherwise warn in everyone's notebook."""
    names = r"(JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS|MALLOC_ARENA_MAX)=(\S+)"
    environment = dict(re.findall(names, DOCKERFILE), JAX_COMPILATION_CACHE_DIR=str(tmp_path))
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


def test_images_are_one_and_never_latest():
    named = f"{VALUES['singleuser']['image']['name']}:{VALUES['singleuser']['image']['tag']}"
    pvc, job = yaml.safe_load_all((KUBERNETES / "data.yaml").read_text())
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["image"] == named
    assert f"--tag {named} ." in DOCKERFILE
    (gpu,) = yaml.safe_load((KUBERNETES / "gpu.yaml").read_text())["singleuser"]["profileList"][1:]
    assert gpu["kubespawner_override"]["image"] == f"{named}-gpu"
    assert not named.endswith("latest")
    (volume,) = VALUES["singleuser"]["storage"]["extraVolumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == pvc["metadata"]["name"]


def test_participants_cannot_write_to_what_is_shared():
    storage = VALUES["singleuser"]["storage"]
    assert all(mount["readOnly"] for mount in storage["extraVolumeMounts"])
    assert all(v["persistentVolumeClaim"]["readOnly"] for v in storage["extraVolumes"])
    assert DOCKERFILE.index("USER 1000") > DOCKERFILE.index("fill_cache.sh /opt/course")


def test_nobody_gets_in_with_a_password_that_we_wrote():
    config = VALUES["hub"]["config"]
    assert config["JupyterHub"]["authenticator_class"] == "native"  # without: any name gets in
    assert config["NativeAuthenticator"]["open_signup"] is False
    for path in KUBERNETES.glob("*.yaml"):
        written = r"(?i)(password|secret|token)\w*: *(?!(true|false|\d+)\s)\S"
        assert not re.search(written, path.read_text())


def test_culling_spares_a_talk():
    """Nothing is stopped within the longest time between two breaks."""
    assert VALUES["cull"]["timeout"] >= 3 * 3600
    assert not VALUES["cull"]["maxAge"]
