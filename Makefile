# `make` alone lists what there is. Everything that takes an option is a Python program of its own:
# .venv/bin/python -m monitoring --help

PYTHON ?= python3
STACK := .venv/bin/python -m monitoring
# where tests look for servers; the same as in supervisord.conf
SERVERS := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin:$(CURDIR)/var/tools/bin
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help
.PHONY: help setup up down status doctor logs prometheus grafana test check format compile drill bench panels packages dev bench-packages set-up-done

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo '  Ports move by variables: BALANCER_PORT=9000 make up (all of them: supervisord.conf)'

setup: packages ## Install what is missing (.venv, packages, servers); afterwards `supervisord` works bare
	@$(STACK) install

up: packages ## Set up, start everything, wait until it is ready
	@$(STACK) up

down: set-up-done ## Stop everything; names what does not end
	@$(STACK) down

status: set-up-done ## What runs: programs, workers, shards, breaker, rates (JSON=1 for scripts)
	@$(STACK) status $(if $(JSON),--json)

doctor: set-up-done ## Is anything in the way? Python, servers, ports, limits, disk, leftovers (JSON=1)
	@$(STACK) doctor $(if $(JSON),--json)

logs: set-up-done ## Last log lines (NAME=app1, LINES=50, FOLLOW=1); REQ=id: one request's way (JSON=1)
	@$(STACK) logs $(NAME) $(if $(LINES),--lines $(LINES)) $(if $(FOLLOW),--follow) \
		$(if $(REQ),--request '$(REQ)') $(if $(JSON),--json)

prometheus: packages ## Fetch the official Prometheus (100 MB), where no package is at hand
	@$(STACK) install prometheus

grafana: packages ## Fetch the official Grafana (350 MB) and start it if everything else runs
	@$(STACK) install grafana

test: dev ## Check and test everything; starts its own servers (ARGS='-k name' for some)
	@$(STACK) install servers redis_exporter
	@.venv/bin/python -m tests.programs
	@$(MAKE) check
	@PATH="$(SERVERS)" .venv/bin/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

check: dev ## Formatter, linter, strict types
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/mypy

format: dev ## Format the code
	@.venv/bin/ruff format .
	@.venv/bin/ruff check --fix .

compile: dev ## The balancer's request path as C: 1.3 x the requests/s (needs a C compiler, 20 s)
	@.venv/bin/python -m balancer.compilation

drill: dev ## Does it survive? Breaks one thing at a time under load (NAME=kill-worker, ARGS=--list)
	@$(STACK) install
	@PATH="$(SERVERS)" .venv/bin/python -m tests.drills $(ARGS) $(NAME)

bench: bench-packages ## Is it fast? Ten minutes, beside NGINX and others (NAME=store for some, ARGS=--quick)
	@$(STACK) install
	@.venv/bin/python -m balancer.compilation || true
	@PATH="$(SERVERS)" .venv/bin/python -m tests.bench run $(ARGS) $(NAME)

panels: dev ## Do Grafana's panels move when something breaks? Four minutes, with a real Prometheus
	@$(STACK) install
	@PATH="$(SERVERS)" .venv/bin/python -m tests.panels

packages:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -I monitoring/bootstrap.py

dev:
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -I monitoring/bootstrap.py --dev

bench-packages: # without the wheels of other proxies, where there are none, the rest is measured
	@command -v $(PYTHON) >/dev/null || { echo "error: $(PYTHON) is not installed; Python 3.11 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -I monitoring/bootstrap.py --dev --bench || $(PYTHON) -I monitoring/bootstrap.py --dev

set-up-done:
	@test -f .venv/.installed || { echo "error: nothing is set up here yet: make up" >&2; exit 1; }
