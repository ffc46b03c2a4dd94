#!/usr/bin/env bash
# Print the newest Python on this computer that the course supports; `make` calls it with
# the folder of the environment. PYTHON, if it is set, is the only candidate; else the
# Python of an existing environment comes first. Each candidate is run once, since a pyenv
# shim whose version is not active exists but fails.
VERSIONS="3.14 3.13 3.12" # as requires-python in pyproject.toml

usable() { # usable <version> <command> [argument]
  "${@:2}" -c "import sys; assert '%d.%d' % sys.version_info[:2] == '$1'; print(getattr(sys, '_base_executable', sys.executable))" 2>/dev/null
}

if [ -n "$PYTHON" ]; then
  for version in $VERSIONS; do usable "$version" "$PYTHON" && exit; done
  echo "PYTHON is '$PYTHON', which is not Python ${VERSIONS// /, } or does not run." >&2
  echo "Without PYTHON=..., make looks for one itself." >&2
  exit 1
fi
for version in $VERSIONS; do
  for candidate in "$1"/bin/python "$1"/Scripts/python.exe; do usable "$version" "$candidate" && exit; done
done
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for version in $VERSIONS; do
  for candidate in "python$version" python3 python "$pyenv/versions/$version".*/bin/python \
    {/opt/homebrew,/usr/local,/home/linuxbrew/.linuxbrew}/opt/"python@$version/bin/python$version"; do
    usable "$version" "$candidate" && exit
  done
  usable "$version" py "-$version" && exit # the Windows launcher
done
if command -v uv >/dev/null; then
  uv python find --no-project ">=3.12,<3.15" 2>/dev/null && exit
  uv python install --quiet 3.13 >&2 && uv python find --no-project 3.13 && exit
  echo "uv could not install Python 3.13 (its message is above)." >&2
fi
cat >&2 <<END
The course needs Python ${VERSIONS// /, }; none was found on this computer. To get one:
  any system        install uv (docs.astral.sh/uv), then: uv python install 3.13
  Debian, Ubuntu    sudo apt install python3-venv python3 (if your release has 3.12 or later)
  Fedora            sudo dnf install python3.13
  macOS             brew install python@3.13
  Windows           winget install Python.Python.3.13
Or give the path of one that you have: make book PYTHON=/path/to/python
END
exit 1
