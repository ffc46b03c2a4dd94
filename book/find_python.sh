#!/usr/bin/env bash
# Print the path of the newest Python on this computer that the course supports.
#   find_python.sh .venv    as `make` calls it: the Python of an existing environment comes first
#   find_python.sh --all    as .ci/run calls it: each one that can make an environment, newest first
# PYTHON, if it is set, is the only candidate.
here=$(dirname "${BASH_SOURCE[0]}")
read -r oldest end < <(sed -n 's/^requires-python = ">=3\.\([0-9]*\),<3\.\([0-9]*\)"$/\1 \2/p' "$here/../pyproject.toml")

# Run a candidate; print whether it can make an environment (Debian's cannot without
# python3-venv), its minor version and its path. A pyenv shim whose version is not active fails.
describe() {
  "$@" -c 'import sys
from importlib.util import find_spec
print(int(all(map(find_spec, ["venv", "ensurepip"]))), sys.version_info[1],
      getattr(sys, "_base_executable", sys.executable))' 2>/dev/null | tr -d '\r'
}

everywhere() {
  for ((minor = end - 1; minor >= oldest; minor--)); do
    describe "python3.$minor"
    for path in "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*[0-9]/bin/python; do
      describe "$path"
    done
    for prefix in ${HOMEBREW_PREFIX:-/opt/homebrew /usr/local /home/linuxbrew/.linuxbrew}; do
      describe "$prefix/opt/python@3.$minor/bin/python3.$minor"
    done
    describe py "-3.$minor" # the Windows launcher
  done
  describe python3
  describe python
}

supported() { awk -v oldest="$oldest" -v end="$end" '$2 >= oldest && $2 < end' | sort -s -k1,1nr -k2,2nr; }
can_make_environment() { [[ $found == 1* ]]; }

if [ -n "$PYTHON" ]; then
  found=$(describe "$PYTHON" | supported)
  if [ -z "$found" ]; then
    echo "PYTHON is '$PYTHON', which is not Python 3.$oldest to 3.$((end - 1)) or does not run." >&2
    echo "Without PYTHON, make looks for one itself." >&2
    exit 1
  fi
else
  found=$({ describe "$1/bin/python"; describe "$1/Scripts/python.exe"; } | supported)
  can_make_environment || found=$(everywhere | supported)
fi
if [ "$1" = --all ]; then
  sed -n 's/^1 [0-9]* //p' <<<"$found"
  exit
fi
if [ -z "$PYTHON" ] && ! can_make_environment && command -v uv >/dev/null; then
  uv_python() { uv python find --no-project --python-preference only-managed ">=3.$oldest,<3.$end" 2>/dev/null; }
  path=$(uv_python) || { uv python install 3.13 >&2 && path=$(uv_python); }
  [ -n "$path" ] && found=$(describe "$path" | supported)
fi
if [ -n "$found" ]; then
  head -n 1 <<<"$found" | cut -d " " -f 3-
  exit
fi
cat >&2 <<END
The course needs Python 3.$oldest to 3.$((end - 1)), and none was found on this computer. To get one:
  any system        install uv (docs.astral.sh/uv), then: uv python install 3.13
  Debian, Ubuntu    sudo apt install python3 python3-venv (if your release has 3.$oldest or later)
  Fedora            sudo dnf install python3.13
  macOS             brew install python@3.13
  Windows           winget install Python.Python.3.13
Or give the path of one that you have: make book PYTHON=/path/to/python
END
exit 1
