"""Which Python `make book` installs with, and what is left of an installation that failed."""

import contextlib
import os
import shutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import preflight
import pytest
from packaging.specifiers import SpecifierSet
from toc import ROOT

TOOLS = ("bash", "dirname", "sed", "awk", "sort", "cut", "head", "tr", "cat")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SUPPORTED = [n for n in range(30) if f"3.{n}" in SpecifierSet(PROJECT["requires-python"])]
RANGE = f"Python 3.{SUPPORTED[0]} to 3.{SUPPORTED[-1]}"
THIS = "{}.{}.{}".format(*sys.version_info)

# An interpreter that runs what it is given, and takes itself for another version.
INTERPRETER = """#!/bin/sh
exec "{real}" -c "import importlib.util, sys
sys.version_info = (3, {minor}, 0)
sys._base_executable = '{path}'
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name in {lacks} else find(name)
$2"
"""
SHIM = "#!/bin/sh\necho 'pyenv: python: command not found' >&2\nexit 127\n"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the interpreters here are shell scripts")


class Computer:
    """A folder with a PATH, a home and a Homebrew of its own."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {
            "PATH": str(folder / "bin"),
            "HOME": str(folder),
            "HOMEBREW_PREFIX": str(folder / "brew"),
        }
        (folder / "bin").mkdir()
        for tool in TOOLS:
            (folder / "bin" / tool).symlink_to(shutil.which(tool))

    def program(self, path, text):
        """Write a program; return its path."""
        path = self.folder / path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
        return str(path)

    def python(self, path, minor, lacks=()):
        """Install Python 3.minor; return its path."""
        text = INTERPRETER.format(
            real=sys.executable, minor=minor, path=self.folder / path, lacks=list(lacks)
        )
        return self.program(path, text)

    def find(self, what=".venv", **env):
        """Run the script; return its exit status, what it prints and its messages."""
        command = [shutil.which("bash"), ROOT / "book" / "find_python.sh", what]
        done = subprocess.run(
            command, cwd=self.folder, env=self.env | env, capture_output=True, text=True
        )
        return done.returncode, done.stdout.strip(), done.stderr


@pytest.fixture
def computer(tmp_path):
    return Computer(tmp_path)


def test_newest_first(computer):
    computer.python("bin/python", 12)
    computer.python("bin/python3", 11)
    newest = computer.python("bin/python3.13", 13)
    assert computer.find() == (0, newest, "")


def test_plain_python_is_newer_than_the_numbered_one(computer):
    computer.python("bin/python3.12", 12)
    newest = computer.python("bin/python3", 14)
    assert computer.find() == (0, newest, "")


def test_pyenv_version_that_is_not_active(computer):
    computer.python("bin/python3", 11)
    for name in ("python3.13", "python3.12", "python"):
        computer.program(f"bin/{name}", SHIM)
    computer.python(".pyenv/versions/3.14.0t/bin/python", 14)  # free-threaded: numba has no wheel
    inactive = computer.python(".pyenv/versions/3.13.0/bin/python", 13)
    assert computer.find() == (0, inactive, "")


def test_homebrew_and_the_windows_launcher(computer):
    launched = computer.python("launched", 12)
    computer.program("bin/py", f'#!/bin/sh\n[ "$1" = -3.12 ] && shift && exec {launched} "$@"\n')
    assert computer.find() == (0, launched, "")
    brewed = computer.python("brew/opt/python@3.13/bin/python3.13", 13)
    assert computer.find() == (0, brewed, "")


def test_existing_environment_first(computer):
    computer.python("bin/python3.14", 14)
    existing = computer.python(".venv/bin/python", 12)
    assert computer.find() == (0, existing, "")
    computer.python(".venv/bin/python", 11)
    assert computer.find()[1].endswith("bin/python3.14")
    computer.program(".venv/bin/python", SHIM)
    assert computer.find()[1].endswith("bin/python3.14")


def test_base_of_a_real_environment(computer):
    (computer.folder / ".venv").symlink_to(sys.prefix)
    assert computer.find() == (0, sys._base_executable, "")


@pytest.mark.parametrize("minor", range(10, 17))
def test_python_given(computer, minor):
    computer.python("bin/python3.13", 13)
    mine = computer.python("my pythons/python", minor)
    status, path, message = computer.find(PYTHON=mine)
    if minor in SUPPORTED:
        assert (status, path, message) == (0, mine, "")
        assert f"3.{minor}" in (ROOT / "README.md").read_text()
    else:
        assert (status, path) == (1, "")
        assert f"PYTHON is '{mine}', which is not {RANGE}" in message


def test_python_given_does_not_run(computer):
    computer.python("bin/python3.13", 13)
    status, path, message = computer.find(PYTHON="nosuch")
    assert (status, path) == (1, "")
    assert "PYTHON is 'nosuch'" in message


def test_without_ensurepip_only_if_there_is_no_other(computer):
    debian = computer.python("bin/python3.13", 13, lacks=["ensurepip"])
    assert computer.find() == (0, debian, ""), "preflight.py says what is missing"
    assert computer.find("--all") == (0, "", "")
    complete = computer.python("bin/python3.12", 12)
    assert computer.find() == (0, complete, "")


def test_all(computer):
    computer.python("bin/python3", 11)
    newest = computer.python("bin/python3.14", 14)
    oldest = computer.python(".pyenv/versions/3.12.1/bin/python", 12)
    assert computer.find("--all") == (0, f"{newest}\n{oldest}", "")


def test_none(computer):
    computer.python("bin/python3", 11)
    status, path, message = computer.find()
    assert (status, path) == (1, "")
    assert f"The course needs {RANGE}" in message
    assert "uv python install 3.13" in message


UV = """#!/bin/sh
case "$2" in
  install) {install} ;;
  find) [ -e "{folder}/installed" ] && echo "{folder}/managed" ;;
esac
"""


@pytest.mark.parametrize("lacks", [(), ("ensurepip",)])
def test_uv_installs_one(computer, lacks):
    if lacks:
        computer.python("bin/python3", 13, lacks)
    managed = computer.python("managed", 13)
    install = f': >"{computer.folder}/installed"'
    computer.program("bin/uv", UV.format(folder=computer.folder, install=install))
    assert computer.find() == (0, managed, "")


def test_uv_fails(computer):
    computer.python("managed", 13)
    install = "echo 'uv: no network' >&2; exit 1"
    computer.program("bin/uv", UV.format(folder=computer.folder, install=install))
    status, path, message = computer.find()
    assert (status, path) == (1, "")
    assert message.startswith(f"uv: no network\nThe course needs {RANGE}")
    debian = computer.python("bin/python3", 13, ["ensurepip"])
    assert computer.find() == (0, debian, "uv: no network\n")


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """A function that runs preflight.py on a folder; pip makes a file `new`, then it ends."""
    folder = tmp_path / ".venv"

    def install(folder, requirements):
        (folder / "pyvenv.cfg").write_text(f"version = {THIS}\n")
        (folder / "new").touch()
        if isinstance(run.outcome, int):
            return run.outcome
        raise run.outcome

    def run(outcome):
        run.outcome = outcome
        return preflight.main(folder, "requirements.txt")

    monkeypatch.setattr(preflight, "install", install)
    run.folder = folder
    return run


def contents(folder):
    return {path.name for path in folder.iterdir()}


def make_environment(folder, version):
    """Write what is left of an environment of somebody else's."""
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text(f"home = /usr/bin\nversion_info = {version}\n")
    (folder / "old").touch()


@pytest.mark.parametrize("killed", [KeyboardInterrupt(), -9])
def test_interrupted_installation_begins_again(environment, killed):
    with pytest.raises(KeyboardInterrupt) if killed != -9 else contextlib.nullcontext():
        environment(killed)
    (environment.folder / "half").touch()
    assert environment(0) == 0
    assert contents(environment.folder) == {"pyvenv.cfg", "new", ".installed"}


def test_update_keeps_what_is_there(environment):
    make_environment(environment.folder, THIS)
    assert environment(0) == 0
    assert contents(environment.folder) == {"pyvenv.cfg", "old", "new", ".installed"}


def test_failed_installation(environment, capsys):
    assert environment(1) == 1
    assert "could not be installed" in capsys.readouterr().err
    (environment.folder / "downloaded").touch()
    assert environment(0) == 0
    assert "downloaded" in contents(environment.folder)


def test_another_python_replaces_the_environment_only_if_it_succeeds(environment):
    make_environment(environment.folder, "3.9.1")
    assert environment(1) == 1
    assert contents(environment.folder) == {"pyvenv.cfg", "old"}
    with pytest.raises(KeyboardInterrupt):
        environment(KeyboardInterrupt())
    assert environment(1) == 1
    assert contents(environment.folder) == {"pyvenv.cfg", "old"}
    assert environment(0) == 0
    assert contents(environment.folder) == {"pyvenv.cfg", "new", ".installed"}
    assert contents(environment.folder.parent) == {".venv"}


def test_preflight_is_content_with_this_python(tmp_path):
    assert preflight.find_problems(tmp_path) == []


def test_preflight_without_venv(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    (problem,) = preflight.find_problems(tmp_path)
    assert "apt install python3-venv" in problem


def test_preflight_full_disk(monkeypatch, tmp_path):
    usage = SimpleNamespace(total=1e9, used=5e8, free=5e8)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda path: usage)
    (problem,) = preflight.find_problems(tmp_path)
    assert "Only 0.5 GB are free" in problem
