# These commands do everything, in the repository's own virtual environments:
#   make demo                 stylize a clip (INPUT=clip.mp4 or INPUT=camera:0 for your own)
#   make test                 format, lint, types, tests
#   make test-edge            the converters for phones, each in an environment of its own
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL ?= starry.onnx
INPUT ?=

.PHONY: demo test test-edge web venv clean

# One environment for both commands. The order matters: torch first and pinned, so that nothing
# later pulls another build of it.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,export,openvino,ncnn-export,prune,benchmarks,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt tensorrt-rtx || echo 'no TensorRT-RTX for this platform: tests that build engines are skipped'
	touch $@

venv: $(VENV)/.ready

demo: venv
	$(BIN)/python -m runtime.demo --model $(MODEL) $(if $(INPUT),--input '$(INPUT)')

# The page for browsers: needs Node.js and npm, the latter once.
web: venv
	$(BIN)/python -m export --target web --model $(MODEL) --output build/site --overwrite
	$(BIN)/python -m runtime.serve_site build/site

test: venv
	$(BIN)/python tests/check.py

# Makes .venv-executorch, .venv-litert and .venv-coreml where they are missing, which takes minutes.
test-edge: venv
	$(BIN)/python tests/check_edge.py

clean:
	rm -rf $(VENV) .venv-executorch .venv-litert .venv-coreml demo runs .pytest_cache .ruff_cache .hypothesis
