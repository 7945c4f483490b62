# Everything a developer or CI does. Needs Python 3.10 to 3.12, make and git; the rest is installed
# into .venv. "make" alone lists the targets.
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
SHELL := bash

VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python
UV := $(BIN)/uv
UV_VERSION := 0.13.9
# What a user needs, and what the tests and the developers need beside it. uv pip sync installs what
# is listed and nothing that it depends on, which the last file needs.
RUN_TIME := requirements.txt
REQUIREMENTS := $(RUN_TIME) requirements-dev.txt requirements-models.txt
TORCH := torch==2.13.0
TORCH_VENV := .venv-torch
# of its wheel for the CPU, CPython 3.11 on x86-64, which is not in the index
TORCH_CPU_HASH := sha256:6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b
# What finds parts of a page that not everybody can read; only the tests have it.
AXE_VERSION := 4.14.1
AXE_HASH := e6b0ce02b84d892e2e33e403485e7f3d6c29e2be6df65daf44d89ba564139745
AXE := $(VENV)/axe-core/axe-$(AXE_VERSION).min.js
# A board of 64-bit ARM that qemu plays, with the toolkit for boards.
QEMU_BOARD := $(VENV)/qemu-board
# The top folders alone: what is inside comes with them.
ROOMS := $(patsubst %/__init__.py,%,$(wildcard */__init__.py))
# More arguments for pytest: make test ARGS="-k size"
ARGS :=

# "make setup PYTHON=..." means that one; a PYTHON of the environment is only tried first.
PYTHONS := $(if $(filter command%,$(origin PYTHON)),$(PYTHON),$(PYTHON) python3.11 python3.12 python3.10 python3)

# uv does not read pip's configuration, so an index that is set there is handed on.
USE_PIPS_INDEX = index=$$($(RUN) -m pip config list | sed -nE "s/^[a-z:]+\.index-url='(.*)'$$/\1/p" | tail -n 1); \
	[ -z "$$index" ] || export UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$$index}"

# So are its find-links, where a machine may keep a PyTorch for the CPU: the index has CUDA's only.
USE_PIPS_LINKS = links=$$($(RUN) -m pip config list | sed -nE "s/^[a-z:]+[.]find-links='(.*)'$$/\1/p" | head -n 1); \
	[ -z "$$links" ] || export UV_FIND_LINKS="$${UV_FIND_LINKS:-$$links}"

# onnx brings 56 MB of data for tests of its own, a tenth of all that a user needs.
TRIM = rm -rf "$(1)"/lib/python3*/site-packages/onnx/backend/test/data
INSTALL_ROCKPRESS = $(UV) pip install --quiet --python $(1) --no-deps --no-build-isolation --editable .

.PHONY: help setup demo test quick fuzz soak test-torch browser test-browser qemu-board test-qemu picture coverage test-wheel lint typecheck bench docs site lock wheel release image clean

help: ## list the targets
	@sed -nE 's/^([a-z-]+):[^#]*## (.*)/\1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  while IFS='|' read -r target text; do printf 'make %-12s %s\n' "$$target" "$$text"; done

setup: $(VENV)/.stamp ## make .venv with everything in it

demo: $(VENV)/.run-time ## run the whole chain on the bundled model and data
	$(BIN)/rockpress demo -o build/demo --report build/demo/report.html

# Two at a time, whole files: each has processes of its own, and a build takes up to a gigabyte.
# In the order of tests/conftest.py: xdist's own puts files of few tests last, and these take longest.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
test quick test-wheel: export OMP_NUM_THREADS := 1

test: setup ## run the tests (ARGS="-k size" for some of them)
	$(RUN) -m pytest $(PARALLEL) $(ARGS)

# -m of the command line replaces that of pyproject.toml, so it has to say all of it.
QUICK := -m "not toolkit and not soak and not torch and not browser and not qemu"
quick: setup ## run the tests that take seconds (ARGS, as for test)
	$(RUN) -m pytest $(PARALLEL) $(QUICK) $(ARGS)

# TIME: seconds. What breaks the promise of docs/robustness.md is kept in build/fuzz; with
# ROCKPRESS_FUZZ_SEED=7 it begins with that seed instead of 1.
TIME := 600
fuzz: setup ## change inputs at random for a while (TIME=600)
	ROCKPRESS_FUZZ_SECONDS=$(TIME) $(RUN) -m pytest -s tests/hostile/test_fuzz.py -k for_long $(ARGS)

soak: export ROCKPRESS_QEMU_BOARD := $(QEMU_BOARD)
soak: setup ## run the tests that take many minutes, and those of test-qemu where it can
	-$(MAKE) qemu-board
	$(RUN) -m pytest -m "soak or qemu" $(ARGS)

test-torch: $(TORCH_VENV)/.stamp ## run the tests that need PyTorch, in an environment of their own
	$(TORCH_VENV)/bin/python -m pytest -m torch $(ARGS)

browser: $(AXE) ## install the browser of make test-browser
	@.ci/install-browser

test-browser: export ROCKPRESS_AXE := $(AXE)
test-browser: setup browser ## look at the HTML report in a real browser
	$(RUN) -m pytest -m browser tests/report $(ARGS)

qemu-board: $(QEMU_BOARD)/.stamp ## install the board of make test-qemu

test-qemu: export ROCKPRESS_QEMU_BOARD := $(QEMU_BOARD)
test-qemu: setup qemu-board ## run what runs on a board, with the toolkit for boards, under qemu
	$(RUN) -m pytest -m qemu tests/board $(ARGS)

picture: demo browser ## write the pictures of the report in the README anew
	$(RUN) docs/report_picture.py build/demo/report.html
	$(RUN) docs/screen_picture.py build/demo/report.json

coverage: setup ## run the tests and show which lines they miss
	$(RUN) -m pytest --cov --cov-report term-missing:skip-covered $(ARGS)

# Installed in an environment of its own, outside the tree, as users have it: an editable install
# hides a package or a data file that the wheel lacks. Of another Python, or with other versions of
# what it needs, if these are named:
#   make test-wheel WHEEL_PYTHON=python3.10 WHEEL_REQUIREMENTS="requirements-lowest.txt requirements-models.txt"
WHEEL_PYTHON := $(RUN)
WHEEL_REQUIREMENTS := $(REQUIREMENTS)
test-wheel: wheel ## run the tests (ARGS, as for test) against the built wheel
	@$(USE_PIPS_INDEX); \
	venv=$$(mktemp -d) && trap 'rm -rf "$$venv"' EXIT && \
	$(UV) venv --quiet --clear --no-python-downloads --python "$(WHEEL_PYTHON)" "$$venv" && \
	$(UV) pip sync --quiet --python "$$venv" --require-hashes $(WHEEL_REQUIREMENTS) && \
	$(UV) pip install --quiet --python "$$venv" --no-deps dist/*.whl && \
	PATH="$$venv/bin:$$PATH" "$$venv/bin/pytest" $(PARALLEL) $(ARGS)

lint: setup ## check style, formatting and spelling
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell

# mypy takes a package's name from its folder, so it gets links under the right one.
typecheck: setup ## check the types
	rm -rf .typing && mkdir -p .typing/rockpress
	ln -s $(addprefix ../../,$(wildcard *.py) py.typed $(ROOMS)) .typing/rockpress/
	$(BIN)/mypy -p rockpress -p tests -p benchmarks

# All of it takes hours: benchmarks/conversion.py, pruning.py, quantization.py, retention.py,
# tune.py and yolo.py without --quick.
bench: setup ## run the benchmarks
	for script in benchmarks/*.py; do \
	  case "$$script" in */conversion.py|*/quantization.py|*/pruning.py|*/retention.py|*/tune.py|*/yolo.py) quick=--quick;; *) quick=;; esac; \
	  echo "== $$script $$quick" && $(RUN) "$$script" $$quick || exit; done

docs: setup ## check that the documentation says what is true
	$(RUN) -m pytest tests/project/test_docs.py tests/project/test_snippets.py $(ARGS)

site: setup ## build the documentation as a site in build/site
	$(BIN)/sphinx-build -q -n -W --keep-going docs build/site

# The requirements are committed and have no rule: a fresh clone gives all files about the same time,
# so a rule on pyproject.toml would lock anew by chance. 3.10 is the oldest Python they serve.
# All is locked together first, so that a package which a user and a developer need has one version:
# requirements.txt is constrained by that, and requirements-dev.txt then drops what is not its own
# (without --upgrade what the file holds is kept).
COMPILE = $(UV) pip compile --quiet --python-version 3.10 --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --no-python-downloads --custom-compile-command "make lock"
lock: | $(UV) ## write the hashed requirements anew from pyproject.toml
	@set -o pipefail; $(USE_PIPS_INDEX); \
	$(COMPILE) --universal --upgrade --group dev pyproject.toml --output-file requirements-dev.txt && \
	$(COMPILE) --universal --upgrade --constraint requirements-dev.txt pyproject.toml \
	  --output-file requirements.txt && \
	$(COMPILE) --universal --group dev --output-file requirements-dev.txt && \
	sed -nE 's/^rknn-toolkit2(==[0-9.]+).*/rknn-toolkit-lite2\1\npillow/p' requirements.txt | \
	$(COMPILE) --no-config --universal --no-annotate --upgrade - --output-file requirements-board.txt && \
	$(UV) pip compile --quiet --resolution lowest-direct --python-version 3.10 --no-python-downloads \
	  --no-header --no-annotate pyproject.toml | \
	$(COMPILE) --upgrade --no-annotate --group test - --output-file requirements-lowest.txt && \
	echo 'uv==$(UV_VERSION)' | $(COMPILE) --no-config --universal --no-annotate - \
	  --output-file requirements-uv.txt && \
	echo '$(TORCH)' | $(COMPILE) --no-config --universal --no-annotate --upgrade \
	  --constraint requirements.txt --constraint requirements-dev.txt - --output-file requirements-torch.txt && \
	sed -i 's/^torch==.*/&\n    --hash=$(TORCH_CPU_HASH) \\/' requirements-torch.txt

wheel: setup ## build dist/*.whl and the source archive
	rm -rf build dist *.egg-info/SOURCES.txt
	$(RUN) -m build --no-isolation --outdir dist .

# The image is of the wheel that lies in dist, and is tried by converting something in it.
CONTAINERS := $(or $(shell command -v podman || command -v docker),false)
IMAGE := rockpress
BUILD_IMAGE = $(CONTAINERS) build --file Containerfile --tag $(IMAGE) . && \
	$(CONTAINERS) run --rm $(IMAGE) doctor --self-test && \
	$(CONTAINERS) run --rm --entrypoint python $(IMAGE) -c \
	  'from importlib.util import find_spec; assert not find_spec("torch")'

# With TAG it is the release itself: nothing may be missing then.
TAG :=
release: setup ## build and check what is published: wheel, source archive, image (TAG=v1.2.3)
	PYTHON=$(RUN) .ci/release $(TAG)
	ROCKPRESS_DIST=dist $(RUN) -m pytest tests/project/test_packaging.py tests/project/test_release.py
	@if $(CONTAINERS) version >/dev/null 2>&1; then $(BUILD_IMAGE); \
	  else echo "no image was built: neither podman nor docker works here"; [ -z "$(TAG)" ]; fi

image: ## build the container image of dist/*.whl
	$(BUILD_IMAGE)

clean: ## remove everything that was made here
	rm -rf $(VENV) $(TORCH_VENV) .typing build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@python=$$(.ci/find-python $(PYTHONS)) && \
	echo "using $$python $$("$$python" -c 'import sys; print(sys.version.split()[0])')" && \
	"$$python" -m venv --clear $(VENV)
	@$(RUN) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-uv.txt

$(AXE): | $(UV)
	@folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && mkdir -p $(@D) && \
	npm pack --silent --pack-destination "$$folder" axe-core@$(AXE_VERSION) > "$$folder/name" && \
	archive="$$folder/$$(cat "$$folder/name")" && \
	echo "$(AXE_HASH)  $$archive" | sha256sum --check --quiet && \
	tar --extract --gzip --to-stdout --file "$$archive" package/axe.min.js > $@

$(QEMU_BOARD)/.stamp: .ci/install-qemu-board requirements-board.txt | $(UV)
	@$(USE_PIPS_INDEX); UV=$(UV) .ci/install-qemu-board $(QEMU_BOARD)

$(VENV)/.run-time: $(RUN_TIME) pyproject.toml | $(UV)
	@$(USE_PIPS_INDEX); \
	$(UV) pip install --quiet --python $(RUN) --require-hashes --requirements $(RUN_TIME) && \
	$(call TRIM,$(VENV)) && $(call INSTALL_ROCKPRESS,$(RUN))
	@touch $@

$(VENV)/.stamp: $(REQUIREMENTS) pyproject.toml | $(UV)
	@$(USE_PIPS_INDEX); \
	$(UV) pip sync --quiet --python $(RUN) --require-hashes $(REQUIREMENTS) && \
	$(call TRIM,$(VENV)) && $(call INSTALL_ROCKPRESS,$(RUN))
	@touch $(VENV)/.run-time $@

# What PyTorch needs is pinned and hashed by a constraint, as a build for the CPU needs less of it.
# --no-config: pyproject.toml leaves torch out on purpose.
$(TORCH_VENV)/.stamp: $(REQUIREMENTS) requirements-torch.txt pyproject.toml | $(UV)
	@$(USE_PIPS_INDEX); $(USE_PIPS_LINKS); \
	$(UV) venv --quiet --clear --python $(RUN) $(TORCH_VENV) && \
	$(UV) pip sync --quiet --python $(TORCH_VENV) --require-hashes $(REQUIREMENTS) && \
	$(UV) pip install --quiet --no-config --python $(TORCH_VENV) \
	  --constraint requirements-torch.txt $(TORCH) && \
	$(call INSTALL_ROCKPRESS,$(TORCH_VENV))
	@touch $@
