# Everything a developer or CI runs. Needs git, make and Python 3.11 or newer; the rest is installed on first use.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SETUP := .github/actions/setup
# program:package of what tests use besides Python, one a line
PROGRAMS := \
  minisign:minisign \
  unzip:unzip \
  psql:postgresql-client \
  initdb:postgresql \
  chromium:chromium \
  npm:npm \
  nginx:nginx-light \
  apache2:apache2 \
  /usr/lib/apache2/modules/mod_wsgi.so:libapache2-mod-wsgi-py3 \
  strace:strace \
  ip:iproute2 \
  rpmbuild:rpm \
  fusermount3:fuse3 \
  setfacl:acl \
  mkfs.ext4:e2fsprogs \
  mkfs.xfs:xfsprogs \
  mkfs.btrfs:btrfs-progs
PYTEST := $(BIN)/python -m pytest -n auto --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help demo demo-admin test test-fast test-exhaustive torture lint format bench docs-check lock system-packages clean

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(INSTALLED) ## Publish, install, update and roll back the example shop, on this machine alone
	@$(BIN)/python examples/demo.py

demo-admin: $(INSTALLED) ## The example shop with an update that waits in its admin, until Ctrl-C
	@$(BIN)/python examples/demo_admin.py

test: $(INSTALLED) system-packages lint docs-check ## Everything that CI checks
	$(PYTEST) -m "not exhaustive and not torture"

test-exhaustive: $(INSTALLED) system-packages ## Sweeps that take many minutes each
	$(PYTEST) -m exhaustive

torture: $(INSTALLED) system-packages ## Every fault test in full, and the table of what it counted
	@$(BIN)/python -m tools.torture

test-fast: $(INSTALLED) ## The tests that take a moment each
	$(PYTEST) -m "not slow and not network and not exhaustive and not torture"

lint: $(INSTALLED) ## Style, types, workflows and schemas
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/check-jsonschema --check-metaschema updater/schema/json/*.schema.json
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-actions .github/actions/*/action.yml
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/actionlint .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet --persona pedantic .github
	$(BIN)/shellcheck tools/system_packages .ci/run
	$(BIN)/python tools/lint_actions.py .github/actions/*/action.yml

format: $(INSTALLED) ## Put the code into the house style
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

bench: $(INSTALLED) ## The tables of docs/benchmarks.md, measured here
	@$(BIN)/python -m tools.bench

docs-check: $(INSTALLED) ## Run the commands of the documentation, each page in an empty folder
	@$(BIN)/python tools/docs_check.py

lock: $(INSTALLED) ## Choose anew, by hash, what the workflows install besides feedgen
	@$(BIN)/python -m pip install -qq --disable-pip-version-check pip-tools
	$(BIN)/pip-compile --quiet --upgrade --generate-hashes --strip-extras --no-header --no-annotate --no-emit-index-url \
	  --no-emit-trusted-host --no-emit-find-links --output-file $(SETUP)/requirements.txt $(SETUP)/requirements.in

system-packages:
	@tools/system_packages $(PROGRAMS)

clean: ## Remove what these commands made, the virtual environment included
	rm -rf $(VENV) build dist demo .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml feedgen/pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not that. Say: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || tools/system_packages no-such-program:python3-venv
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip --version | awk '{ split($$2, v, "."); exit !(v[1] > 25 || (v[1] == 25 && v[2] >= 1)) }' || \
	  $(BIN)/python -m pip install -qq --disable-pip-version-check --upgrade 'pip>=25.1'
	@echo "Installing into $(VENV) (once, about half a minute)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --editable '.[cli,django,fast]' --editable ./feedgen --group dev
	@touch $@
