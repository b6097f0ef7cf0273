# The front door. `make` prints the targets; `make run` and `make test` do all the set-up they need.
SHELL := /bin/sh
BIN := .venv/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DO_NOT_TRACK := 1
export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PREFECT_SERVER_ANALYTICS_ENABLED := false

.DEFAULT_GOAL := help
.PHONY: help demo run test lint docs up down repro report bench engine doctor checkpoint audit clean ready-core ready-run ready-testbed ready-test

help: ## print this list
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ready-core ## the first results in less than a minute: published stacks, four numbers of your own, one deployment
	@$(BIN)/deltastack published --brief
	@$(BIN)/deltastack compose --delta 0.30 --delta 0.25
	@$(BIN)/deltastack factorial docs/examples/runs.csv
	@$(BIN)/deltastack capacity --scene assistant --draws 1

run: $(if $(TESTBED),ready-testbed,ready-run) ## bring the whole graph up to date and print the headline (SCENE=name|all, TRACE=file, QUICK=1, BUDGET=long, TESTBED=1)
	@$(BIN)/deltastack run $(if $(TESTBED),--testbed) $(if $(SCENE),--scene "$(SCENE)") $(if $(TRACE),--trace "$(TRACE)") $(if $(QUICK),--quick) $(if $(filter long,$(BUDGET)),--long)

test: ready-test ## all tests, the slow ones with real servers too
	@$(BIN)/python -m pytest -q -n 2 --dist loadgroup

lint: ready-test ## ruff, mypy strict, import contracts, pins
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@! grep -nE '://|--(extra-)?index-url|--find-links' constraints.txt
	@$(BIN)/python scripts/audit.py --offline

audit: ready-test ## published holes in what is pinned: pip-audit where its index answers, else the age of the pins and known bounds
	@$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt pip-audit || echo "pip-audit cannot be installed here"
	@$(BIN)/python scripts/audit.py

docs: ready-test ## the site of the documents, in site/index.html
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build -q && echo site/index.html

up: ready-run ## start Prefect server, worker and MLflow on loopback and print their addresses
	@$(BIN)/python -m flows.services up

down: ready-run ## stop what `make up` started
	@$(BIN)/python -m flows.services down

repro: ready-run ## dvc repro aggregate
	@$(BIN)/dvc repro aggregate

report: ready-run ## write reports/report.html again from the tables that are there
	@$(BIN)/deltastack report

bench: ready-test ## the benchmarks: ratios against named peers and bounds, raw samples beside them
	@$(BIN)/python -m benchmarks

engine: ready-run ## switches of a serving engine (ENGINE=vllm: vLLM on this processor, 3.4 GB of its own; or a preset, or a file)
	@sh scripts/engine.sh "$(ENGINE)"

doctor: ready-run ## what this machine can measure, and what is missing
	@$(BIN)/deltastack doctor

checkpoint: ready-testbed ## train the testbed's default model, its students and pruned parts again, as the proof of the shipped files
	@$(BIN)/python -m tasks.checkpoint --train

clean: ## remove the environment, caches and generated results (the shipped files stay)
	rm -rf .venv .run .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build *.egg-info mlflow.db mlruns mlartifacts
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
	git clean -fdxq data reports

ready-core ready-run ready-testbed ready-test: ready-%:
	@sh scripts/bootstrap.sh $*
