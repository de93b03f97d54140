# Every command does its own set-up: one virtual environment in .venv from pinned requirements.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
LOCK := conf/requirements/lock.txt
DEMO_DATA := conf/requirements/demo.txt
# The first of these that is Python 3.11 makes the environment.
PYTHON := $(shell for p in python3.11 python3 python; do \
	if "$$p" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then command -v "$$p"; break; fi; done)
JAVA := $(if $(JAVA_HOME),$(JAVA_HOME)/bin/java,java)
VENV_MODULE = $(shell "$(PYTHON)" -c 'import ensurepip, venv; print("yes")' 2>/dev/null)
JAVA_FITS = $(shell "$(JAVA)" -version 2>&1 | awk -F '"' '/version/ && $$2 + 0 >= 17 {print "yes"}')
# Test folders in the order in which they run; a shorter list for the inner loop: make test TESTS="plain layering"
TESTS := plain properties layering with_spark with_torch with_both end_to_end
# Folders that run in two processes: their tests mostly use one thread, their own or that of Spark's driver
ABREAST := properties with_spark with_both end_to_end
PIP := $(PY) -m pip --disable-pip-version-check --no-input
VENV35 := .venv35
PY35 := $(VENV35)/bin/python
PIP35 := $(PY35) -m pip --disable-pip-version-check --no-input
READY35 := $(VENV35)/.ready
SPARK35 := conf/requirements/spark35.txt
TESTS35 := tests/with_spark tests/with_both/test_torch_distributor.py tests/with_both/test_sampler.py tests/with_cluster

# An environment knows its own place: after the folder was moved or copied it is made anew.
$(shell [ ! -s $(READY) ] || [ "$$(cat $(READY))" = "$$(pwd -P)" ] || rm $(READY))

.PHONY: help
help: ## Show these commands
	@awk -F ':.*## ' '/^[a-z][a-z0-9-]*:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: setup ## Run the whole line on the CDNOW purchase histories
	@$(VENV)/bin/synth-spark run conf/cdnow.yml

# The configs find their tables through this variable; CDNOW needs none, flights are made from an installed package.
bench: export SYNTH_SPARK_BENCH_DATA ?= $(CURDIR)/workspace/bench-data
.PHONY: bench
bench: setup ## Measure all data sets, or SETS="cdnow flights"; raw files of the others: SYNTH_SPARK_RAW_DATA=folder
	@$(PY) benchmarks/prepare.py $(if $(SETS),--sets $(SETS)) $(if $(SYNTH_SPARK_RAW_DATA),--raw "$(SYNTH_SPARK_RAW_DATA)")
	@$(PY) benchmarks/lines.py $(if $(SETS),--sets $(SETS))
	@$(PY) benchmarks/table.py

.PHONY: test
test: setup ## Run the tests, folder by folder, with the time of each
	@for folder in $(TESTS); do \
		start=$$SECONDS; code=0; \
		if [ ! -d "tests/$$folder" ]; then echo "== tests/$$folder: NO SUCH FOLDER yet"; continue; fi; \
		abreast=$$(case " $(ABREAST) " in *" $$folder "*) echo "-n 2 --dist loadfile --no-loadscope-reorder";; esac); \
		$(PY) -m pytest -q $$abreast "tests/$$folder" || code=$$?; \
		if [ $$code = 5 ]; then echo "== tests/$$folder: NO TESTS in this folder yet"; \
		elif [ $$code != 0 ]; then echo "== tests/$$folder: FAILED after $$((SECONDS - start)) s"; exit $$code; \
		else echo "== tests/$$folder: passed in $$((SECONDS - start)) s"; fi; \
	done

.PHONY: test-long
test-long: setup ## Run the tests that take minutes each and are not in .ci/run
	@$(PY) -m pytest -q -m long tests/with_spark tests/end_to_end

.PHONY: test-cluster
test-cluster: setup ## Run the line on a standalone cluster of this machine: master, two workers, executors
	@$(PY) -m pytest -q tests/with_cluster

.PHONY: test-spark35
test-spark35: setup $(READY35) ## Run what needs Spark on Spark 3.5 (the first time: PyPI and Maven, 0.5 GB), or TESTS35="..."
	@$(PY35) -m pytest -q --timeout 1500 $(TESTS35)

# The other Spark lies over the environment of the lock: its own pyspark, py4j and Delta come first, all else is shared.
$(READY35): $(SPARK35) $(LOCK) | $(READY)
	@rm -rf $(VENV35); "$(PYTHON)" -m venv $(VENV35); \
	$(PIP35) install --quiet --no-deps $$(grep -E '^(setuptools|wheel)==' $(LOCK)); \
	$(PIP35) install --quiet --no-deps --no-build-isolation -r $(SPARK35); \
	site=$$($(PY35) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	main=$$($(PY) -c 'import sysconfig; print(sysconfig.get_path("purelib"))'); \
	echo "import site; site.addsitedir('$$main')" > "$$site/main-environment.pth"; \
	$(PY35) -m synth_spark.jars 2> $(VENV35)/jars.log || { cat $(VENV35)/jars.log >&2; exit 1; }; \
	touch $@

.PHONY: setup
setup: $(READY) ## Make or update the environment (the first time needs a network)
	@:

.PHONY: check-machine
check-machine:
	$(if $(PYTHON),,$(error Python 3.11 is missing; on Debian or Ubuntu: sudo apt-get install python3.11 python3.11-venv))
	$(if $(VENV_MODULE),,$(error Python's venv module is missing; on Debian or Ubuntu: sudo apt-get install python3.11-venv))
	$(if $(JAVA_FITS),,$(error Java 17 is missing; on Debian or Ubuntu: sudo apt-get install openjdk-17-jre-headless))

# An environment without a stamp comes from a broken-off set-up and is made anew; one with an old stamp is updated.
$(READY): setup.py $(LOCK) $(DEMO_DATA) | check-machine
	@start=$$SECONDS; \
	if [ -e $@ ]; then rm $@; else \
		echo "[1/5] new virtual environment in $(VENV)"; "$(PYTHON)" -m venv --clear $(VENV); fi; \
	total=$$(grep -c == $(LOCK)); \
	echo "[2/5] $$total pinned packages (the first time: minutes, 8 GB on disk)"; \
	$(PIP) install --quiet --no-deps $$(grep -E '^(setuptools|wheel)==' $(LOCK)); \
	$(PIP) install --progress-bar off --no-deps --no-build-isolation -r $(LOCK) > $(VENV)/setup.log \
		& job=$$!; \
	while kill -0 $$job 2>/dev/null; do sleep 1; \
		if [ $$(( (SECONDS - start) % 20 )) = 0 ]; then \
			echo "      $$((SECONDS - start)) s: $$(grep -cE '^(Collecting|Requirement already)' $(VENV)/setup.log || true)" \
				"of $$total looked at$$(grep -q '^Installing' $(VENV)/setup.log && echo ', now unpacking' || true)"; fi; \
	done; \
	wait $$job || { tail -n 20 $(VENV)/setup.log >&2; echo "packages: pip failed, see above; run make again" >&2; exit 1; }; \
	echo "[3/5] this package, editable"; \
	$(PIP) install --quiet --no-deps --no-build-isolation -e .; \
	echo "[4/5] demo data"; \
	$(PIP) install --quiet --no-deps --no-build-isolation --require-hashes --only-binary :all: -r $(DEMO_DATA); \
	echo "[5/5] Delta jars"; \
	$(PY) -m synth_spark.jars 2> $(VENV)/jars.log || { cat $(VENV)/jars.log >&2; exit 1; }; \
	pwd -P > $@; \
	echo "ready in $$((SECONDS - start)) s"

.PHONY: lint
lint: setup ## Format check, ruff, mypy, import rules
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports

.PHONY: format
format: setup ## Format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

.PHONY: lock
lock: check-machine ## Resolve setup.py anew into conf/requirements/lock.txt (needs a network)
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	mkdir -p "$$folder/src/synth_spark"; \
	cp setup.py pyproject.toml "$$folder/src"; cp synth_spark/__init__.py "$$folder/src/synth_spark"; \
	"$(PYTHON)" -m venv "$$folder/venv"; \
	"$$folder/venv/bin/python" -m pip install --progress-bar off "$$folder/src[engines,dev]"; \
	{ echo "# Complete freeze of setup.py's pins, made by: make lock"; \
	"$$folder/venv/bin/python" -m pip freeze --all | grep -vE '^(pip|synth_spark|synth-spark)( @|==)'; } > $(LOCK).new; \
	mv $(LOCK).new $(LOCK); \
	echo "$(LOCK): $$(grep -c == $(LOCK)) packages"

.PHONY: drills
drills: setup ## Make faults on purpose, half an hour, or NAMES="kill-train"; writes docs/reliability.md
	@$(PY) -m tests.drills.run $(NAMES)

.PHONY: soak
soak: setup ## Run 40 lines on a tiny source and look for what grows or stays (most of an hour), or LINES=15
	@$(PY) -m tests.drills.soak $(if $(LINES),--lines $(LINES))

.PHONY: nightly
nightly: ## Run all that is too long for .ci/run, for the night: long tests, cluster, Spark 3.5, serving, drills, soak
	@failed=(); for part in test-long test-cluster test-spark35 test-served drills soak; do \
		start=$$SECONDS; verdict=passed; $(MAKE) --no-print-directory $$part || { verdict=FAILED; failed+=($$part); }; \
		echo "== $$part: $$verdict after $$((SECONDS - start)) s"; \
	done; \
	if [ $${#failed[@]} != 0 ]; then echo "failed: $${failed[*]}"; exit 1; fi

.PHONY: test-served
test-served: setup ## Log over HTTP, serve from a clean environment (PyPI, gigabytes), or ARGS=--here from this one
	@$(PY) -m tests.served.run $(ARGS)

.PHONY: docs
docs: setup ## Write the references again: docs/cli.md, docs/configuration.md and conf/reference.yml
	@$(PY) -m typer synth_spark.cli utils docs --name synth-spark --title "The command line" --output docs/cli.md
	@$(PY) -m synth_spark.config_reference > conf/reference.yml.new
	@mv conf/reference.yml.new conf/reference.yml
	@$(PY) -m synth_spark.config_reference --page > docs/configuration.md.new
	@mv docs/configuration.md.new docs/configuration.md

.PHONY: site
site: setup ## Write the documentation as a site into build/site
	@$(VENV)/bin/mkdocs build --quiet --config-file conf/site/mkdocs.yml

.PHONY: clean
clean: ## Remove the environment, caches and build leftovers (never a workspace)
	@rm -rf $(VENV) $(VENV35) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .grimp_cache
