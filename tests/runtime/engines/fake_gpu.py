"""A GPU and a TensorRT that exist in memory only: a driver whose addresses are real, and a library
whose engines give 1 - x. What they prove is our side: calls, checks, copies, files."""

import ctypes
import json
from enum import IntEnum
from types import SimpleNamespace

import numpy as np

CAPABILITY = (8, 9)


class Driver:
    """The functions of libcuda that `runtime.engines._cuda` calls."""

    def __init__(self, name="NVIDIA Fake 4090", capability=CAPABILITY, count=1):
        self.name, self.capability, self.count = name, capability, count
        self.memory: dict[int, ctypes.Array] = {}
        self.calls: list[str] = []
        self.broken: dict[str, int] = {}

    def __getattr__(self, name):
        function = getattr(type(self), "_" + name, None)

        def call(*arguments):
            self.calls.append(name)
            if name in self.broken:
                return self.broken[name]
            if function is not None:
                function(self, *arguments)
            return 0

        return call

    def _cuGetErrorString(self, code, text):
        text._obj.value = f"fake error {code}".encode()

    def _cuDeviceGetCount(self, count):
        count._obj.value = self.count

    def _cuDeviceGet(self, device, number):
        device._obj.value = number

    def _cuDevicePrimaryCtxRetain(self, context, device):
        context._obj.value = 77

    def _cuStreamCreate(self, stream, flags):
        stream._obj.value = 99

    def _cuDeviceGetName(self, buffer, size, device):
        buffer.value = self.name.encode()

    def _cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = self.capability[{75: 0, 76: 1}[attribute]]

    def _cuDriverGetVersion(self, version):
        version._obj.value = 13020

    def _cuMemAlloc_v2(self, address, size):
        block = (ctypes.c_char * size.value)()
        address._obj.value = ctypes.addressof(block)
        self.memory[ctypes.addressof(block)] = block

    def _cuMemFree_v2(self, address):
        del self.memory[address.value]

    def _cuMemcpyHtoDAsync_v2(self, to, source, size, stream):
        ctypes.memmove(to.value, source.value, size.value)

    def _cuMemcpyDtoHAsync_v2(self, to, source, size, stream):
        ctypes.memmove(to.value, source.value, size.value)


def values_at(address, shape):
    """The float32 array at a (fake) GPU address."""
    count = int(np.prod(shape))
    block = (ctypes.c_float * count).from_address(address)
    return np.frombuffer(block, np.float32).reshape(shape)


class Mode(IntEnum):
    INPUT, OUTPUT = 0, 1


class Logger:
    Severity = IntEnum("Severity", {"INTERNAL_ERROR": 0, "ERROR": 1, "WARNING": 2})


class Monitor:
    pass


class Context:
    """Gives 1 - x for shapes up to 64x64."""

    def __init__(self):
        self.shape, self.addresses, self.streams = None, {}, []

    def set_input_shape(self, name, shape):
        self.shape = tuple(shape)
        return max(shape[2:]) <= 64

    def get_tensor_shape(self, name):
        return self.shape

    def set_tensor_address(self, name, address):
        self.addresses[name] = address
        return True

    def execute_async_v3(self, stream):
        self.streams.append(stream)
        given = values_at(self.addresses["image"], self.shape)
        values_at(self.addresses["styled"], self.shape)[:] = 1 - given
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
        return Context()


class Cache:
    def __init__(self, data=b""):
        self.data = data

    def deserialize(self, data):
        self.data = data

    def serialize(self):
        return self.data + b"k"


class RtxEngine(Engine):
    """As TensorRT-RTX's: it keeps what it compiles."""

    def create_runtime_config(self):
        return SimpleNamespace(create_runtime_cache=Cache, set_runtime_cache=lambda cache: None)


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
    )
    return Library(label, module, version, "13")
