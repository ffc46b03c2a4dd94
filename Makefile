# From spikes to models. `make help` lists what there is to make.

SHELL := bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

export PYTHON # book/find_python.sh finds one where it is not given
REQUIREMENTS ?= requirements.txt
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
ENV := $(VENV)/.installed
WHEEL := build/site/workshop_utils-$(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)-py3-none-any.whl
NOTEBOOKS := $(patsubst content/%.md,build/notebooks/%.ipynb,$(shell grep -l '{code-cell}' content/*.md))
# Wider code would have to be scrolled sideways on the website. The notebooks are in .gitignore.
CHAPTER_STYLE := --config line-length=76 --no-respect-gitignore build/notebooks
PAGES := $(wildcard content/*.md content/images/* book/static/* book/templates/* book/*.py book/*/*.py) content/references.bib \
  _config.yml _toc.yml $(wildcard content/results/*.json)

# JAX keeps what it translated, and the next run finds it. What it cannot read (somebody else is
# just writing it, or was killed) it translates anew, without a word.
export JAX_COMPILATION_CACHE_DIR ?= $(CURDIR)/build/jax
export JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS ?= 0
export JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES ?= -1
# Fewer pools of freed memory, as on the hub: a chapter's peak is lower by a twentieth (glibc alone reads it).
export MALLOC_ARENA_MAX ?= 2
# The course fits small matrices, many at a time: OpenBLAS' threads wait for each other longer than they save.
export OPENBLAS_NUM_THREADS ?= 1
export PYTHONWARNINGS ?= ignore:Error reading persistent compilation cache,ignore:Error writing persistent compilation cache

.PHONY: editions help book serve test test-chapter  test-recorded  test-install test-site test-slurm linkcheck site-zip pdf cheat-sheet notebooks new-chapter data check lint format lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

$(ENV): $(REQUIREMENTS) pyproject.toml
	@python=$$(bash book/find_python.sh $(VENV)) && "$$python" book/preflight.py $(VENV) $(REQUIREMENTS)

book: $(ENV) ## execute the chapters and build the website (the first time also installs)
	@$(BIN)/python book/execute.py
	@$(MAKE) --no-print-directory editions
	@$(MAKE) --no-print-directory _build/html/index.html
	@echo "The website is in _build/html. To read it, type:  make serve"

# A failed build leaves no half-built site: the next run starts from the sources
# and cannot pass by finding the pages that were written before the failure.
_build/html/index.html: $(PAGES) _build/executions.json
	@$(BIN)/jupyter-book build . --all --quiet -W -n --keep-going \
	  || { rm -rf _build/html _build/.doctrees; exit 1; }
	@touch $@

serve: ## show the website at http://127.0.0.1:8000
	@test -e _build/html/index.html || { echo "Type first:  make book"; exit 1; }
	@$(BIN)/python -m http.server 8000 --bind 127.0.0.1 --directory _build/html

# nbmake executes each chapter once, with its exercises tried; the tests judge the outputs.
NBMAKE := -m pytest -n 2 --nbmake --overwrite --nbmake-timeout=300 --durations=5
test: $(ENV) lint ## test the helpers, run every notebook with nbmake, try the exercises
	@$(BIN)/python tests/tested.py
	@$(BIN)/python $(NBMAKE) build/tested; chapters=$$?; \
	  $(BIN)/python -m pytest -n 2 --dist loadgroup --durations=15 tests && exit $$chapters

test-chapter: $(ENV) ## one chapter: make test-chapter SLUG=fit_glm
	@$(BIN)/python tests/tested.py $(SLUG)
	@$(BIN)/python $(NBMAKE) build/tested/$(SLUG).ipynb; \
	  $(BIN)/python -m pytest -q tests/test_execution.py tests/test_chapters.py -k $(SLUG)

test-recorded: $(ENV) ## compare the course's numbers with the real recording (needs the network)
	@$(BIN)/python -m pytest -m network tests

test-install: $(ENV) $(WHEEL) ## run a downloaded notebook in an empty environment (needs a package registry)
	@$(BIN)/python -m pytest -q -m install --durations=2 tests/test_install.py

test-site: book $(VENV)/.site ## drive a browser over every page of the website (needs Chromium)
	@$(BIN)/python -m pytest -q -m site tests/test_site.py

test-slurm: $(ENV) ## the chapter on many machines through a real SLURM (as root; needs Debian's packages)
	@$(BIN)/python -m pytest -q -m slurm tests/test_slurm.py

$(VENV)/.site: requirements-site.txt $(ENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

linkcheck: $(ENV) ## try every link to another site (needs the network)
	@$(BIN)/jupyter-book build . --all --quiet --builder linkcheck

site-zip: book ## the website as one file, to unpack and open without a server or a network
	@cd _build && $(abspath $(BIN))/python -m zipfile -c ../build/from-spikes-to-models.zip html
	@echo "build/from-spikes-to-models.zip: unpack it and open html/index.html"

pdf: book $(VENV)/.site ## the website as one PDF with bookmarks (needs Chromium)
	@$(BIN)/python book/make_pdf.py build/from-spikes-to-models.pdf

cheat-sheet: book $(VENV)/.site ## the cheat sheet on one page of A4 (needs Chromium)
	@$(BIN)/python book/make_pdf.py build/cheat_sheet.pdf cheat_sheet

build/notebooks/%.ipynb: content/%.md $(ENV)
	@mkdir -p build/notebooks
	@$(BIN)/jupytext --quiet --to ipynb --output $@ $<

notebooks: $(ENV) ## make the notebooks to hand out and to teach from, in four editions
	@$(BIN)/python book/execute.py
	@$(MAKE) --no-print-directory editions
	@echo "In build/site/notebooks: participant (without solutions), complete (solutions and results),"
	@echo "instructor (with the presenter's notes), live (the code to type, for the presenter)"

# What did not change is not written again.
editions: $(WHEEL)
	@$(BIN)/python book/editions.py

# The package stands beside the notebooks: where it is missing, they install it.
# With a fixed date, so that the same sources make the same file.
$(WHEEL): pyproject.toml $(wildcard workshop_utils/*.py workshop_utils/*/*.py)
	@rm -rf build/site/*.whl build/lib build/bdist.*
	@SOURCE_DATE_EPOCH=315532800 $(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation \
	  --wheel-dir build/site .
	@rm -rf build/lib build/bdist.*
	@touch $@

new-chapter: $(ENV) ## begin a chapter: make new-chapter SLUG=my_chapter TITLE="Ask something"
	@$(BIN)/python book/new_chapter.py "$(SLUG)" "$(TITLE)"

data: $(ENV) ## download the recording, or say why it is simulated
	@$(BIN)/python -m workshop_utils fetch

check: $(ENV) ## am I ready? Python, packages, JAX, data, memory
	@$(BIN)/python -m workshop_utils check

lint: $(ENV) $(NOTEBOOKS) ## check the style of the code
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/ruff check --quiet $(CHAPTER_STYLE)
	@$(BIN)/ruff format --quiet --diff $(CHAPTER_STYLE)

format: $(ENV) $(NOTEBOOKS) ## format the code of the chapters and of the package
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff format --quiet $(CHAPTER_STYLE)
	@$(BIN)/jupytext --quiet --sync $(NOTEBOOKS)

LOCKED := uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-emit-index-url --no-header
LOCKS = $(LOCKED) pyproject.toml --extra course --extra book --extra test

lock: ## renew requirements.txt and the locks that build on it (needs uv); OPTIONS=--upgrade
	$(LOCKS) $(OPTIONS) -o requirements.txt
	$(LOCKS) --extra gpu -c requirements.txt -o requirements-gpu.txt
	$(LOCKED) --group pyproject.toml:site -c requirements.txt -o requirements-site.txt

clean: ## remove what was built (not the environment, not the downloaded data)
	rm -rf _build build
