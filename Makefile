# Everything a fresh clone needs; `make help` lists the targets.

PYTHON ?= python3
MODEL  ?= fashion-cnn
# the model's own data set unless one is named
DATASET ?=

VENV := .venv
BIN  := $(VENV)/bin
READY := $(VENV)/ready
OLD_READY := .venv-tflite-runtime/ready
NAME := $(MODEL)$(addprefix -,$(DATASET))
OUT  := models/$(NAME)
# TensorFlow has wheels for Python 3.11 to 3.13. Those for 3.14 come with TensorFlow 2.22, which is
# not released: then 14 here, <2.23 in pyproject.toml, `make lock`, `make test`.
NEWEST_PYTHON := 13
# emulated Raspberry Pis: 0.8 GB, from the machine's own package sources
PI   := .pi
PI_MODELS ?= $(addprefix models/released/,fashion-cnn fashion-fast fashion-small mnist-one-conv mnist-small)
PI_IMAGES ?= 1000
FRONTIER ?= fashion-small fashion-fast mnist-one-conv mnist-small

# where this is set, every process compiles TensorFlow anew: 9 s of processor time instead of 4
unexport PYTHONDONTWRITEBYTECODE

MINUTES := 10

.PHONY: help setup export bench bench-arm test test-pi test-readme lint docs release frontier lock clean deleted

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  settings: MODEL=fashion-cnn|mnist-cnn  DATASET=fashion-mnist|mnist|digits  PYTHON=python3.12"

export: $(OUT)/.exported ## train MODEL if need be, convert it, prove every file: models/MODEL/

bench: $(READY) ## accuracy and latency of MODEL's files
	$(BIN)/toolchain bench $(NAME)

test: $(READY) $(OLD_READY) ## run the tests
	@echo "This takes about $(MINUTES) minutes on two quiet cores."
	$(BIN)/python -m pytest -n 2 --dist loadfile

test-readme: $(READY) ## run every command of the README, in a copy of this clone
	$(BIN)/python -m tests.tools.readme

test-pi: $(READY) ## prove the released int8 files in emulated Raspberry Pis
	$(BIN)/python -m benchmarks.emulator $(PI) $(PI_IMAGES) $(PI_MODELS)

bench-arm: $(READY) ## count instructions an image in emulated Raspberry Pis; ARM=check compares
	PYTHONPATH=. $(BIN)/python benchmarks/arm.py $(PI) $(PI_MODELS) $(addprefix --,$(ARM))

lint: $(READY) ## style, types, the house's import contracts, the dependencies' licences
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pip-licenses --summary

docs: $(READY) ## make docs/errors.md and ARCHITECTURE's table again, from the source
	$(BIN)/python -m tests.tools.errors_catalogue
	$(BIN)/python -m tests.tools.architecture

setup: $(READY) ## only make .venv

clean: ## remove environments and caches; models and data stay
	rm -rf $(VENV) $(PI) .venv-tflite-runtime .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis
	find toolchain tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

# What was trained or exported once is made again only when what it was made from is newer.
$(OUT)/training.json: | $(READY)
	$(BIN)/toolchain train $(MODEL) $(addprefix --dataset ,$(DATASET)) --out $(OUT)

# Exit code 5: a file was published as undecided, for want of test images.
$(OUT)/.exported: $(OUT)/training.json $(if $(wildcard $(OUT)/$(NAME).int8.tflite),,deleted)
	$(BIN)/toolchain export $(OUT) || [ $$? = 5 ]
	@touch $@

deleted:

$(READY): requirements/uv.txt requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $(NEWEST_PYTHON)))' || \
	  { echo "$(PYTHON) is not Python 3.11 to 3.$(NEWEST_PYTHON); name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(BIN)/uv pip sync --quiet --require-hashes --python $(BIN)/python requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

# tflite-runtime needs numpy 1, so it lives apart; it exists for Python 3.11 alone.
$(OLD_READY): requirements/tflite-runtime.txt | $(READY)
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
	  $(BIN)/python -m venv .venv-tflite-runtime && \
	  $(BIN)/uv pip sync --quiet --require-hashes --python .venv-tflite-runtime/bin/python requirements/tflite-runtime.txt; \
	else \
	  echo "tflite-runtime has no wheel for this Python: its tests will be skipped" >&2; \
	  mkdir -p .venv-tflite-runtime; \
	fi
	@touch $@

COMPILE = $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-emit-index-url \
  --no-emit-find-links --no-annotate --no-header --upgrade

release: $(READY) ## make the models in models/released/ again
	for model in $(notdir $(wildcard models/released/*-cnn)); do \
	  $(BIN)/toolchain train $$model --out models/released/$$model && \
	  $(BIN)/toolchain export models/released/$$model --precision int8 || exit; \
	done

# each seed's file in int8 is proved too, so that the card can tell their mean and spread
# int8 ONNX has weights of 7 bits, too few for some (exit code 4): those get it in float32
frontier: $(READY) ## make the small models in models/released/ again, three seeds each
	for model in $(FRONTIER); do \
	  out=models/released/$$model; \
	  $(BIN)/toolchain train $$model --seeds 3 --out $$out && \
	  for seed in 0 1 2; do \
	    $(BIN)/toolchain export $$out/seed-$$seed --format tflite --precision int8 || exit; \
	  done && \
	  $(BIN)/toolchain export $$out --format tflite --precision int8 || exit; \
	  $(BIN)/toolchain export $$out --format onnx --precision int8 || { [ $$? = 4 ] && \
	    $(BIN)/toolchain export $$out --format onnx --precision float32; } || exit; \
	done

lock: $(READY) ## bring the requirements locks up to date
	$(COMPILE) --python-version 3.11 --extra dev pyproject.toml -o requirements/dev.txt
	$(COMPILE) --python-version 3.11 --extra tflite-runtime pyproject.toml -o requirements/tflite-runtime.txt
	echo uv | $(COMPILE) --python-version 3.11 - -o requirements/uv.txt
