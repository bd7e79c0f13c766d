# One file for people and CI alike; `make` alone lists what there is.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
DEMO_VENV := .venv-demo
PIP_FLAGS := --quiet --disable-pip-version-check -c constraints.txt
TORCH := $(shell sed -n '/^torch==/p' constraints.txt)
SOURCES := $(shell find src -type f ! -name '*.pyc')
START := $(shell date +%s)
TOOK = $$(( ($$(date +%s) - $(START)) / 60 )) min $$(( ($$(date +%s) - $(START)) % 60 )) s

# The real films that some tests read; without them those tests are skipped with the reason.
PLEURA_FILMS ?= $(abspath $(wildcard ../shared/data))
ifneq ($(PLEURA_FILMS),)
export PLEURA_FILMS
endif

.PHONY: help setup demo test check bench weights accuracy links release try reference pictures fix python tools

help:  ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \t\2/p' $(MAKEFILE_LIST) | expand -t 18

demo: $(DEMO_VENV)/ready  ## install the base package, draw a film, segment it, print where the pictures are
	@mkdir -p demo
	$(DEMO_VENV)/bin/pleura phantom -o demo/film.png
	$(DEMO_VENV)/bin/pleura segment demo/film.png -o demo --overlay --overwrite
	@echo
	@echo "make demo: done in $(TOOK). Look at:"
	@echo "  demo/film.png          a chest film drawn by pleura"
	@echo "  demo/film_overlay.png  the same with the lungs, heart and their legend: right blue, left orange"
	@echo "  demo/film_mask.png     the mask, 0 and 255, of the film's own size"
	@echo "  demo/results.csv       areas, boxes and ratios"

setup: $(VENV)/ready  ## make .venv with all that development needs (about 1.7 GB, torch included)

test:  ## set up if needed, then run the gate; what CI runs
	@$(MAKE) --no-print-directory --jobs 2 $(VENV)/ready tools
	@echo "make test: set-up in $(TOOK); films: $${PLEURA_FILMS:-none, tests that need them are skipped}"
	@$(MAKE) --no-print-directory check
	@echo "make test: done in $(TOOK): packages at the versions of constraints.txt, format, lint, types, tests"

check: $(VENV)/ready  ## the one gate: format, lint, types, tests
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m pytest --numprocesses auto --dist worksteal --maxprocesses 4

bench: $(VENV)/ready  ## measure speed into benchmarks/results/speed (minutes; on a quiet machine)
	$(VENV)/bin/python -m benchmarks.speed $(BENCH_FLAGS)

# The weights that Pleura ships, from films alone. Every step continues where it was interrupted, and is
# left out when its file is there. The two training runs take most of the time.
RUNS ?= runs
PLEURA := $(VENV)/bin/pleura
SETS := shenzhen_montgomery jsrt jsrt512 openist covid pediatric wingspan
TRAINING_DATA = $(addprefix --data $(PLEURA_FILMS)/,$(SETS))
VALIDATION_DATA = $(addprefix $(PLEURA_FILMS)/,$(SETS))
FRESH := $(RUNS)/weights
LICENCE := "research use only"  # because of the terms of the training masks

weights: $(FRESH)/pleura-int8.onnx $(FRESH)/pleura-fast-int8.onnx  ## train, quantise and calibrate the shipped weights (days; continues)
	cp $(addprefix $(FRESH)/,pleura{,-fast}{,-int8}.onnx{,.sha256}) src/pleura/weights
	for run in default fast; do \
	  cp $(RUNS)/$$run/{metrics.csv,sessions.json,curves.png} benchmarks/results/training/$$run; \
	done
	@echo "make weights: they lie in src/pleura/weights; next: make accuracy"

.SECONDARY:  # keep what lies between the films and the weights

$(RUNS)/default/weights/default.onnx: | $(VENV)/ready
	$(PLEURA) train recipes/default.toml --out $(RUNS)/default --workers 1 --resume $(TRAINING_DATA)

$(RUNS)/fast/weights/fast.onnx: $(RUNS)/default/weights/default.onnx
	$(PLEURA) train recipes/fast.toml --init $< --out $(RUNS)/fast --workers 1 --resume $(TRAINING_DATA)

$(FRESH)/raw/pleura.onnx: $(RUNS)/default/weights/default.onnx
	$(PLEURA) export $< -o $(FRESH)/raw --name pleura --licence $(LICENCE)

$(FRESH)/raw/pleura-fast.onnx: $(RUNS)/fast/weights/fast.onnx
	$(PLEURA) export $< -o $(FRESH)/raw --name pleura-fast --side 240 --licence $(LICENCE)

# Each final graph has its own temperature and reference values, fitted on the films of split val. The
# scores of calibrated films are a part of `make accuracy`, so few films are scored here.
CALIBRATE := $(PLEURA) calibrate $(VALIDATION_DATA) --limit 20

$(FRESH)/%-int8.onnx: $(FRESH)/%.onnx
	$(PLEURA) quantise $< $(TRAINING_DATA) -o $(FRESH)/raw/$*-int8.onnx
	$(CALIBRATE) --weights $(FRESH)/raw/$*-int8.onnx --write $@ -o $(FRESH)/report/$*-int8

$(FRESH)/%.onnx: $(FRESH)/raw/%.onnx
	$(CALIBRATE) --weights $< --write $@ -o $(FRESH)/report/$*

accuracy: $(VENV)/ready  ## score the shipped weights on all test films, and write the model card (hours)
	$(PLEURA) bench $(PLEURA_FILMS) -o benchmarks/results/accuracy --reports $(RUNS)/reports --perturbed 10 --bare --calibrated
	$(PLEURA) card benchmarks/results/accuracy -o docs/explanation/model_card.md

links: $(VENV)/ready  ## write the address PLEURA_REPOSITORY into README, how-to and notebook, or take it out
	$(VENV)/bin/python packaging/links.py

# The release is tried as a user installs it: in a new environment, outside the checkout.
RELEASE_VENV := .venv-release
BASE_MB := 400
WITHOUT_PIP := $(addprefix --exclude=,pip pip-* setuptools setuptools-* pkg_resources _distutils_hack)
TRIED = $(shell mktemp -d)

release: $(VENV)/ready  ## build, check and try the release; PLEURA_REPOSITORY=https://HOST/OWNER/pleura sets its links
	@test -z "$$(git status --porcelain)" || { echo "commit or stash first: a release holds what is committed" >&2; exit 1; }
	@test -n "$${PLEURA_REPOSITORY:-}" || echo "PLEURA_REPOSITORY is not set: links of the README will not work outside the repository"
	rm -rf dist
	$(VENV)/bin/python -m hatchling build
	@$(PYTHON) -m venv $(RELEASE_VENV)
	@$(RELEASE_VENV)/bin/pip install --quiet --disable-pip-version-check twine
	$(RELEASE_VENV)/bin/twine check --strict dist/*
	@for file in dist/*; do $(MAKE) --no-print-directory try FILE="$$file" PLACE="$(TRIED)"; done
	@echo
	@echo "make release: done in $(TOOK). These files are ready:"
	@ls -l dist
	@echo "Next: tag the commit, push the tag, and upload the files of dist/ to the package index:"
	@echo "  git tag -s v$$($(VENV)/bin/python -m hatchling version) && git push --tags"
	@echo "  $(RELEASE_VENV)/bin/twine upload dist/*"

try:  # FILE is installed in PLACE, and segments a synthetic film there
	@$(PYTHON) -m venv $(PLACE)/venv --clear
	@$(PLACE)/venv/bin/pip install --quiet --disable-pip-version-check $(FILE)
	@cd $(PLACE) && venv/bin/pleura phantom -o film.png && venv/bin/pleura segment film.png -o out --overwrite
	@size=$$(du -sm $(WITHOUT_PIP) $(PLACE)/venv | cut -f1); \
	  echo "make release: $(FILE) segments a film; installed it takes $$size MB without pip"; \
	  test "$$size" -lt $(BASE_MB) || { echo "the base install must stay under $(BASE_MB) MB" >&2; exit 1; }

reference: $(VENV)/ready  ## write docs/reference and the notebook's recipe from the code
	$(VENV)/bin/python docs/make_reference.py

pictures: $(VENV)/ready  ## draw the pictures of the README with the shipped weights (needs chromium)
	$(VENV)/bin/python docs/make_pictures.py

fix: $(VENV)/ready  ## put format and simple lint right
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "pleura needs Python 3.11 or newer; '$(PYTHON)' is $$($(PYTHON) --version 2>&1 || true)." >&2; \
	  echo "Install a newer one, or name it: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "'$(PYTHON)' cannot make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }

# What tests run that pip does not bring, as command:package of Debian: a real browser for the page,
# other people's DICOM tools (PixelMed has 11 MB; Java, if it is missing, 190 MB), an archive with its
# plugin (a file, not a command), and what reads the examples.
TOOLS := chromium:chromium dcmconv:dcmtk dciodvfy:dicom3tools Orthanc:orthanc java:default-jre-headless \
  /usr/share/java/pixelmed.jar:libpixelmed-java \
  /usr/share/orthanc/plugins/libOrthancDicomWeb.so:orthanc-dicomweb systemd-analyze:systemd \
  nginx:nginx-light openssl:openssl

tools:
	@missing=; PATH="$$PATH:/usr/sbin"; for each in $(TOOLS); do \
	  command -v "$${each%%:*}" "$${each%%:*}-browser" >/dev/null || [ -e "$${each%%:*}" ] || \
	    missing="$$missing $${each##*:}"; \
	done; \
	if [ -n "$$missing" ]; then \
	  echo "Installing$$missing, which tests run"; \
	  if [ "$$(id -u)" = 0 ]; then as_root=; else as_root=sudo; fi; \
	  $$as_root apt-get update -qq && \
	  $$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $$missing >/dev/null || { \
	    echo "install$$missing by hand, so that the commands of TOOLS are on the PATH" >&2; exit 1; }; \
	fi

# torch goes first and by exact version: otherwise another package may pick another build.
$(VENV)/ready: pyproject.toml constraints.txt | python
	@echo "Installing into $(VENV): torch and all that tests need; about 1.7 GB, minutes"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/pip install $(PIP_FLAGS) $(TORCH)
	@$(VENV)/bin/pip install $(PIP_FLAGS) -e '.[train,serve,pacs,onnxruntime,jpeg12,scale,dev]'
	@touch $@

$(DEMO_VENV)/ready: pyproject.toml constraints.txt $(SOURCES) | python
	@echo "Installing the base package into $(DEMO_VENV): no torch; about 390 MB"
	@$(PYTHON) -m venv $(DEMO_VENV)
	@$(DEMO_VENV)/bin/pip install $(PIP_FLAGS) .
	@touch $@
