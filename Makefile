# These commands do everything, in the repository's own virtual environments:
#   make demo                 paints a clip (INPUT=clip.mp4 or INPUT=camera:0 for your own)
#   make test                 format, lint, types, tests, docs
#   make test-install         what a new user does: a wheel in empty environments, make demo in a clone
#   make test-hostile         every hostile input, of which make test takes a selection (minutes)
#   make audit                known vulnerabilities of the lean runtime (needs a network)
#   make test-edge            the converters for phones, each in an environment of its own
#   make test-batch           batches on Ray, in an environment of its own
#   make test-serving         the Triton server on what --target triton writes, in its own environment
PYTHON ?= python3
MODEL ?= starry.onnx
INPUT ?=
# What pip is told to install as PyTorch, for example TORCH='torch==2.14.0 torchvision', or with the
# --index-url that PyTorch's own page gives for a CPU or a CUDA version. The default is what the
# models here were made with; where pip finds no CPU build of it, it brings gigabytes of CUDA.
TORCH ?= torch torchvision -c constraints.txt

VENV := .venv
BIN := $(VENV)/bin
# The runtime alone, about 140 MB: `make demo` waits for nothing else.
LEAN := .venv-runtime
RAY := .venv-ray
PIP := -m pip --disable-pip-version-check install
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.11 ...")

.PHONY: demo test test-install test-hostile test-edge test-batch test-serving audit web lock venv clean

# Every file that is downloaded is checked against its hash; what runs is this checkout.
$(LEAN)/.ready: requirements-runtime.txt pyproject.toml
	$(PYTHON) -c '$(NEW_ENOUGH)'
	$(PYTHON) -m venv $(LEAN)
	$(LEAN)/bin/python $(PIP) --require-hashes -r requirements-runtime.txt
	$(LEAN)/bin/python $(PIP) --quiet --no-build-isolation --no-deps -e .
	touch $@

# The versions and hashes for it, after a change of dependencies; needs uv.
lock:
	echo 'setuptools>=77' | uv pip compile pyproject.toml - --universal --python-version 3.11 \
	  --generate-hashes --no-annotate --no-emit-index-url -c constraints.txt \
	  --custom-compile-command 'make lock' --output-file requirements-runtime.txt

# Everything. PyTorch comes first and what came stays, so that nothing later pulls another build.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c '$(NEW_ENOUGH)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) --quiet $(TORCH)
	grep -v '^torch\(vision\)\?==' constraints.txt > $(VENV)/constraints.txt
	$(BIN)/python -m pip freeze | grep '^torch\(vision\)\?==' >> $(VENV)/constraints.txt
	$(BIN)/python $(PIP) --quiet -c $(VENV)/constraints.txt -e '.[train,export,openvino,ncnn-export,prune,benchmarks,triton-client,dev]'
	$(BIN)/python $(PIP) --quiet -c $(VENV)/constraints.txt tensorrt-rtx || echo 'no TensorRT-RTX for this platform: tests that build engines are skipped'
	touch $@

venv: $(VENV)/.ready

demo: $(LEAN)/.ready
	$(LEAN)/bin/impasto demo --model $(MODEL) $(if $(INPUT),--input '$(INPUT)')

# The page for browsers: needs Node.js and npm, the latter once.
web: venv
	$(BIN)/python -m export --target web --model $(MODEL) --output build/site --overwrite
	$(BIN)/python -m runtime.serve_site build/site

test: venv
	$(BIN)/python tests/check.py

test-install:
	$(PYTHON) tests/check_install.py

test-hostile: venv
	$(BIN)/python tests/check_hostile.py

# Makes .venv-executorch, .venv-litert and .venv-coreml where they are missing, which takes minutes.
test-edge: venv
	$(BIN)/python tests/check_edge.py

# The runtime and Ray, about 1.2 GB.
$(RAY)/.ready: requirements-runtime.txt pyproject.toml
	$(PYTHON) -m venv $(RAY)
	$(RAY)/bin/python $(PIP) --quiet --require-hashes -r requirements-runtime.txt
	$(RAY)/bin/python $(PIP) --quiet --no-build-isolation -e '.[ray,test]' gcp-storage-emulator
	touch $@

test-batch: $(RAY)/.ready
	$(RAY)/bin/python -m pytest tests/batch

# Makes .venv-triton where it is missing: 370 MB, half a minute.
test-serving:
	$(PYTHON) -c '$(NEW_ENOUGH)'
	$(PYTHON) tests/check_serving.py

# --strict: a package that cannot be asked about is no good news.
.venv-audit/.ready:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/python $(PIP) --quiet pip-audit
	touch $@

audit: .venv-audit/.ready
	.venv-audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements-runtime.txt

clean:
	rm -rf $(VENV) $(LEAN) $(RAY) .venv-executorch .venv-litert .venv-coreml .venv-triton .venv-audit demo runs .pytest_cache .ruff_cache .hypothesis
