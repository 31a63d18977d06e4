# Two environments: bpy needs numpy<2, the library numpy>=2 (ARCHITECTURE.md). uv resolves and installs both in about a minute.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
PYTHON ?= python3.11
BIN := .venv/bin
UV = $(BIN)/uv

.PHONY: setup setup-system example joplin demo test lint types lock browser clean

setup: .venv/.done .venv-render/.done

.venv/.done: requirements.lock pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(UV) pip sync --quiet --python $(BIN)/python requirements.lock
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $@

.venv-render/.done: requirements-render.lock | .venv/.done
	$(UV) venv --quiet --allow-existing --python $(PYTHON) .venv-render
	$(UV) pip sync --quiet --python .venv-render/bin/python requirements-render.lock
	./.ci/bpy-libraries .venv-render/bin/python
	touch $@

# Debian packages that only tests use: a browser, QGIS with its GDAL, PostGIS. A test whose part is absent skips and says so.
SYSTEM := chromium fonts-dejavu-core python3-qgis qgis-providers gdal-bin postgresql postgresql-postgis

setup-system:
	./.ci/system-packages $(SYSTEM)

# The example catalogue anew, mapped by MODEL (a model Item's folder) or else by the model that the demo trains.
example: setup $(if $(MODEL),,demo)
	$(BIN)/python -W ignore -c 'import pathlib, sys; from mage_stac import example; \
	  example.make(pathlib.Path("catalogs/example"), model=pathlib.Path(sys.argv[1]))' $(or $(MODEL),out/demo/models/models/demo-*)

# Joplin from its raw tiles to every product, mapped by MODEL (a model Item's folder): map, buildings, areas, a way around the
# debris, report. No label is read; docs/joplin-streets.geojson was drawn by hand over the image of before.
RAW := ../shared/data/joplin/raw

joplin: setup
	@test -n "$(MODEL)" || { echo "make joplin MODEL=FOLDER: the folder of a model Item, as train writes it" >&2; exit 2; }
	$(BIN)/mage-stac ingest $(RAW)/pre --datetime 2008-01-01/2011-05-21 --sensor aerial-rgb --provider "USDA (inferred)" --collection pre --out out/joplin/real
	$(BIN)/mage-stac ingest $(RAW)/post --datetime 2011-05-24 --sensor aerial-rgb --nodata 0 --provider "NOAA (inferred)" --collection post --out out/joplin/real
	map=$$($(BIN)/mage-stac predict --model $(MODEL) --pre out/joplin/real/pre --post out/joplin/real/post --format gpkg --out out/joplin/products) && \
	$(BIN)/mage-stac areas --prediction "$$map" --grid 200 && \
	$(BIN)/mage-stac access --prediction "$$map" --roads docs/joplin-streets.geojson --from=-94.499659,37.074682 --to=-94.498880,37.066850 && \
	$(BIN)/mage-stac report "$$map" --grid 200 --title "Joplin, Missouri: tornado of 22 May 2011"

demo: setup
	$(BIN)/mage-stac demo --out out/demo

test: setup lint types
	$(BIN)/pytest

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

lock:
	$(UV) pip compile --quiet --no-header --no-annotate --python-version 3.11 --all-extras --group dev pyproject.toml -o requirements.lock
	$(UV) pip compile --quiet --no-header --no-annotate --python-version 3.11 renderers/requirements.in -o requirements-render.lock

# STAC Browser as `serve` shows it, from npm; commit what it makes.
browser:
	mage_stac/browser/recipe/build

clean:
	rm -rf .venv .venv-render out
