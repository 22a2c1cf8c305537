# Two commands are enough after a clone: `make demo`, `make test`. Both set up .venv first.
PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
LOWEST := .venv-lowest
RELEASE := .venv-release
BILL := .venv-sbom

.DEFAULT_GOAL := help
.PHONY: help setup demo docs test test-fast slow fuzz soak scale lowest arithmetics portable check sbom bench clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "make %-11s %s\n", $$1, $$2}'

setup: $(STAMP) ## .venv with the pinned dependencies and xattn itself, editable

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	# Quantus, a reference in the tests, asks for opencv-python, which would unpack into the same
	# folder as the headless OpenCV that we and grad-cam use; all else it needs is there.
	# axe-core, the accessibility checker, comes in a package that asks for Playwright; the tests
	# drive the system's Chromium themselves and read only the script.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps quantus==0.6.0 axe-playwright-python==0.1.8
	touch $@

demo: setup ## the whole chain on generated data, offline; ends with a page to open
	$(BIN)/xattn demo --out xattn-demo

# mkdocs-material prints a notice on a coming MkDocs 2 with every build; what is pinned is MkDocs 1.
docs: setup ## the docs site, from pages, docstrings and commands; open site/index.html
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

test: setup ## the tests, but for simulations and other slow ones
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not fuzz"

# What needs no network to run: data, statistics, settings, words.
FAST := tests/annotations tests/features tests/settings tests/splits tests/stats tests/images \
	tests/analysis/alignment tests/analysis/comparison tests/models/checkpoints \
	tests/test_registry.py tests/test_registries.py tests/docs/test_options.py tests/docs/test_links.py

test-fast: setup ## a third of the quick tests, those without networks: before each commit
	$(BIN)/python -m pytest -n 2 --dist worksteal -q -m "not slow and not fuzz" $(FAST)

slow: setup ## the slow tests: level and power by simulation, kills, trainings
	$(BIN)/python -m pytest -n 2 --dist worksteal -m slow

fuzz: setup ## over 20,000 damaged and hostile files of all kinds: one line each, no code run
	$(BIN)/python -m pytest -n 2 --dist worksteal -m fuzz tests/fuzz

soak: setup ## a hundred kills and more of explain, feature-usage, train, search and study
	$(BIN)/python -m tests.soak

scale: setup ## memory, images a second and resuming at 1,000 to 50,000 images; docs/scale.csv
	$(BIN)/python -m tests.benchmarks.scale

lowest: ## quick tests of models, images, maps and commands with the lowest versions declared
	test -x $(LOWEST)/bin/python || $(PYTHON) -m venv $(LOWEST)
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints-lowest.txt --editable '.[test]'
	$(LOWEST)/bin/python -m pytest -n 2 --dist worksteal -m "not slow and not fuzz" tests/models tests/images tests/attribution tests/cli

# Instruction sets that torch and oneDNN are held to, from the oldest to what most machines have.
PLAIN := ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41
AVX2  := ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2
WIDE  := ATEN_CPU_CAPABILITY=avx512 ONEDNN_MAX_CPU_ISA=AVX512_CORE

arithmetics: setup ## all tests under other arithmetics than this processor's own, one and two threads
	$(PLAIN) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not fuzz"
	$(AVX2) OMP_NUM_THREADS=2 $(BIN)/python -m pytest -n 1 -m "not fuzz"
	$(WIDE) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not fuzz"

portable: setup ## the short form: quick tests that run networks, on the oldest instruction set
	$(PLAIN) $(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not fuzz" tests/models tests/attribution tests/training tests/analysis/faithfulness tests/analysis/interventions

check: setup ## style, types, direction of imports, words
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/check_words.py

# What a user gets: all that is asked for by name, too.
sbom: ## dist/: SBOM of a release (CycloneDX) and its licences, from what is installed
	test -x $(RELEASE)/bin/python || $(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[lrp,hf,onnx,fast,kci,dicom,hdf5,pretrained,ray]'
	test -x $(BILL)/bin/python || $(PYTHON) -m venv $(BILL)
	$(BILL)/bin/python -m pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0
	mkdir -p dist
	$(BILL)/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-format JSON --output-file dist/xattn.cdx.json $(RELEASE)/bin/python
	$(RELEASE)/bin/python tools/licences.py > dist/licences.md

bench: setup ## speed as ratios to a bare forward, peers beside it, measured in one process
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev,bench]'
	$(BIN)/python -m tests.benchmarks

clean: ## remove what the other targets made
	rm -rf $(VENV) $(LOWEST) $(RELEASE) $(BILL) xattn-demo site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
