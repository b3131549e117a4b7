"""A GPU and a TensorRT that exist in memory only, and hold their user to the documented contracts.

What they prove is our side: calls, their order, addresses, copies, files. The driver works as a
real one may: nothing that is given to a stream happens before the stream is waited for, so a result
that is read too early, memory that is changed or freed too early, and a graph that reads what has
moved, are seen. `Misuse` is raised where the documentation says "undefined behavior", and noted in
`Driver.misuses`, lest an `except` swallow it; errors that a driver reports are returned as such.

Sources: CUDA Driver API (stream management, memory management, graph management), CUDA programming
guide ("CUDA Graphs", "Page-Locked Host Memory"), TensorRT developer guide ("CUDA Graphs",
"Performing Inference").
"""

import ctypes
import json
import threading
import weakref
from enum import IntEnum
from types import SimpleNamespace
from typing import ClassVar

import numpy as np

CAPABILITY = (8, 9)
# cuda.h, CUresult.
INVALID_VALUE, INVALID_CONTEXT, INVALID_HANDLE = 1, 201, 400
CAPTURE_UNSUPPORTED, CAPTURE_INVALIDATED = 900, 901
# Needs no context: cuInit and what asks about devices.
WITHOUT_CONTEXT = (
    *("cuInit", "cuDeviceGetCount", "cuDeviceGet", "cuDevicePrimaryCtxRetain"),
    *("cuDevicePrimaryCtxRelease_v2", "cuCtxSetCurrent", "cuDeviceGetName"),
    *("cuDeviceGetAttribute", "cuDriverGetVersion", "cuGetErrorString"),
)


class Misuse(AssertionError):
    """What the documentation calls undefined, or forbids."""


class Driver:
    """The functions of libcuda that `runtime.engines._cuda` calls.

    Attributes:
        memory, pinned: what is allocated: address -> block.
        graphs: executable graphs that were not destroyed.
        misuses: what was done wrong so far.
        broken: function -> error it returns from now on.
        launches: how many graphs were launched.
    """

    # The one that was initialized last: libraries find the GPU by themselves, too.
    active: ClassVar["Driver | None"] = None

    def __init__(self, name="NVIDIA Fake 4090", capability=CAPABILITY, count=1):
        self.name, self.capability, self.count = name, capability, count
        self.memory: dict[int, ctypes.Array] = {}
        self.pinned: dict[int, ctypes.Array] = {}
        self.streams: dict[int, list] = {}
        self.captures: dict[int, list] = {}
        self.recorded: dict[int, list] = {}
        self.graphs: dict[int, list] = {}
        self.calls: list[str] = []
        self.broken: dict[str, int] = {}
        self.misuses: list[str] = []
        self.launches = 0
        self._invalid: set[int] = set()
        self._current = threading.local()
        self._handles = iter(range(100, 1_000_000))

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        function = getattr(type(self), "_" + name, None)
        if function is None:
            raise AttributeError(name)  # as a library without this function

        def call(*arguments):
            self.calls.append(name)
            if name in self.broken:
                return self.broken[name]
            if name not in WITHOUT_CONTEXT and not getattr(self._current, "context", None):
                return INVALID_CONTEXT
            return function(self, *arguments) or 0

        return call

    def misuse(self, text):
        """Note it, and stop whoever did it."""
        self.misuses.append(text)
        raise Misuse(text)

    # What libraries and this file use.

    def give(self, stream, work):
        """Let a stream do this later; while it is captured, only record it."""
        if stream not in self.streams:
            self.misuse(f"work is given to stream {stream}, which is none (destroyed? another's?)")
        self.captures.get(stream, self.streams[stream]).append(work)

    def finish(self, stream):
        """Do all that the stream was given."""
        if stream not in self.streams:
            self.misuse(f"stream {stream} is waited for, which is none")
        works, self.streams[stream] = self.streams[stream], []
        for work in works:
            work()

    def check(self, address, size, what):
        """Raises Misuse for memory on the GPU that is not there (any more)."""
        if not _inside(self.memory, address, size):
            self.misuse(f"{what}: {size} bytes at {address:#x} are no memory of the GPU")

    def values(self, address, shape, dtype, what="kernel"):
        """The array at an address on the GPU."""
        count = int(np.prod(shape))
        size = count * np.dtype(dtype).itemsize
        self.check(address, size, what)
        block = (ctypes.c_char * size).from_address(address)
        return np.frombuffer(block, dtype).reshape(shape)

    def _cuInit(self, flags):
        Driver.active = self

    def _cuGetErrorString(self, code, text):
        text._obj.value = f"fake error {code}".encode()

    def _cuDeviceGetCount(self, count):
        count._obj.value = self.count

    def _cuDeviceGet(self, device, number):
        device._obj.value = number

    def _cuDevicePrimaryCtxRetain(self, context, device):
        context._obj.value = 77

    def _cuDevicePrimaryCtxRelease_v2(self, device):
        pass

    def _cuCtxSetCurrent(self, context):
        self._current.context = context.value

    def _cuStreamCreate(self, stream, flags):
        stream._obj.value = next(self._handles)
        self.streams[stream._obj.value] = []

    def _cuStreamDestroy_v2(self, stream):
        if stream.value not in self.streams:
            self.misuse("a stream is destroyed twice")
        if self.streams.pop(stream.value):
            self.misuse("a stream is destroyed while there is work on it")

    def _cuStreamSynchronize(self, stream):
        if stream.value in self.captures:
            self._invalid.add(stream.value)
            return CAPTURE_UNSUPPORTED
        self.finish(stream.value)

    def _cuDeviceGetName(self, buffer, size, device):
        buffer.value = self.name.encode()

    def _cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = self.capability[{75: 0, 76: 1}[attribute]]

    def _cuDriverGetVersion(self, version):
        version._obj.value = 13020

    def _cuMemAlloc_v2(self, address, size):
        return self._allocate(self.memory, address, size)

    def _cuMemAllocHost_v2(self, address, size):
        return self._allocate(self.pinned, address, size)

    def _allocate(self, where, address, size):
        if self.captures:
            self._invalid.update(self.captures)
            return CAPTURE_UNSUPPORTED
        if not size.value:
            return INVALID_VALUE
        block = (ctypes.c_char * size.value)()
        address._obj.value = ctypes.addressof(block)
        where[ctypes.addressof(block)] = block

    def _cuMemFree_v2(self, address):
        if self.memory.pop(address.value, None) is None:
            self.misuse("memory of the GPU is freed twice")

    def _cuMemFreeHost(self, address):
        if self.pinned.pop(address.value, None) is None:
            self.misuse("page-locked memory is freed twice")

    def _cuMemcpyHtoDAsync_v2(self, to, source, size, stream):
        self._copy(to.value, to.value, source.value, size.value, stream.value, source.value)

    def _cuMemcpyDtoHAsync_v2(self, to, source, size, stream):
        self._copy(source.value, to.value, source.value, size.value, stream.value, to.value)

    def _copy(self, device, to, source, size, stream, host):
        self.check(device, size, "copy")
        if not _inside(self.pinned, host, size):
            self.misuse("an asynchronous copy of memory that is not page-locked")

        def copy():
            self.check(device, size, "copy that was begun")
            if not _inside(self.pinned, host, size):
                self.misuse("page-locked memory was freed before its copy was done")
            ctypes.memmove(to, source, size)

        self.give(stream, copy)

    def _cuStreamBeginCapture_v2(self, stream, mode):
        if not stream.value:
            return CAPTURE_UNSUPPORTED  # the default stream
        if stream.value in self.captures:
            return INVALID_VALUE
        if self.streams[stream.value]:
            self.misuse("a capture begins while the stream has work to do")
        self.captures[stream.value] = []

    def _cuStreamEndCapture(self, stream, graph):
        works = self.captures.pop(stream.value)
        if stream.value in self._invalid:
            self._invalid.discard(stream.value)
            graph._obj.value = None
            return CAPTURE_INVALIDATED
        graph._obj.value = next(self._handles)
        self.recorded[graph._obj.value] = works

    def _cuGraphInstantiateWithFlags(self, run, graph, flags):
        if graph.value not in self.recorded:
            return INVALID_VALUE
        run._obj.value = next(self._handles)
        self.graphs[run._obj.value] = list(self.recorded[graph.value])

    def _cuGraphDestroy(self, graph):
        if self.recorded.pop(graph.value, None) is None:
            self.misuse("a graph is destroyed twice")

    def _cuGraphLaunch(self, run, stream):
        if run.value not in self.graphs:
            self.misuse("a graph is launched that was destroyed")
        self.launches += 1
        for work in self.graphs[run.value]:
            self.give(stream.value, work)

    def _cuGraphExecDestroy(self, run):
        if self.graphs.pop(run.value, None) is None:
            self.misuse("an executable graph is destroyed twice")

    def left(self):
        """What was not given back."""
        kept = ("memory", "pinned", "streams", "recorded", "graphs")
        return {name: len(getattr(self, name)) for name in kept if getattr(self, name)}


def _inside(blocks, address, size):
    return any(
        start <= address and address + size <= start + len(block) for start, block in blocks.items()
    )


class Mode(IntEnum):
    INPUT, OUTPUT = 0, 1


class Logger:
    Severity = IntEnum("Severity", {"INTERNAL_ERROR": 0, "ERROR": 1, "WARNING": 2})


class Monitor:
    pass


class Context:
    """Gives 1 - x for shapes up to 64x64.

    A graph that was recorded from it may run only as long as the context lives and nothing of it
    was set anew; and it must have worked once since its shape was set, before it is recorded.
    """

    # How many may live at a time; a test may lower it.
    most: ClassVar[int] = 100
    alive: ClassVar["weakref.WeakSet[Context]"] = weakref.WeakSet()

    def __init__(self):
        self.shape, self.addresses, self.version, self.settled = None, {}, 0, False
        Context.alive.add(self)

    def set_input_shape(self, name, shape):
        if max(shape[2:]) > 64:
            return False
        self.version += 1
        self.settled = self.settled and self.shape == tuple(shape)
        self.shape = tuple(shape)
        return True

    def get_tensor_shape(self, name):
        return self.shape

    def set_tensor_address(self, name, address):
        self.version += 1
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        driver = Driver.active
        if self.shape is None or self.addresses.keys() != {"image", "styled"}:
            return False
        if not stream:
            driver.misuse("TensorRT on the default stream")
        if stream in driver.captures and not self.settled:
            driver.misuse("a new shape's deferred updates are captured: run once before")
        self.settled = True
        context, version = weakref.ref(self), self.version
        shape, addresses = self.shape, dict(self.addresses)

        def kernel():
            there = context()
            if there is None or there.version != version:
                driver.misuse("a graph runs whose execution context is gone, or was changed")
            given = driver.values(addresses["image"], shape, np.float32)
            driver.values(addresses["styled"], shape, np.float32)[:] = 1 - given

        driver.give(stream, kernel)
        return True


class Engine:
    num_io_tensors = 2

    def get_tensor_name(self, number):
        return ("image", "styled")[number]

    def get_tensor_shape(self, name):
        return (1, 3, -1, -1)

    def get_tensor_dtype(self, name):
        return "FLOAT"

    def get_tensor_mode(self, name):
        return Mode.INPUT if name == "image" else Mode.OUTPUT

    def create_execution_context(self, *_):
        return Context() if len(Context.alive) < Context.most else None


class Cache:
    def __init__(self, data=b""):
        self.data = data

    def deserialize(self, data):
        self.data = data

    def serialize(self):
        return self.data + b"k"


class Strategy(IntEnum):
    DISABLED, WHOLE_GRAPH_CAPTURE = 0, 1


class RtxEngine(Engine):
    """As TensorRT-RTX's: it keeps what it compiles, and records by itself if it is told to."""

    def create_runtime_config(self):
        self.config = SimpleNamespace(
            create_runtime_cache=Cache,
            set_runtime_cache=lambda cache: None,
            cuda_graph_strategy=Strategy.DISABLED,
        )
        return self.config


class Config:
    def __init__(self, log):
        self.log = log
        self.timing = None
        self.progress_monitor = None
        self.num_compute_capabilities = 0

    def clear_flag(self, flag):
        self.log.append(f"no {flag}")

    def add_optimization_profile(self, profile):
        self.log.append(f"profile {profile.shapes}")

    def set_compute_capability(self, capability, at):
        self.log.append(f"for {capability}")

    def create_timing_cache(self, data):
        self.log.append(f"timing {data!r}")
        return Cache(data)

    def set_timing_cache(self, cache, ignore_mismatch):
        self.timing = cache

    def get_timing_cache(self):
        return self.timing


class Parser:
    num_errors = 1

    def __init__(self, network, logger):
        pass

    def parse(self, data):
        return data.startswith(b"good")

    def get_error(self, number):
        return SimpleNamespace(node_name=lambda: "conv", desc=lambda: "is\nodd")


def library(label="TensorRT", version="11.4.0", flags=(), broken=()):
    """A `runtime.engines.tensorrt.library.Library` of this module's parts.

    Args:
        label, version: what it calls itself.
        flags: names of further builder flags ("FP16" as TensorRT 10 has).
        broken: "build" or "load", what fails.
    """
    from runtime.engines.tensorrt.library import Library

    log: list[str] = []
    engine = RtxEngine if label == "TensorRT-RTX" else Engine

    class Builder:
        def __init__(self, logger):
            self.logger = logger

        def create_network(self, flags):
            log.append(f"network {flags}")
            return SimpleNamespace(num_outputs=1)

        def create_builder_config(self):
            return Config(log)

        def create_optimization_profile(self):
            shapes: dict = {}
            return SimpleNamespace(
                shapes=shapes, set_shape=lambda name, *three: shapes.update({name: three})
            )

        def build_serialized_network(self, network, config):
            monitor = config.progress_monitor
            if monitor is not None:
                monitor.phase_start("Building engine", None, 4)
                for step in range(4):
                    if not monitor.step_complete("Building engine", step):
                        return None
                monitor.phase_finish("Building engine")
            if "build" in broken:
                self.logger.log(Logger.Severity.ERROR, "no kernel\nfits")
                return None
            return json.dumps([label, version]).encode()

    class Runtime:
        def __init__(self, logger):
            self.logger = logger

        def deserialize_cuda_engine(self, plan):
            if "load" in broken or json.loads(plan) != [label, version]:
                self.logger.log(Logger.Severity.ERROR, "wrong\nversion")
                return None
            return engine()

    members = {"NONE": 0, "SM75": 75, "SM86": 86, "SM89": 89, "SM120": 120}
    module = SimpleNamespace(
        Builder=Builder,
        BuilderFlag=SimpleNamespace(TF32="TF32", **{flag: flag for flag in flags}),
        ComputeCapability=IntEnum("ComputeCapability", members),
        ILogger=Logger,
        IProgressMonitor=Monitor,
        NetworkDefinitionCreationFlag=IntEnum("Creation", {"STRONGLY_TYPED": 1}),
        OnnxParser=Parser,
        Runtime=Runtime,
        TensorIOMode=Mode,
        nptype=lambda kind: np.float32,
        log=log,
        **({"CudaGraphStrategy": Strategy} if engine is RtxEngine else {}),
    )
    return Library(label, module, version, "13")


def rtx(version):
    """TensorRT-RTX of this version."""
    return library("TensorRT-RTX", version)
