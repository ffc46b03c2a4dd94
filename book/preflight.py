"""Make the virtual environment, or say in plain words what is missing.

Usage: python book/preflight.py FOLDER REQUIREMENTS        (`make` does it)
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

NEEDED_GB = 3.0
# Without setuptools' advice, which it repeats at each editable installation.
PIP = ["-W", "ignore:Editable installation"]
PIP += "-m pip install --quiet --disable-pip-version-check".split()


def find_problems(folder):
    """Return a list of messages, one for each thing that is missing."""
    problems = []
    if not (find_spec("ensurepip") and find_spec("venv")):
        problems.append(
            f"{sys.executable} cannot make virtual environments (venv or ensurepip is missing).\n"
            "On Debian or Ubuntu type:  sudo apt install python3-venv\n"
            "Elsewhere, install Python from python.org, conda or uv."
        )
    free_gb = shutil.disk_usage(os.curdir).free / 1e9
    if not (folder / ".installed").exists() and free_gb < NEEDED_GB:
        problems.append(
            f"Only {free_gb:.1f} GB are free on the disk that holds this folder, of "
            f"{NEEDED_GB:.0f} GB needed.\nFree some space, or clone the course to another disk."
        )
    return problems


def is_another_python(folder):
    """Tell whether an environment was made with another version of Python than this one."""
    try:
        text = (folder / "pyvenv.cfg").read_text(encoding="utf-8")
    except OSError:
        return False
    version = "{}.{}".format(*sys.version_info)  # venv writes "version", uv "version_info"
    return not re.search(rf"^version(_info)? = {re.escape(version)}\.", text, re.MULTILINE)


def install(folder, requirements):
    """Make or update an environment; return the exit status of pip, negative if it was killed."""
    import venv

    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    course = ["--no-deps", "--no-build-isolation", "--editable", "."]
    for arguments in (["--require-hashes", "-r", requirements], course):
        status = subprocess.run([python, *PIP, *arguments]).returncode
        if status:
            break
    return status


def main(folder, requirements):
    """Install the course into a folder; return the exit status."""
    problems = find_problems(folder)
    for problem in problems:
        sys.stderr.write("\nCannot install the course: " + problem + "\n")
    if problems:
        sys.stderr.write("\nMore help: 'When something fails' in content/setup.md\n")
        return 1

    print(f"Installing the course into {folder} with {sys.executable} (about a minute) ...")
    sys.stdout.flush()
    # pip takes a package that it was interrupted in for installed: begin again.
    unfinished = folder / ".unfinished"
    former = folder.with_name(folder.name + ".former")
    if unfinished.exists():
        shutil.rmtree(folder)
    elif is_another_python(folder):
        shutil.rmtree(former, ignore_errors=True)
        folder.rename(former)
    folder.mkdir(parents=True, exist_ok=True)
    unfinished.touch()
    status = install(folder, requirements)
    if status >= 0:
        unfinished.unlink()
    if status == 0:
        (folder / ".installed").touch()
        shutil.rmtree(former, ignore_errors=True)
        return 0

    # pip changes nothing before it has everything: an environment that worked still does.
    if former.exists():
        shutil.rmtree(folder)
        former.rename(folder)
    sys.stderr.write(
        "\nThe course could not be installed: see the message above. What was downloaded is\n"
        "kept: type the command again. More help: 'When something fails' in content/setup.md\n"
    )
    return 1


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
    except KeyboardInterrupt:
        sys.exit("\nInterrupted. The next run begins the installation again.")
