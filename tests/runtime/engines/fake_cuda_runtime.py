"""An ONNX Runtime for the GPU of `fake_gpu`: models run on the real one's CPU, at the addresses
that were bound, when the GPU's stream gets there; its user is held to the documented contract.

Sources: ONNX Runtime's "CUDA Execution Provider" (configuration options, "Using CUDA Graphs"), its
Python API (IOBinding), onnxruntime_run_options_config_keys.h, and of its source cuda_graph.cc and
inference_session.cc (which runs are recorded, what makes a session refuse).
"""

import threading
import types

import numpy as np
import onnxruntime as real

CUDA, TENSORRT, CPU = (f"{name}ExecutionProvider" for name in ("CUDA", "Tensorrt", "CPU"))
# cuda_execution_provider.h: runs before a graph is recorded.
WARM_UPS = 2
# Of the provider's documented options those that we use.
OPTIONS = {
    CUDA: {"device_id", "user_compute_stream", "enable_cuda_graph"},
    TENSORRT: {
        *("device_id", "user_compute_stream", "trt_engine_cache_enable", "trt_engine_cache_path"),
        *("trt_timing_cache_enable", "trt_timing_cache_path", "trt_fp16_enable"),
        "trt_int8_enable",
    },
}


class FakeCudaRuntime(types.ModuleType):
    """Stands for the module `onnxruntime`.

    Args:
        driver: gives the GPU of now.
        refuses_graphs: as a session does whose graph has control flow, or work for the CPU.
        providers: what it was built with.

    Attributes:
        sessions: what was opened: options of the first provider.
        recorded, launched: how many graphs.
        spoils: graphs paint something else than they should.
    """

    __version__ = "1.99.0"

    def __init__(self, driver, refuses_graphs=False, providers=(CUDA, CPU)):
        super().__init__("onnxruntime")
        self.driver, self.refuses_graphs, self.providers = driver, refuses_graphs, providers
        self.sessions: list[dict] = []
        self.recorded = self.launched = 0
        self.spoils = False
        self.SessionOptions, self.OrtValue = real.SessionOptions, real.OrtValue
        self.GraphOptimizationLevel = real.GraphOptimizationLevel

    def set_default_logger_severity(self, level):
        pass

    def get_available_providers(self):
        return list(self.providers)

    def InferenceSession(self, source, options=None, providers=()):
        return Session(self, source, options, providers)

    class RunOptions:
        def __init__(self):
            self.entries = {}

        def add_run_config_entry(self, key, value):
            assert isinstance(key, str) and isinstance(value, str)
            self.entries[key] = value


class Session:
    def __init__(self, runtime, source, options, providers):
        self.runtime = runtime
        names = [name if isinstance(name, str) else name[0] for name in providers]
        told = {} if isinstance(providers[0], str) else providers[0][1]
        self._active = [name for name in names if name in runtime.providers]
        runtime.sessions.append({"provider": names[0], **told})
        for entry in providers:
            if not isinstance(entry, str):
                assert set(entry[1]) <= OPTIONS[entry[0]], f"unknown option in {entry}"
        self.graphs = str(told.get("enable_cuda_graph", "0")) in ("1", "True")
        if self.graphs and runtime.refuses_graphs:
            raise RuntimeError(
                "[ONNXRuntimeError] : 1 : FAIL : This session cannot use the graph capture feature "
                "as requested by the user as the model has control flow nodes which can't be "
                "supported by CUDAExecutionProvider"
            )
        stream = told.get("user_compute_stream")
        assert stream is None or isinstance(stream, str), "options are text"
        self.stream = None if stream is None else int(stream)
        if self.stream is not None and self.stream not in runtime.driver().streams:
            runtime.driver().misuse("a session is told a stream that is none")
        self.real = real.InferenceSession(source, options, providers=[CPU])
        self.captured: dict = {}
        self.counts: dict = {}
        for name in ("get_inputs", "get_outputs", "get_modelmeta"):
            setattr(self, name, getattr(self.real, name))

    def get_providers(self):
        return self._active

    def run(self, names, feeds, options=None):
        return self.real.run(names, feeds)

    def io_binding(self):
        return Binding(self)

    def run_with_iobinding(self, binding, options=None):
        """As inference_session.cc does: warm up, record, launch; then wait."""
        driver = self.runtime.driver()
        if self.stream is not None and self.stream not in driver.streams:
            driver.misuse("a session runs whose stream was destroyed")
        number = "0" if options is None else options.entries.get("gpu_graph_id", "0")
        if not self.graphs or number == "-1":
            self._work(binding.bound(), binding)
            return
        if number == "0":
            driver.misuse("graph 0 is ONNX Runtime's own; and a run without graph needs -1")
        key = threading.get_ident(), number  # graphs belong to threads
        if key in self.captured:
            recorded = self.captured[key]
            if recorded.signature() != binding.bound().signature():
                driver.misuse("shapes or addresses are not those that the graph was recorded with")
            self.runtime.launched += 1
            self._work(recorded, binding, replay=True)
            return
        for _ in range(WARM_UPS):
            self._work(binding.bound(), binding)
        bound = binding.bound()
        if not bound.on_device():
            driver.misuse("a graph needs inputs and outputs bound at addresses on the GPU")
        self.captured[key] = bound
        self.runtime.recorded += 1
        self._work(bound, binding, replay=True)

    def _work(self, bound, binding, replay=False):
        driver = self.runtime.driver()

        def kernels():
            feeds = {name: place.array(driver) for name, place in bound.inputs.items()}
            results = self.real.run(list(bound.outputs), feeds)
            made = []
            for place, result in zip(bound.outputs.values(), results, strict=True):
                if place is not None:
                    into = place.array(driver)
                    assert into.shape == result.shape and into.dtype == result.dtype
                    into[...] = result
                    if replay and self.runtime.spoils:
                        into[...] = 0
                made.append(result)
            binding.results = made

        if self.stream is None:
            kernels()
            return
        driver.give(self.stream, kernels)
        driver.finish(self.stream)


class Place:
    """Where an input or output lies: on the GPU, or on the host (`address` None)."""

    def __init__(self, address=None, shape=(), dtype=None, host=None):
        self.address, self.shape, self.dtype, self.host = address, tuple(shape), dtype, host

    def array(self, driver):
        if self.address is None:
            return self.host
        return driver.values(self.address, self.shape, self.dtype, "ONNX Runtime")


class Bound:
    def __init__(self, inputs, outputs):
        self.inputs, self.outputs = inputs, outputs

    def signature(self):
        places = {**self.inputs, **self.outputs}
        return {name: (p.address, p.shape, p.dtype) for name, p in places.items() if p}

    def on_device(self):
        return all(p and p.address for p in (*self.inputs.values(), *self.outputs.values()))


class Binding:
    def __init__(self, session):
        self.session, self.inputs, self.outputs, self.results = session, {}, {}, []

    def bound(self):
        return Bound(dict(self.inputs), dict(self.outputs))

    def bind_cpu_input(self, name, array):
        assert array.flags.c_contiguous
        self.inputs[name] = Place(host=array)

    def bind_input(self, name, device_type, device_id, element_type, shape, buffer_ptr):
        self.inputs[name] = self._place(device_type, element_type, shape, buffer_ptr)

    def bind_output(
        self, name, device_type="cpu", device_id=0, element_type=None, shape=None, buffer_ptr=None
    ):
        self.outputs[name] = (
            None
            if buffer_ptr is None
            else self._place(device_type, element_type, shape, buffer_ptr)
        )

    def _place(self, device_type, element_type, shape, buffer_ptr):
        assert device_type == "cuda" and isinstance(buffer_ptr, int) and buffer_ptr
        place = Place(buffer_ptr, shape, np.dtype(element_type))
        place.array(self.session.runtime.driver())
        return place

    def copy_outputs_to_cpu(self):
        return self.results
