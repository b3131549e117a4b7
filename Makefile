# Two commands do everything, each in the repository's own virtual environment:
#   make demo                 stylize a clip (INPUT=clip.mp4 or INPUT=camera:0 for your own)
#   make test                 format, lint, types, tests: what .ci/run calls
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
MODEL ?= starry.onnx
INPUT ?=

.PHONY: demo test venv clean

# One environment for both commands. The order matters: torch first and pinned, so that nothing
# later pulls another build of it.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch torchvision
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[cpu,headless,train,export,openvino,ncnn-export,prune,dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt tensorrt-rtx || echo 'no TensorRT-RTX for this platform: tests that build engines are skipped'
	touch $@

venv: $(VENV)/.ready

demo: venv
	$(BIN)/python -m runtime.demo --model $(MODEL) $(if $(INPUT),--input '$(INPUT)')

test: venv
	$(BIN)/python tests/check.py

clean:
	rm -rf $(VENV) demo runs .pytest_cache .ruff_cache .hypothesis
