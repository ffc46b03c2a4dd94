"""Make the virtual environment, or say in plain words what is missing.

Usage: python book/preflight.py FOLDER        (`make` does it)
"""

import os
import shutil
import sys
from pathlib import Path

NEEDED_GB = 3.0


def find_problems(folder):
    """Return a list of messages, one for each thing that is missing."""
    problems = []
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        problems.append(
            f"{sys.executable} cannot make virtual environments (venv or ensurepip is missing).\n"
            "On Debian or Ubuntu type:  sudo apt install python3-venv\n"
            "Elsewhere, install Python from python.org or conda."
        )
    free_gb = shutil.disk_usage(os.curdir).free / 1e9
    if not (folder / ".installed").exists() and free_gb < NEEDED_GB:
        problems.append(
            f"Only {free_gb:.1f} GB are free on the disk that holds this folder, of "
            f"{NEEDED_GB:.0f} GB needed.\nFree some space, or clone the course to another disk."
        )
    return problems


def python_of(folder):
    """Return the version of Python that an environment was made with, such as "3.12"."""
    try:
        lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    pairs = dict(line.split(" = ", 1) for line in lines if " = " in line)
    version = pairs.get("version") or pairs.get("version_info") or ""
    return ".".join(version.split(".")[:2])


def main():
    folder = Path(sys.argv[1])
    problems = find_problems(folder)
    for problem in problems:
        sys.stderr.write("\nCannot install the course: " + problem + "\n")
    if problems:
        sys.stderr.write("\nMore help: the section 'When something fails' of README.md\n")
        return 1
    import venv

    print(f"Installing the course into {folder} with {sys.executable} (about a minute) ...")
    # An environment of another version of Python cannot be updated in place.
    another = python_of(folder) not in (None, "{}.{}".format(*sys.version_info))
    venv.create(folder, with_pip=True, clear=another, symlinks=os.name != "nt")
    return 0


if __name__ == "__main__":
    sys.exit(main())
