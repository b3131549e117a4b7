"""The order of the event calls, on a library that only writes them down."""

import ctypes

import pytest

from benchmarks.measuring import cuda
from runtime.errors import EngineUnavailable


class Notebook:
    """Answers every CUDA call with success; its clock moves 2.5 ms between the two events."""

    def __init__(self, failing=None):
        self.calls = []
        self._failing = failing

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append(name)
            if name == "cudaEventElapsedTime":
                ctypes.cast(arguments[0], ctypes.POINTER(ctypes.c_float))[0] = 2.5
            return 35 if name == self._failing else 0

        return call


def test_the_end_is_waited_for_before_the_time_is_read():
    library = Notebook()
    events = cuda.Events(library)
    events.begin()
    library.calls.append("kernels")
    events.end()
    assert events.elapsed_ms() == 2.5
    events.close()
    assert library.calls == [
        *("cudaStreamCreate", "cudaEventCreate", "cudaEventCreate"),
        *("cudaEventRecord", "kernels", "cudaEventRecord", "cudaEventSynchronize"),
        "cudaEventElapsedTime",
        *("cudaEventDestroy", "cudaEventDestroy", "cudaStreamDestroy"),
    ]


def test_an_error_code_is_an_error():
    with pytest.raises(EngineUnavailable, match="cudaEventCreate answered error 35"):
        cuda.Events(Notebook(failing="cudaEventCreate"))


def test_without_cuda_there_is_one_sentence(monkeypatch):
    monkeypatch.setattr(cuda, "LIBRARIES", ("libthere-is-no-such-library.so",))
    with pytest.raises(EngineUnavailable, match="no CUDA runtime library"):
        cuda.Events()


@pytest.mark.gpu
def test_device_time_is_part_of_the_whole(tiny_model):
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        pytest.skip("needs onnxruntime-gpu and an NVIDIA device")
    from benchmarks.measuring import subjects

    axes = subjects.Axes([str(tiny_model)], [], [(640, 480)], [], ["onnxruntime"], ["cuda"], [], [])
    (subject,) = subjects.open_subjects(axes, [])
    parts = [subject.case.call() for _ in range(5)][-1]
    subjects.close([subject])
    assert 0 < parts["device"] < parts["total"]
