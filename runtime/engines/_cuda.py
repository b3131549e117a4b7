"""NVIDIA GPUs through the driver's own library: names, memory, copies. No CUDA toolkit, no torch.

`libcuda` (`nvcuda.dll` on Windows) comes with every NVIDIA driver and keeps its functions across
versions, unlike the runtime library that toolkits and wheels bring. Names and numbers are those of
cuda.h; every call returns 0 or an error.
"""

import ctypes
import sys
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import EngineUnavailable, StyleError

# CUdevice_attribute.
CAPABILITY_MAJOR, CAPABILITY_MINOR = 75, 76
# CU_STREAM_NON_BLOCKING: does not wait for other users of the GPU in this process.
NON_BLOCKING = 1
NAME_BYTES = 256


@dataclass(frozen=True, slots=True)
class Gpu:
    """What a GPU is.

    Attributes:
        number: its index.
        name: "NVIDIA GeForce RTX 4090".
        capability: "8.9".
        driver: newest CUDA version the driver knows, "13.0".
    """

    number: int
    name: str
    capability: str
    driver: str


class Tensor:
    """One array in page-locked memory of the host and its twin on the GPU.

    Both addresses stay the same until `free`, as captured graphs need. Copies of memory that is not
    page-locked are staged by the driver and hold up the caller.

    Attributes:
        host: the array on the host; what it holds after a download is valid until the next one.
        address: of the twin.

    Raises:
        StyleError: no memory.
    """

    def __init__(self, cuda: "Cuda", shape: tuple[int, ...], dtype: str) -> None:
        self._cuda = cuda
        count = int(np.prod(shape, dtype=np.int64))
        self.size = count * np.dtype(dtype).itemsize
        self._pinned, self.address = c_void_p(), 0
        cuda.call("cuMemAllocHost_v2", byref(self._pinned), c_size_t(max(1, self.size)))
        address = c_uint64()
        try:
            cuda.call("cuMemAlloc_v2", byref(address), c_size_t(max(1, self.size)))
        except BaseException:
            self.free()
            raise
        self.address = address.value
        assert self._pinned.value  # the call has refused otherwise
        memory = memoryview((ctypes.c_char * max(1, self.size)).from_address(self._pinned.value))
        self.host: np.ndarray = np.frombuffer(memory, dtype, count).reshape(shape)

    def free(self) -> None:
        """Give both back; may be called twice. The stream must be idle."""
        if self.address:
            self._cuda.call("cuMemFree_v2", c_uint64(self.address))
            self.address = 0
        if self._pinned.value:
            self.host = np.empty(0)  # a view of what is given back
            self._cuda.call("cuMemFreeHost", self._pinned)
            self._pinned = c_void_p()


class Cuda:
    """One GPU. It is current in the thread that made it; others call `enter` first.

    Args:
        number: index of the GPU.
        library: the driver's library, replaced in tests.

    Raises:
        EngineUnavailable: no driver, or no such GPU.
    """

    def __init__(self, number: int = 0, library: Any = None) -> None:
        self._library = library or _load()
        self._context = c_void_p()
        self._stream = c_void_p()
        self._device = c_int()
        try:
            self.call("cuInit", 0)
            count = c_int()
            self.call("cuDeviceGetCount", byref(count))
        except StyleError as error:
            raise EngineUnavailable(f"no NVIDIA GPU here: {error}") from None
        if number >= count.value:
            raise EngineUnavailable(
                f"--device cuda:{number}: this machine has {count.value} NVIDIA GPU(s), "
                "counted from 0"
            )
        self.call("cuDeviceGet", byref(self._device), number)
        # The primary context is the one that TensorRT and ONNX Runtime, as users of the runtime
        # library, use too.
        self.call("cuDevicePrimaryCtxRetain", byref(self._context), self._device)
        self.enter()
        self.call("cuStreamCreate", byref(self._stream), NON_BLOCKING)
        self.gpu = self._describe(number)

    @property
    def stream(self) -> int:
        """Handle of the stream that all copies go through."""
        return self._stream.value or 0

    def enter(self) -> None:
        """Make this GPU the calling thread's."""
        self.call("cuCtxSetCurrent", self._context)

    def tensor(self, shape: tuple[int, ...], dtype: str) -> Tensor:
        """Memory for an array, here and on the GPU."""
        return Tensor(self, shape, dtype)

    def upload(self, tensor: Tensor) -> None:
        """Begin copying to the GPU; `tensor.host` must not change until `wait` has returned."""
        self.call(
            "cuMemcpyHtoDAsync_v2",
            c_uint64(tensor.address),
            c_void_p(tensor.host.ctypes.data),
            c_size_t(tensor.size),
            self._stream,
        )

    def download(self, tensor: Tensor) -> None:
        """Begin copying from the GPU; `tensor.host` holds it once `wait` has returned."""
        self.call(
            "cuMemcpyDtoHAsync_v2",
            c_void_p(tensor.host.ctypes.data),
            c_uint64(tensor.address),
            c_size_t(tensor.size),
            self._stream,
        )

    def wait(self) -> None:
        """Until everything begun on the stream is done."""
        self.call("cuStreamSynchronize", self._stream)

    def close(self) -> None:
        """Release the GPU; may be called twice."""
        if self._context.value is None:
            return
        self.call("cuStreamDestroy_v2", self._stream)
        self.call("cuDevicePrimaryCtxRelease_v2", self._device)
        self._context, self._stream = c_void_p(), c_void_p()

    def call(self, name: str, *arguments: Any) -> None:
        """Call a function of the library.

        Raises:
            StyleError: it failed; the message has the driver's own words.
        """
        try:
            function = getattr(self._library, name)
        except AttributeError:
            raise StyleError(f"the GPU's driver is too old: it has no {name}") from None
        code = function(*arguments)
        if code:
            raise StyleError(f"the GPU's driver refused {name}: {self._words(code)}")

    def _words(self, code: int) -> str:
        text = c_char_p()
        self._library.cuGetErrorString(code, byref(text))
        return text.value.decode() if text.value else f"error {code}"

    def _describe(self, number: int) -> Gpu:
        name = ctypes.create_string_buffer(NAME_BYTES)
        self.call("cuDeviceGetName", name, NAME_BYTES, self._device)
        parts = []
        for attribute in (CAPABILITY_MAJOR, CAPABILITY_MINOR):
            value = c_int()
            self.call("cuDeviceGetAttribute", byref(value), attribute, self._device)
            parts.append(str(value.value))
        version = c_int()
        self.call("cuDriverGetVersion", byref(version))
        # 13020 stands for 13.2.
        driver = f"{version.value // 1000}.{version.value % 1000 // 10}"
        return Gpu(number, name.value.decode(errors="replace"), ".".join(parts), driver)


def _load() -> ctypes.CDLL:
    name = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        return ctypes.CDLL(name)
    except OSError:
        raise EngineUnavailable(f"no NVIDIA driver here ({name} is not found)") from None
