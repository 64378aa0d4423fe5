PYTHON ?= python3.11
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2
PYTEST_ARGS ?=
PROCESSES ?= 2

.DEFAULT_GOAL := help
.PHONY: help demo bench test quick check format lint types lock images why better proof clean

help: ## Show what make can do
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# uv comes from the lock like everything else; pip only fetches it. Compiled now, TensorFlow's and Keras' 2,751
# modules are not compiled by each process that may not keep the bytecode: 7 s of processor time an import, not 17.
.venv/.installed: requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -oE '^uv==[0-9.]+' requirements.txt)"
	VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/uv pip sync --quiet --require-hashes --compile-bytecode requirements.txt
	VIRTUAL_ENV="$(CURDIR)/.venv" $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

demo: .venv/.installed ## Set up, then run the whole pipeline on drawn dishes: minutes, no network
	$(BIN)/switchpoint run --recipe demo

bench: .venv/.installed ## Measure against the lab's way: ONLY=name,name PHOTOS=folder
	$(BIN)/python -m bench $(if $(ONLY),--only $(ONLY)) $(if $(PHOTOS),--photos "$(PHOTOS)")

test: .venv/.installed ## Set up, then run the tests (those whose part is missing here are skipped, saying why)
	$(BIN)/python -m pytest --numprocesses $(PROCESSES) --dist loadfile --no-loadscope-reorder --durations 25 $(PYTEST_ARGS)

quick: .venv/.installed ## The tests that need no TensorFlow, Docker, browser, MLflow, bucket or real photos: a minute
	$(BIN)/python -m pytest --quick --numprocesses 4 -q -rfE $(PYTEST_ARGS)

check: lint types test ## Everything that must be green before a push

format: .venv/.installed ## Format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: .venv/.installed ## Formatting, lint and the import contract, the Dockerfile too
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/hadolint docker/Dockerfile

types: .venv/.installed ## mypy, strict
	$(BIN)/mypy

PIP_COMPILE = $(BIN)/uv pip compile --quiet --python-version 3.11 --no-emit-index-url --generate-hashes --custom-compile-command "make lock"
lock: ## Resolve the dependencies anew
	$(PIP_COMPILE) --universal --extra cpu --extra export --extra mlflow --group dev -o requirements.txt pyproject.toml
	for device in cpu gpu; do $(PIP_COMPILE) --python-platform x86_64-manylinux_2_28 -o docker/requirements-$$device.txt docker/requirements-$$device.in || exit 1; done

images: .venv/.installed ## Build each step's image: DEVICE=gpu|cpu REGISTRY=… BASE_IMAGE=… PUSH=1
	$(BIN)/python docker/build.py

PHOTOS ?= ../shared/data/food101-mini
why: .venv/.installed ## Why the lab's fine-tuning collapsed: right labels, its labels and a control; PHOTOS=…
	$(BIN)/python -m bench.collapse "$(PHOTOS)" --siblings "$(PHOTOS)/../siblings.csv"

better: .venv/.installed ## Choose what `better` fine-tunes with, by cross-validation on training photos; PHOTOS=… UNBALANCED=1
	$(BIN)/python -m bench.better "$(PHOTOS)" $(if $(UNBALANCED),--unbalanced)

proof: .venv/.installed ## What intervals, choice, halving, drift and the searches for copies and labels are worth: ONLY=coverage|choice|draws|drift|duplicates|labels|search DRAWS=
	$(BIN)/python -m bench.proof $(if $(ONLY),--only $(ONLY)) $(if $(DRAWS),--draws $(DRAWS))

clean: ## Remove what make made (runs/ stays)
	rm -rf .venv build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
