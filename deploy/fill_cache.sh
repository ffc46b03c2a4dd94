#!/bin/bash
# Run every chapter once and keep what was compiled, for everyone who works after that:
#
#   deploy/fill_cache.sh ENVIRONMENT FOLDER
#
# ENVIRONMENT/bin has the course's Python. In FOLDER then are
#   jax/    JAX's cache, to be read by all (JAX_COMPILATION_CACHE_DIR; nobody need write to it)
#   home/   what each home folder should begin with: numba's and matplotlib's caches, which
#           work only where they can be written
# It takes some minutes. A cache holds for one version of the packages and one kind of
# processor: anywhere else it is not used, and everything is compiled as without it.
set -euo pipefail
environment=$(cd "$1" && pwd)
mkdir -p "$2/jax" "$2/home/.cache"
folder=$(cd "$2" && pwd)
chapters=$(cd "$(dirname "$0")/../content" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export PATH=$environment/bin:$PATH
export NUMBA_CACHE_DIR=$folder/home/.cache/numba MPLCONFIGDIR=$folder/home/.cache/matplotlib
export JAX_COMPILATION_CACHE_DIR=$folder/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
cp $(grep -l '{code-cell}' "$chapters"/*.md) "$work"
jupytext --quiet --to ipynb "$work"/*.md
jupyter execute --timeout=600 "$work"/*.ipynb
chmod -R a+rX "$folder"
