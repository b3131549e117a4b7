"""One repository and one server for all tests, and the same models opened here to compare with."""

import shutil
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pytriton", reason="make test-serving")

import cv2

from benchmarks.serving.server import Server
from runtime import plugins, stabilizers
from runtime.clips.steady import SteadyPainter
from runtime.model.session import open_session
from tests.serving.asking import ROOT

FAST = "starry-fast"
MODELS = ("starry", "many", "adain")
STREAMS = 3
# What the server of the compose file is started with.
LIMITS = ("--rate-limit=execution_count", "--rate-limit-resource=painters:1")
# The server of nvidia-pytriton brings the Python backend only.
ABSENT = ("onnxruntime",)


@pytest.fixture(scope="session")
def repository(tmp_path_factory) -> Path:
    """As the target writes it; the command around it needs PyTorch, and is tested where that is."""
    from export import targets
    from export.targets import Options

    target = plugins.load(targets, "triton")
    output = tmp_path_factory.mktemp("triton") / "starry"
    models = [ROOT / f"models/{name}.onnx" for name in MODELS]
    chosen = {"threads": "1", "streams": str(STREAMS)}
    options = Options(size=(96, 64), extra=chosen)
    target.write(models, output, options)
    # And one float graph as for servers like this one.
    other, again = output.with_name("other"), [ROOT / "models" / f"{FAST}.onnx"]
    target.write(again, other, Options(size=(96, 64), extra={**chosen, "graph": "python"}))
    shutil.move(other / f"models/{FAST}_fp32", output / "models")
    assert target.check(models, output, options)
    return output


@pytest.fixture(scope="session")
def configs(repository):
    from export.triton.repository import read

    return read(repository / "models")


@pytest.fixture(scope="session")
def server(repository, configs, tmp_path_factory):
    names = [name for name, config in configs.items() if config.backend not in ABSENT]
    started = Server(repository / "models", names, tmp_path_factory.mktemp("server"), *LIMITS)
    try:
        started.start()
        yield started
    finally:
        started.stop()


@pytest.fixture(scope="session")
def grpc(server):
    from tritonclient.grpc import InferenceServerClient

    with InferenceServerClient(f"127.0.0.1:{server.grpc_port}") as client:
        yield client


@pytest.fixture(scope="session")
def http(server):
    from tritonclient.http import InferenceServerClient

    with InferenceServerClient(f"127.0.0.1:{server.http_port}", concurrency=4) as client:
        yield client


@pytest.fixture(scope="session")
def direct():
    """`direct(model)`: the file opened here, as the server opens it."""
    opened = {}

    def open_once(model: str):
        if model not in opened:
            opened[model] = open_session(ROOT / f"models/{model}.onnx", device="cpu", threads=1)
        return opened[model]

    yield open_once
    for session in opened.values():
        session.close()


@pytest.fixture(scope="session")
def photographs() -> list[np.ndarray]:
    """Three of them, 80x60, which 4 divides; (H, W, 3) uint8 RGB."""
    from runtime.pictures.reading import read_rgb

    paths = sorted((ROOT / "runtime/photographs").glob("*.jpg"))
    return [cv2.resize(read_rgb(path), (80, 60), interpolation=cv2.INTER_AREA) for path in paths]


@pytest.fixture(scope="session")
def frames(photographs) -> list[np.ndarray]:
    """40 frames that pan over a photograph, with a cut to another in their middle."""
    panned = []
    for index in range(40):
        ground = cv2.resize(photographs[index // 20], (200, 150), interpolation=cv2.INTER_CUBIC)
        panned.append(np.ascontiguousarray(ground[20:80, index : index + 96]))
    return panned


@pytest.fixture(scope="session")
def steady(direct):
    """`steady(model, frames, **conditions)`: what one stream gives, painted here."""

    def paint(model, frames, **conditions):
        from runtime.model.stylizer import Effects, Stylizer

        stylizer = Stylizer([(direct(model), 1.0)], Effects(conditions=conditions))
        painter = SteadyPainter(stylizer, plugins.load(stabilizers, "live")(1.0))
        return [painter.paint(frame) for frame in frames]

    return paint


@pytest.fixture
def at_once():
    """`at_once(jobs)`: all of them in threads of their own; their results, in order."""

    def run(jobs):
        results = [None] * len(jobs)
        errors = []

        def work(index, job):
            try:
                results[index] = job()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=each) for each in enumerate(jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors, errors
        return results

    return run
