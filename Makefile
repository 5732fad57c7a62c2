# `make help` lists the targets. Each of them runs `setup` first.

# The first interpreter on PATH that is new enough; `make PYTHON=… local` names another.
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
VENV := .venv/bin
ENV ?= dev
OPS := $(VENV)/huntaze-stripe
# Commands start faster with bytecode, and the build measures it: a machine-wide switch must not turn it off.
unexport PYTHONDONTWRITEBYTECODE

# A misspelled variable is refused: `make local EVENT=x` would send the shipped set.
TAKES_local := EVENTS COUNT KEEP DETACH VARIANT FRESH
TAKES_dev := EVENTS VARIANT FRESH
TAKES_chaos := SEED DELIVERIES VARIANT
TAKES_simulate := ENV SCENARIO RATE FOR BURST SIZED SET SEED
TAKES_model := MODEL SEED MINUTES MAX SWITCHES FAULTS SCHEDULE
# The former name of DELIVERIES.
FORMER_chaos := EVENTS_TOTAL
GIVEN := $(foreach name,$(.VARIABLES),$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
$(foreach goal,$(filter local dev chaos simulate model,$(MAKECMDGOALS)), \
	$(foreach name,$(filter-out $(TAKES_$(goal)) $(FORMER_$(goal)) PYTHON NO_COLOR COLUMNS,$(GIVEN)), \
		$(error unknown variable $(name): make $(goal) takes $(TAKES_$(goal)))))

.DEFAULT_GOAL := help
.PHONY: help setup local dev local-status local-down chaos simulate bundles synth test-unit test-one test check lint policy format model measure bench lock docs diagram browser screenshots \
	bootstrap plan deploy destroy clean

# A line `##@ …` starts a group of the list.
help: ## Show this list
	@awk -F ':.*## ' '/^##@ /{printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## /{printf "  make %-12s  %s\n", $$1, $$2}' \
		$(MAKEFILE_LIST)

##@ Run on this machine
setup: ## Install the locked packages into .venv; all targets but clean do this first
	@$(if $(PYTHON),$(PYTHON) -I -S ops/dev/install.py,echo "setup: Python 3.11 or newer is not on PATH; install it, or name one with make PYTHON=…" >&2; exit 1)

local: setup ## Deploy dev to an embedded AWS and send Stripe events through it (EVENTS=PATH COUNT=N VARIANT=all KEEP=1 DETACH=1 FRESH=1)
	@$(OPS) local $(if $(EVENTS),--events "$(EVENTS)") $(if $(COUNT),--count "$(COUNT)") $(if $(filter-out 0,$(KEEP)),--keep) \
		$(if $(VARIANT),--variant "$(VARIANT)") \
		$(if $(filter-out 0,$(DETACH)),--detach) $(if $(filter-out 0,$(FRESH)),--fresh)

dev: setup ## As local KEEP=1, and bring each saved file to the embedded AWS in seconds (EVENTS=PATH VARIANT=all FRESH=1)
	@$(OPS) local --dev $(if $(EVENTS),--events "$(EVENTS)") $(if $(VARIANT),--variant "$(VARIANT)") \
		$(if $(filter-out 0,$(FRESH)),--fresh)

local-status: ## Show the local run that KEEP=1 or DETACH=1 keeps
	@$(OPS) local status

local-down: ## Stop the local run that KEEP=1 or DETACH=1 keeps
	@$(OPS) local down

chaos: setup ## Inject failures in phases on an embedded AWS and verify every event (SEED=N DELIVERIES=N VARIANT=all)
	@$(OPS) chaos $(if $(SEED),--seed "$(SEED)") $(if $(DELIVERIES)$(EVENTS_TOTAL),--deliveries "$(or $(DELIVERIES),$(EVENTS_TOTAL))") \
		$(if $(VARIANT),--variant "$(VARIANT)")

simulate: setup ## Simulate bursts, a slow API and outages of prod (SCENARIO=NAME RATE=N FOR=4h BURST=N SIZED=1 SET=api_ms=300 SEED=N ENV=NAME)
	@$(OPS) simulate --env "$(if $(filter file,$(origin ENV)),prod,$(ENV))" --plots build/simulation \
		$(if $(SCENARIO),--scenario "$(SCENARIO)") $(if $(RATE),--events-per-second "$(RATE)") $(if $(FOR),--for "$(FOR)") \
		$(if $(BURST),--burst "$(BURST)") $(if $(filter 0,$(SIZED)),,$(if $(SIZED)$(if $(RATE),,1),--sized)) $(if $(SET),--set "$(SET)") $(if $(SEED),--seed "$(SEED)")

bundles: setup ## Build the function bundles for Lambda
	@$(OPS) bundles

synth: setup ## Synthesise Terraform for every complete environment into cdktf.out
	@$(VENV)/python main.py

##@ Test and check
test-unit: setup ## Run the tests that need no network and no servers
	@$(VENV)/python -m pytest -q -n 2 --dist worksteal -m "unit and not slow" tests/unit

test-one: setup ## Run the tests of T: paths, a node id, or words of their names (T=tests/unit, T="parked and not api")
	@$(if $(T),,echo "test-one: name the tests, for example: make test-one T=tests/unit/test_routing_table.py" >&2; exit 2)
	@if [ -e "$(firstword $(subst ::, ,$(T)))" ]; then $(VENV)/python -m pytest $(if $(findstring [,$(T)),"$(T)",$(T)); \
		else $(VENV)/python -m pytest -k "$(T)"; fi

test: setup check ## Run every check and every test
	@$(VENV)/python -m pytest -n 3 --no-loadscope-reorder --durations 10

check: setup ## Run the linters, the spell checker, the type checker, the import contracts, the workflow audit and `make policy`
	@$(MAKE) --no-print-directory -j 2 --output-sync lint policy

lint:
	@$(VENV)/ruff check --quiet . && $(VENV)/ruff format --quiet --check .
	@$(VENV)/codespell
	@$(VENV)/mypy
	@$(VENV)/lint-imports
	@$(VENV)/actionlint -shellcheck $(VENV)/shellcheck -pyflakes ""
	@$(VENV)/zizmor --offline --quiet --persona pedantic .github/workflows

policy: setup ## Check the plan of every variant, its IAM policies, and the licences and vulnerabilities of the packages
	@$(VENV)/python -m ops.dev.policy
	@$(VENV)/python -m tests.policies.validate

format: setup ## Format the code, and fix what ruff can fix
	@$(VENV)/ruff check --quiet --fix . ; $(VENV)/ruff format --quiet .

model: setup ## Search the event orders and failures that no test lists (MODEL=NAME SEED=N MINUTES=N MAX=N SWITCHES=N FAULTS=N SCHEDULE=N,N)
	@$(VENV)/python -m tests.model $(MODEL) $(if $(SEED),--seed "$(SEED)") $(if $(MINUTES),--minutes "$(MINUTES)") \
		$(if $(MAX),--most "$(MAX)") $(if $(SWITCHES),--switches "$(SWITCHES)") $(if $(FAULTS),--faults "$(FAULTS)") \
		$(if $(SCHEDULE),--schedule "$(SCHEDULE)")

##@ Generate
measure: setup ## Measure what an event takes, for `huntaze-stripe cost`
	@$(VENV)/python -m ops.dev.measure

bench: setup ## Measure an event beside peers that make the same calls, and write docs/performance.md (15 minutes)
	@$(VENV)/python -m bench

lock: setup ## Resolve Pipfile into Pipfile.lock, without index addresses
	@$(VENV)/python -m ops.dev.lock_packages

docs: setup ## Write the parts of the documentation that come from the code
	@$(VENV)/python -m ops.dev.docs
	@$(VENV)/python -m ops.dev.permissions

browser: setup ## Find a Chromium for the tests of the console and for screenshots, or install one
	@$(VENV)/python -m ops.dev.browser

screenshots: setup ## Take docs/screenshots from the console of a local run, which it starts if none is kept
	@$(VENV)/python -m ops.dev.screenshots

diagram: setup ## Draw docs/architecture.svg from synthesised Terraform
	@$(VENV)/python -m ops.dev.diagram

##@ Deploy to AWS (ENV=dev is the default; AS_ROLE=… runs as a role: docs/local.md)
bootstrap: setup ## Create the bucket for the Terraform state and GitHub's roles, once per AWS account (YES=1: do not ask)
	@$(OPS) bootstrap $(if $(filter-out 0,$(YES)),--yes)

plan: setup ## Print the Terraform plan of ENV and write it to build/plans (REFRESH=0: compare with the state only)
	@$(OPS) plan --env "$(ENV)" $(if $(filter 0,$(REFRESH)),--no-refresh)

deploy: setup ## Plan ENV, ask, and apply (YES=1: do not ask)
	@$(OPS) deploy --env "$(ENV)" $(if $(filter-out 0,$(YES)),--yes)

destroy: setup ## Destroy ENV after asking (YES=1: do not ask)
	@$(OPS) destroy --env "$(ENV)" $(if $(filter-out 0,$(YES)),--yes)

##@ Clean up
clean: ## Remove what builds and runs wrote; .venv stays
	@rm -rf build cdktf.out .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
