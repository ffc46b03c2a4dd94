"""Say in plain words what is missing before the course is installed.

Runs with any Python 3, however old, so it uses no modern syntax. Exits 1 with a
message that says what to do.
"""

import os
import shutil
import sys

OLDEST, NEWEST = (3, 11), (3, 13)
NEEDED_GB = 3.0


def find_problems():
    """Return a list of messages, one for each thing that is missing."""
    problems = []
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        found = [name for name in ("python3.13", "python3.12", "python3.11") if shutil.which(name)]
        if found:
            advice = "This computer has one. Type:  make book PYTHON=" + found[0]
        else:
            advice = (
                "Install one from python.org, your package manager or conda, then type:\n"
                "  make book PYTHON=python3.12"
            )
        problems.append(
            "{} is Python {}.{}, but the course needs Python 3.11, 3.12 or 3.13.\n{}".format(
                sys.executable, sys.version_info[0], sys.version_info[1], advice
            )
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        problems.append(
            "This Python cannot make virtual environments (venv or ensurepip is missing).\n"
            "On Debian or Ubuntu type:  sudo apt install python3-venv\n"
            "Elsewhere, install Python from python.org or conda."
        )
    free_gb = shutil.disk_usage(os.curdir).free / 1e9
    installed = os.path.exists(os.path.join(".venv", ".installed"))
    if not installed and free_gb < NEEDED_GB:
        problems.append(
            "Only {:.1f} GB are free on the disk that holds this folder, of {:.0f} GB needed.\n"
            "Free some space, or clone the course to another disk.".format(free_gb, NEEDED_GB)
        )
    return problems


def main():
    problems = find_problems()
    for problem in problems:
        sys.stderr.write("\nCannot install the course: " + problem + "\n")
    if problems:
        sys.stderr.write("\nMore help: the section 'When something fails' of README.md\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
