#!/bin/bash
# Run every chapter once and keep what is compiled, for everyone who runs it after that:
#
#   deploy/fill_cache.sh ENVIRONMENT FOLDER
#
# ENVIRONMENT/bin holds the course's Python. FOLDER will hold
#   jax/    JAX's compilation cache, read by all and written by nobody (JAX_COMPILATION_CACHE_DIR)
#   home/   what each home folder starts with: the caches of numba and matplotlib, which must
#           be writable
# Takes as long as all chapters together. A cache is for one version of the packages and one kind
# of processor; elsewhere it is not used, and everything is compiled as without it.
set -euo pipefail
environment=$(cd "$1" && pwd)
mkdir -p "$2/jax" "$2/home/.cache"
folder=$(cd "$2" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

export PATH=$environment/bin:$PATH
export NUMBA_CACHE_DIR=$folder/home/.cache/numba MPLCONFIGDIR=$folder/home/.cache/matplotlib
export JAX_COMPILATION_CACHE_DIR=$folder/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES=-1
export OPENBLAS_NUM_THREADS=1
cp -r "$(dirname "$0")/../content/." "$work"
cd "$work"
chapters=$(grep -l '{code-cell}' [!_]*.md)
jupytext --quiet --to ipynb $chapters
jupyter execute --timeout=600 ${chapters//.md/.ipynb}
chmod -R a+rX "$folder"
