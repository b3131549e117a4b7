"""Time of a graph on an NVIDIA device alone, by CUDA events: no copies, no Python.

The complete time of a frame on a GPU is taken on the host, where results have arrived as numpy
arrays; this is the part that the device itself needs. Inputs lie on the device, kernels go to a
stream of ours, an event is recorded before and after them, and the end is waited for.
"""

import ctypes
from typing import Any

import numpy as np

from runtime.errors import EngineUnavailable

# The runtime library of CUDA 13, 12 and 11, on Linux and Windows; ONNX Runtime has loaded one.
LIBRARIES = (
    *("libcudart.so.13", "libcudart.so.12", "libcudart.so.11.0", "libcudart.so"),
    *("cudart64_13.dll", "cudart64_12.dll", "cudart64_110.dll"),
)


class Events:
    """Two CUDA events on one stream; `elapsed_ms` needs both recorded.

    Raises:
        EngineUnavailable: no CUDA runtime library can be loaded, or a call of it fails.
    """

    def __init__(self, library: ctypes.CDLL | None = None) -> None:
        self._cuda = library or _load()
        self.stream = ctypes.c_void_p()
        self._begin, self._end = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cudaStreamCreate", ctypes.byref(self.stream))
        for event in (self._begin, self._end):
            self._call("cudaEventCreate", ctypes.byref(event))

    def begin(self) -> None:
        """Mark the stream before the work."""
        self._call("cudaEventRecord", self._begin, self.stream)

    def end(self) -> None:
        """Mark the stream behind the work, and wait until the device is there."""
        self._call("cudaEventRecord", self._end, self.stream)
        self._call("cudaEventSynchronize", self._end)

    def elapsed_ms(self) -> float:
        """Device time between the two marks, to half a microsecond."""
        elapsed = ctypes.c_float()
        self._call("cudaEventElapsedTime", ctypes.byref(elapsed), self._begin, self._end)
        return float(elapsed.value)

    def close(self) -> None:
        """Give events and stream back."""
        for event in (self._begin, self._end):
            self._call("cudaEventDestroy", event)
        self._call("cudaStreamDestroy", self.stream)

    def _call(self, name: str, *arguments: Any) -> None:
        status = getattr(self._cuda, name)(*arguments)
        if status:
            raise EngineUnavailable(f"{name} answered error {status}; is the driver working?")


def _load() -> ctypes.CDLL:
    for name in LIBRARIES:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise EngineUnavailable(
        "no CUDA runtime library found; install CUDA, or pip install nvidia-cuda-runtime-cu12"
    )


class DeviceGraph:
    """A model on the device, fed from memory of the device; `run_ms` times one frame."""

    def __init__(self, path: str, feeds: dict[str, np.ndarray], device_id: int = 0) -> None:
        import onnxruntime as ort

        self.events = Events()
        options = ort.SessionOptions()
        options.log_severity_level = 4
        facts = {"device_id": device_id, "user_compute_stream": str(self.events.stream.value or 0)}
        providers = [("CUDAExecutionProvider", facts), "CPUExecutionProvider"]
        self._session: Any = ort.InferenceSession(path, options, providers=providers)
        self._binding: Any = self._session.io_binding()
        for name, array in feeds.items():
            value = ort.OrtValue.ortvalue_from_numpy(array, "cuda", device_id)
            self._binding.bind_ortvalue_input(name, value)
        for output in self._session.get_outputs():
            self._binding.bind_output(output.name, "cuda", device_id)
        # Else `run` itself would wait, and the end event would also time the way back to us.
        self._options = ort.RunOptions()
        self._options.add_run_config_entry("disable_synchronize_execution_providers", "1")

    def run_ms(self) -> float:
        """Milliseconds of one frame on the device."""
        self.events.begin()
        self._session.run_with_iobinding(self._binding, self._options)
        self.events.end()
        return self.events.elapsed_ms()

    def close(self) -> None:
        """Free the session, then its stream."""
        self._session = self._binding = None
        self.events.close()
