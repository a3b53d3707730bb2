# `make help` lists the commands. Each one first creates or updates .venv when the requirements changed.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SITE := _build/html/index.html
# The tests run in one process for each core; with more threads than one they would wait.
ONE_THREAD := OMP_NUM_THREADS=1
CHAPTERS ?=
EXPERIMENTS ?=
SINCE ?=
START := $(shell date +%s)
RESULTS := benchmarks/results/$(shell date -u +%F)

.PHONY: help book epub lint check test test-grading test-training test-colab lab notebooks claims exercises mutants record bench lock repository clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

book: $(VENV)/ready ## build the site into _build/html
	$(BIN)/jupyter-book build . -n -W --keep-going
	@# Sphinx copies these only when a page changed.
	cp -R book/_static/. _build/html/_static/
	@echo "The book is ready. Open $(CURDIR)/$(SITE)"

epub: $(VENV)/ready ## the book as one file for an e-reader, _build/epub/cnncourse.epub
	$(BIN)/jupyter-book build . --builder custom --custom-builder epub

lint: $(VENV)/ready ## ruff, codespell, and deno for the explorers' scripts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/deno fmt --check --quiet
	$(BIN)/deno lint --quiet
	$(BIN)/deno check --quiet cnncourse/explore/*.js
	$(BIN)/codespell

check: lint ## before each commit: lint, and the tests that your changes can have broken (SINCE=main for a branch)
	$(ONE_THREAD) $(BIN)/python -m tools.check $(SINCE)

test: lint book ## lint, package tests, every notebook, the book's guards, the site in a browser
	@# nbval asks coverage for data before there is any, a warning and so an error: notebooks run apart.
	$(ONE_THREAD) $(BIN)/python -m pytest book --numprocesses logical --dist loadfile
	$(ONE_THREAD) $(BIN)/python -m pytest tests cnncourse grader --numprocesses logical \
		-m "not grading and not training and not colab" --dist loadfile --no-loadscope-reorder --durations 10 \
		--cov=cnncourse
	@echo "make test took $$(($$(date +%s) - $(START))) s"

test-grading: $(VENV)/ready ## the grader as a whole, with the slow tests that `make test` leaves out
	@# Hostile data is read and judged in processes that may be killed: coverage does not see these.
	$(ONE_THREAD) $(BIN)/python -m pytest grader tests/book/test_nbgrader.py --numprocesses logical \
		--dist loadfile --no-loadscope-reorder --durations 10 --cov=cnncourse_grader --cov-fail-under=95
	@echo "make test-grading took $$(($$(date +%s) - $(START))) s"

test-training: $(VENV)/ready ## `fit` killed ten times, compiled, and under torchrun: the slow tests that `make test` leaves out
	$(ONE_THREAD) $(BIN)/python -m pytest tests/package -m training --durations 5

test-colab: $(VENV)/ready ## the setup cell in Colab's versions, 1.6 GB the first time
	$(ONE_THREAD) $(BIN)/python -m pytest tests/book/test_colab.py -m colab

lab: $(VENV)/ready ## open the learners' notebooks in JupyterLab
	$(BIN)/jupyter lab --notebook-dir=. --LabApp.default_url=/lab/tree/learn

notebooks: $(VENV)/ready ## execute book/NN_topic.md, and write the learners' notebooks (CHAPTERS="book/08_lenet.md" for one)
	$(BIN)/python -m tools.notebooks $(CHAPTERS)
	$(BIN)/python -m tools.learn

claims: $(VENV)/ready ## run the chapters and write book/claims.md: what each number in the text rests on
	$(BIN)/python -m tools.claims

exercises: $(VENV)/ready ## write the learners' and the instructors' notebooks from exercises/, and the questions' files (CHAPTERS="exercises/03_...md" for one)
	$(BIN)/python -m tools.exercises $(CHAPTERS)
	$(BIN)/python -m tools.questions

mutants: $(VENV)/ready ## count the wrong answers that each exercise's check rejects and names
	$(BIN)/python -m tests.exercises.mutants

record: $(VENV)/ready ## do the recorded trainings that are missing (EXPERIMENTS=lenet for one chapter)
	$(BIN)/python -m experiments $(EXPERIMENTS)
	$(BIN)/python -m experiments.weights

bench: $(VENV)/ready ## time operators, steps and training beside torch and d2l, explorers' frames, and the grading of a class
	$(BIN)/python -m benchmarks.operators --out $(RESULTS)-operators.md
	$(BIN)/python -m benchmarks.cost --out $(RESULTS)-cost.md --record cnncourse/records/speed.json
	$(BIN)/python -m benchmarks.training --out $(RESULTS)-training.md
	$(BIN)/python -m benchmarks.sprint --out $(RESULTS)-sprint.md
	$(BIN)/python -m benchmarks.explorers --out $(RESULTS)-explorers.md
	$(BIN)/python grader/benchmarks/grading.py

lock: ## write requirements.txt anew from requirements.in
	rm -rf .cache/lock
	$(PYTHON) -m venv .cache/lock
	.cache/lock/bin/python -m pip install --requirement requirements.in
	echo "# Written by \`make lock\` from requirements.in: the versions the book is verified with." > requirements.txt
	.cache/lock/bin/python -m pip freeze | sed 's/^\(torch==[0-9.]*\)+cpu$$/\1/' >> requirements.txt

repository: $(VENV)/ready ## make repository OWNER=... REPO=...: rename every link, badge and setup cell
	$(BIN)/python -m tools.repository "$(OWNER)" "$(REPO)"

clean: ## remove what the other commands made
	rm -rf $(VENV) _build .cache

$(VENV)/ready: requirements.txt requirements-nodeps.txt pyproject.toml grader/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --requirement requirements.txt
	$(BIN)/python -m pip install --no-deps --requirement requirements-nodeps.txt
	$(BIN)/python -m pip install --no-deps --editable . --editable grader
	@touch $@
