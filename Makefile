# netlab: set-up happens by itself, once. `make help` lists the commands.
#
#   PYTHON=python3.12       the Python to set up with (3.11 or newer)
#   LAB_ARGS="--port=9000"  more options for JupyterLab
#   PYTEST_ARGS="-k table"  more options for pytest
#   BENCH_ARGS="--quick"    more options for the benchmarks
#   PAGES="notebooks/0*"    the notebooks to execute, instead of all
#   MINUTES=60              how long `make soak` holds the load
#   OUT=folder              where to write them, instead of notebooks/ itself (those
#                           of make student: instead of student-notebooks/)
#   STUDENTS=names.txt      a copy for each of these names, one a line

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
MINUTES ?= 60
START := my-notebooks/00-start-here.ipynb

# JupyterLab refuses to run as root unless told that this is meant.
ifeq ($(shell id -u),0)
AS_ROOT := --allow-root
endif

# An environment made for another folder (the checkout was moved or copied), or a
# Python asked for by name, are matters for tools/setup.sh, whatever the dates say.
ifneq ($(shell cat $(READY) 2>/dev/null),$(CURDIR))
AGAIN := again
else ifneq ($(PYTHON),)
AGAIN := again
endif

export PYTHON

.PHONY: help lab test prove soak check notebooks thumbnails student site picture bench clean again
.DEFAULT_GOAL := help

help:
	@echo "make lab        open the course in JupyterLab (your copy, in my-notebooks/)"
	@echo "make test       check the code, then run the tests"
	@echo "make prove      all that takes long: each page live and in a browser, faults, attacks, soak, fuzz"
	@echo "make soak       load for an hour (MINUTES=60): fails on any loss, leak or drift"
	@echo "make check      linters, types and the import contract only"
	@echo "make notebooks  execute all pages, top to bottom, into notebooks/"
	@echo "make student    the pages without solutions, for a class (see docs/teaching.md)"
	@echo "make site       build the pages as a site to read, into site/_build/html"
	@echo "make picture    make the picture of the README again"
	@echo "make bench      measure netlab beside its peers, into benchmarks/results/"
	@echo "make clean      remove .venv and caches (never notebooks of yours, or runs/)"
	@echo
	@echo "The first command sets up .venv, which takes a minute or two."
	@echo "Options, explained in the Makefile: PYTHON, LAB_ARGS, PYTEST_ARGS, BENCH_ARGS, MINUTES, PAGES, OUT, STUDENTS."

$(READY): pyproject.toml constraints.txt tools/setup.sh $(AGAIN)
	@tools/setup.sh
	@$(PY) tools/warm_up.py

lab: $(READY)
	@$(PY) tools/working_copy.py
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" exec $(PY) -m jupyterlab --ServerApp.root_dir="$(CURDIR)" $(AS_ROOT) \
		--LabApp.default_url="/lab/tree/$(START)" $(LAB_ARGS)

# pytest comes last, so that the last summary on the screen is its own.
test: check
	@$(PY) -m pytest $(PYTEST_ARGS)

# What takes too long for every day: each page live, in a browser and elsewhere, each
# case of the protocol for each strategy, and all that can be done to a server.
prove: $(READY)
	@NETLAB_PROVE=1 $(PY) -m pytest tests/test_pages.py tests/test_portable.py \
		tests/test_browser.py tests/test_conformance.py tests/test_faults.py \
		tests/test_attackers.py tests/test_soak.py $(PYTEST_ARGS)
	@$(PY) -m reliability faults
	@$(PY) -m reliability attacks
	@$(PY) -m reliability fuzz
	@$(PY) -m reliability soak --minutes $(MINUTES)

soak: $(READY)
	@$(PY) -m reliability soak --minutes $(MINUTES)

check: $(READY)
	@$(PY) -m ruff check
	@$(PY) -m ruff format --check
	@$(PY) -m basedpyright
	@$(VENV)/bin/lint-imports --no-logo

# Compiled before: a page is not to show that somebody waited for it.
notebooks: $(READY)
	@$(PY) tools/warm_up.py
	@$(PY) tools/execute.py $(if $(OUT),--out "$(OUT)") $(PAGES)
	@$(if $(OUT),,$(PY) tools/thumbnails.py)

thumbnails: $(READY)
	@$(PY) tools/thumbnails.py

student: $(READY)
	@$(PY) -m tools.student $(if $(OUT),--out "$(OUT)") \
		$(if $(STUDENTS),--students "$(STUDENTS)")

site: $(READY)
	@$(PY) tools/build_site.py

picture: $(READY)
	@$(PY) tools/picture.py

bench: $(READY)
	@$(PY) -m benchmarks $(BENCH_ARGS)

clean:
	rm -rf $(VENV) site/_build .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './my-notebooks/*' -prune \
		-exec rm -rf {} +
	find notebooks -name .ipynb_checkpoints -type d -prune -exec rm -rf {} + \
		2>/dev/null || true
