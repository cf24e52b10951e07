PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: venv app test lint bench bench-peers figures
.DELETE_ON_ERROR:

$(VENV)/.app: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4))' || { echo "Spikelens needs Python 3.11.4 or newer; set PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.app
	$(BIN)/pip install --quiet -e ".[dev]"
	@touch $@

venv: $(VENV)/.app          ## the environment alone (editable install)

app: venv                   ## serve the workbench at http://127.0.0.1:8501
	$(BIN)/spikelens app

test: $(VENV)/.dev          ## every test this machine can run
	$(BIN)/python -m pytest -n 2 --dist loadscope

lint: $(VENV)/.dev          ## ruff, and mypy on models and analysis
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Peers ask for packages that would replace torch: installed without dependencies, beside the environment.
bench-peers: $(VENV)/.dev   ## what `make bench` and the encoders' oracle test compare with
	$(BIN)/pip install --quiet --upgrade --target build/peers --no-deps snntorch==1.0.0 spikingjelly==2.0.0 \
		norse==1.1.0 loguru absl-py nir==1.0.8 nirtorch==2.6 onnx onnxruntime protobuf flatbuffers ml_dtypes \
		neurobench==2.3.0 \
		spike-encoding==1.8.2

bench: $(VENV)/.dev         ## time the kernels against the plain loop and the peers; build/bench.json
	$(BIN)/python -m tests.bench

NAMES ?= spoken35-residual-35k spoken35-sf2rec-35k
figures: venv               ## the paper figures of NAMES in build/figures, with their numbers beside them
	$(BIN)/spikelens figures $(NAMES) --out build/figures
