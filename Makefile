# Every target sets up what it needs first; `make help` lists them.

# The first interpreter on PATH that is new enough; `make PYTHON=… local` names another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv/bin
ENV ?= dev
OPS := $(VENV)/huntaze-stripe
# Bytecode is part of what is measured and of every start; a machine-wide switch must not turn it off.
unexport PYTHONDONTWRITEBYTECODE

# A misspelled variable is refused: `make local EVENT=x` would send the shipped set.
TAKES_local := EVENTS COUNT KEEP DETACH
TAKES_chaos := SEED EVENTS_TOTAL
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach goal,$(filter local chaos,$(MAKECMDGOALS)), \
	$(foreach name,$(filter-out $(TAKES_$(goal)) PYTHON NO_COLOR COLUMNS,$(GIVEN)), \
		$(error unknown variable $(name): make $(goal) takes $(TAKES_$(goal)))))

.DEFAULT_GOAL := help
.PHONY: help setup local local-status local-down chaos model test check format lock docs diagram bundles synth bootstrap plan deploy destroy clean

help: ## Show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: ## Install everything into .venv from Pipfile.lock
	@$(if $(PYTHON),$(PYTHON) -I -S ops/dev/install.py,echo "setup: Python 3.11 or newer is not on PATH; install it, or name one with make PYTHON=…" >&2; exit 1)

local: setup ## Deploy dev to an embedded AWS and drive Stripe events through it (EVENTS=PATH COUNT=N KEEP=1 DETACH=1)
	@$(OPS) local $(if $(EVENTS),--events "$(EVENTS)") $(if $(COUNT),--count "$(COUNT)") $(if $(filter-out 0,$(KEEP)),--keep) \
		$(if $(filter-out 0,$(DETACH)),--detach)

local-status: ## Show the local run that KEEP=1 or DETACH=1 keeps
	@$(OPS) local status

local-down: ## Stop the local run that KEEP=1 or DETACH=1 keeps
	@$(OPS) local down

chaos: setup ## Inject failures on an embedded AWS and verify every event (SEED=N EVENTS_TOTAL=N)
	@$(OPS) chaos $(if $(SEED),--seed "$(SEED)") $(if $(EVENTS_TOTAL),--events "$(EVENTS_TOTAL)")

model: setup ## Search what may happen to the pipeline, far beyond the tests (MODEL=NAME SEED=N MINUTES=N MAX=N)
	@$(VENV)/python -m tests.model $(MODEL) $(if $(SEED),--seed "$(SEED)") $(if $(MINUTES),--minutes "$(MINUTES)") \
		$(if $(MAX),--most "$(MAX)") $(if $(SWITCHES),--switches "$(SWITCHES)") $(if $(FAULTS),--faults "$(FAULTS)") \
		$(if $(SCHEDULE),--schedule "$(SCHEDULE)")

test: setup check ## Pass every check and every test
	@$(VENV)/python -m pytest -n 2 --no-loadscope-reorder

check: setup ## Run the linters, the type checker, the import contracts, the workflow audit and the policy scan
	@$(VENV)/ruff check --quiet . && $(VENV)/ruff format --quiet --check .
	@$(VENV)/mypy
	@$(VENV)/lint-imports
	@$(VENV)/zizmor --offline --quiet .github/workflows
	@$(VENV)/python -m ops.dev.policy_scan

format: setup ## Format the code and mend what ruff can mend
	@$(VENV)/ruff check --quiet --fix . ; $(VENV)/ruff format --quiet .

lock: setup ## Resolve Pipfile anew into Pipfile.lock, without index addresses
	@$(VENV)/python -m ops.dev.lock_packages

diagram: setup ## Draw docs/architecture.svg from the synthesised Terraform of prod
	@$(VENV)/python -m ops.dev.diagram

docs: setup ## Write what the documentation takes from the code
	@$(VENV)/python -m ops.dev.docs

bundles: setup ## Build the function bundles for Lambda
	@$(OPS) bundles

synth: setup ## Synthesise Terraform for every complete environment into cdktf.out
	@$(VENV)/python main.py

bootstrap: setup ## Create the bucket for the Terraform state, once per AWS account (YES=1)
	@$(OPS) bootstrap $(if $(filter-out 0,$(YES)),--yes)

plan: setup ## Print the Terraform plan of ENV and write it as Markdown to build/plans (REFRESH=0: by the state only)
	@$(OPS) plan --env "$(ENV)" $(if $(filter 0,$(REFRESH)),--no-refresh)

deploy: setup ## Plan ENV, ask, and apply (YES=1: do not ask)
	@$(OPS) deploy --env "$(ENV)" $(if $(filter-out 0,$(YES)),--yes)

destroy: setup ## Destroy ENV after asking (YES=1: do not ask)
	@$(OPS) destroy --env "$(ENV)" $(if $(filter-out 0,$(YES)),--yes)

clean: ## Remove what builds and runs wrote (keeps .venv)
	@rm -rf build cdktf.out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
