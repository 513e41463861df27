# The newcomer's index: `make help`.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
SHELL := bash
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.installed
VENV_PYQT6 := .venv-pyqt6
STAMP_PYQT6 := $(VENV_PYQT6)/.installed
export NOISYSEG_DATA ?= $(abspath ../shared/data)
export OMP_WAIT_POLICY ?= passive
export GOMP_SPINCOUNT ?= 0
# a word on the theme's future, in red at each build
export NO_MKDOCS_2_WARNING := 1

# of the default tests: four of like length, two at a time
PARTS := unit-window-1 unit-window-2 unit-rest-1 unit-rest-2

.PHONY: help install system demo test test-pyqt6 long lint types layers unit $(PARTS) slow format docs docs-serve benchmark screenshots reference methods build wheel-installed clean

help:  ## show this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

system:  ## install the system libraries that napari needs, or say which are missing
	@scripts/system-libraries "$(PYTHON)"

install: system $(STAMP)  ## set up .venv with every extra (make demo and make test do this too)

$(STAMP): pyproject.toml constraints.txt
	@echo "== Setting up $(VENV) (a minute or two the first time)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[all,dev]"
	@touch $@

demo: install  ## walk the whole path on the bundled tissue: in napari, or headless without a display
	@$(BIN)/noisyseg demo --output demo

test: install lint types layers docs unit  ## everything that must pass: style, types, layers, docs, tests

lint:  ## ruff: style and formatting
	@echo "== Style"; $(BIN)/ruff check . && $(BIN)/ruff format --check .

types:  ## mypy, strict
	@echo "== Types"; $(BIN)/mypy

layers:  ## import-linter: imports point only downwards
	@echo "== Layers"; $(BIN)/lint-imports

docs:  ## the documentation as a site in site/, strictly: a broken link is an error
	@echo "== Docs"; out=$$($(BIN)/mkdocs build --strict 2>&1) || { echo "$$out"; exit 1; }

docs-serve: install  ## the same in a browser, renewed while you write
	@$(BIN)/mkdocs serve

unit-window-1: TESTS = $(wildcard tests/gui/test_[a-p]*.py)
unit-window-2: TESTS = $(filter-out $(wildcard tests/gui/test_[a-p]*.py), $(wildcard tests/gui/test_*.py))
unit-rest-1: TESTS = $(filter-out tests/gui/, $(wildcard tests/[a-i]*/))
unit-rest-2: TESTS = $(wildcard tests/[j-z]*/) $(wildcard tests/test_*.py)

unit:  ## the default tests, in four parts of which two run at a time
	@echo "== Tests"; $(MAKE) --no-print-directory -j2 -Otarget $(PARTS)

# what fails is run once more: two parts use the same cores, and a window may be late
$(PARTS):
	@run="$(BIN)/python -m pytest -q -o cache_dir=.pytest_cache/$@"; \
		$$run $(TESTS) || $$run --last-failed $(TESTS)

long: install  ## tests of many seconds each, in the same four parts (minutes)
	@PYTEST_ADDOPTS="-m 'long and not slow'" $(MAKE) --no-print-directory unit

slow: install  ## tests of minutes each, on real fields (needs NOISYSEG_DATA)
	@$(BIN)/python -m pytest -q -m slow --timeout 3600

test-pyqt6: system $(STAMP_PYQT6)  ## the window's tests under PyQt6, in a .venv-pyqt6 of its own (minutes)
	@# what fails is run once more: on a busy machine a window may be late
	@export QT_API=pyqt6; run="$(VENV_PYQT6)/bin/python -m pytest -q -o qt_api=pyqt6"; \
		$$run tests/gui || $$run --last-failed tests/gui

$(STAMP_PYQT6): pyproject.toml constraints.txt
	@echo "== Setting up $(VENV_PYQT6)"
	@test -x $(VENV_PYQT6)/bin/python || "$(PYTHON)" -m venv $(VENV_PYQT6)
	@$(VENV_PYQT6)/bin/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(VENV_PYQT6)/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e ".[napari-pyqt6,train,slides,cluster,dev]"
	@touch $@

format:  ## let ruff put the formatting right
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

reference:  ## write docs/api.md and docs/commands.md again from the docstrings
	@$(BIN)/python docs/reference.py

methods:  ## write methods.json again after a method's settings have changed
	@$(BIN)/python -m napari_noisyseg.registry

benchmark: install  ## list the benchmarks; run one with: .venv/bin/noisyseg benchmark NAME
	@$(BIN)/noisyseg benchmark --list

screenshots: install  ## take the pictures of the documentation again, from the real window
	@$(BIN)/python docs/screenshots.py

build: install  ## build and check the wheel and the source distribution; TAG=v1.2.3 must be their version
	@rm -rf dist; $(BIN)/python -m hatchling build
	@$(BIN)/python -m twine check --strict dist/*
	@test -z "$(TAG)" || ls dist/napari_noisyseg-$(TAG:v%=%)-py3-none-any.whl

wheel-installed: install  ## the wheel in fresh environments: bare, with training, with everything (minutes)
	@$(BIN)/python -m pytest -q -m slow tests/package --timeout 3600

clean:  ## remove what was built (never a project)
	@rm -rf dist build demo site .mypy_cache .ruff_cache .pytest_cache
