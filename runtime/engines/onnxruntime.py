"""ONNX Runtime: the default engine, on the CPU or an NVIDIA GPU.

`get_available_providers()` lists CUDA whenever the GPU wheel is installed, with or without a GPU,
and a session that cannot have it falls back to the CPU without an error. So what was asked for is
compared with what the finished session says it runs on.
"""

from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..console import quiet
from ..errors import CardMismatch, EngineUnavailable, StyleError
from . import TensorInfo
from ._provider_choice import CPU, CUDA, TENSORRT, choose, tensorrt
from ._scratch import scratch
from ._threads import allowed_threads
from ._unreadable import explain

if TYPE_CHECKING:
    from ._cuda_lane import CudaLane

# Objects of the library, whose name this file has: type checkers look no further for it.
Session = Any
Options = Any
NodeArg = Any

# ONNX type names of the element types our models use, and their numpy names.
DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
# Only fatal messages: failures come back as exceptions, and everything else would be a banner
# between a user's result and `--json`.
SILENT = 4
# Microseconds for which a thread without work spins before it sleeps. ONNX Runtime's own default is
# about a thousand, in which the stabilizer, the decoder and a second session starve: on two cores
# 124 ms of processor time per frame instead of 82. Waking a sleeping thread takes about as long as
# this.
SPIN_US = 50
# Whether the arena that sessions can share was made: one per process, ONNX Runtime keeps it itself.
_SHARED: list[bool] = []


class OnnxRuntimeEngine:
    """One `InferenceSession`; see `runtime.engines.Engine` for the contract.

    Attributes:
        optimized: the graph as ONNX Runtime optimized it for this machine, if `open` was to keep
            it.
    """

    # ".ort" is ONNX Runtime's own serialization.
    suffixes = (".onnx", ".ort")
    beside: ClassVar[dict[str, str]] = {}
    devices = ("cpu", "cuda")
    hints = ()
    label = "ONNX Runtime"
    module = "onnxruntime"
    other_modules = ()
    install = "pip install onnxruntime (CPU) or onnxruntime-gpu (NVIDIA)"

    def __init__(
        self, session: Session, device: str, initializers: dict[str, object] | None = None
    ) -> None:
        self._session: Session = session
        # A session reads the values that replaced its constants where they lie.
        self._initializers = initializers
        # What brings pictures to an NVIDIA GPU and back; None on the CPU, or where it failed.
        self._lane: CudaLane | None = None
        self._gpu_options: Any = None
        self.device = device
        self.note = ""
        self.optimized: bytes | None = None
        self.inputs = tuple(_info(value) for value in session.get_inputs())
        self.outputs = tuple(_info(value) for value in session.get_outputs())
        self.metadata = dict(session.get_modelmeta().custom_metadata_map)

    @staticmethod
    def open(
        model: Path | bytes,
        device: str = "auto",
        threads: int | None = None,
        initializers: dict[str, np.ndarray] | None = None,
        *,
        shared: bool = False,
        patterns: bool = True,
        keep: bool = False,
        optimized: bool = False,
    ) -> "OnnxRuntimeEngine":
        """Load a model; see `runtime.engines.EnginePlugin.open`.

        Args:
            model, device, threads: as in the contract.
            initializers: values that replace the file's constants of the same names.
            shared: on the CPU, take working memory from one arena of all such sessions: for those
                that come and go, or never work at the same time.
            patterns: from the second picture of a size on, have its memory as one block, beside
                what the first one took: up to 1 % faster, up to twice the memory.
            keep: on the CPU, keep the graph as ONNX Runtime optimized it, in `optimized`.
            optimized: `model` is such a graph. It opens in half the time and paints the same.
        """
        ort = _library()
        providers, reason = choose(ort, device)
        source = model if isinstance(model, bytes) else str(model)
        values = {
            key: ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value))
            for key, value in (initializers or {}).items()
        }
        options = _options(ort, threads, patterns)
        for key, value in values.items():
            options.add_initializer(key, value)
        if optimized:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        on_cpu = providers[0] == CPU
        if shared and on_cpu:
            _share_memory(ort, options)
        with scratch() if keep and on_cpu else nullcontext() as kept:
            if kept is not None:
                options.optimized_model_filepath = kept.path
            if on_cpu:
                session, lane = _create(ort, source, providers, options, _name(model)), None
            else:
                session, lane, reason = _create_on_gpu(
                    ort, source, providers, options, _name(model)
                )
            graph = kept.read() if kept is not None else None
        active = session.get_providers()[0]
        if device.startswith("cuda") and active != CUDA:
            raise EngineUnavailable(
                f'--device {device}: ONNX Runtime fell back to "{active}"; its CUDA and cuDNN '
                "libraries, or a GPU, are missing. Install onnxruntime-gpu in its place, "
                "with a current driver, or use --device cpu"
            )
        number = device.partition(":")[2] or "0"
        gpu = f"cuda:{number}"
        try:
            engine = OnnxRuntimeEngine(session, gpu if active == CUDA else "cpu", values)
        except UnicodeDecodeError:
            raise CardMismatch(f"{_name(model)} is damaged: its names are no text") from None
        engine.note, engine.optimized = reason, graph
        engine.take(lane)
        if providers[0] != CPU and active != CUDA:
            engine.note = "no usable GPU (driver, CUDA or cuDNN missing): running on the CPU"
        if active != CUDA or device.startswith("cuda") or values:
            return engine
        return _with_tensorrt(ort, engine, model, int(number), threads)

    @property
    def recorded(self) -> int:
        """CUDA graphs that are launched now."""
        return 0 if self._lane is None else self._lane.recorded

    def take(self, lane: "CudaLane | None") -> None:
        """Bring pictures to the GPU by this lane from now on."""
        self._lane = lane
        if lane is not None:
            self._gpu_options = lane.run_options()

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._session is None:
            raise ValueError("this engine was closed")
        names = list(outputs) if outputs is not None else [value.name for value in self.outputs]
        try:
            if self.device == "cpu":
                results = self._session.run(names, feeds)
            else:
                results = self._run_on_gpu(names, feeds)
        except Exception as error:  # ORT raises a dozen classes without a common base
            raise _run_error(error, feeds) from None
        return dict(zip(names, results, strict=True))

    def _run_on_gpu(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """By the lane; where the driver refuses it (memory), from then on without."""
        if self._lane is not None and self._lane.works:
            infos = {info.name: info for info in self.outputs}
            try:
                return self._lane.run(self._session, feeds, [infos[name] for name in names])
            except StyleError as error:
                self._lane.give_up(error)
        return self._run_bound(names, feeds)

    def _run_bound(self, names: list[str], feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
        """The same through an I/O binding: inputs are copied to the device and outputs back without
        the staging copies that `run` makes."""
        binding = self._session.io_binding()
        for name, value in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(value))
        for name in names:
            binding.bind_output(name)
        self._session.run_with_iobinding(binding, self._gpu_options)
        return binding.copy_outputs_to_cpu()

    def give_back(self, feeds: dict[str, np.ndarray]) -> None:
        """Return what the arena holds unused to the system: ONNX Runtime does so after a run only.

        Args:
            feeds: for that run; small ones will do.
        """
        options = _library().RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._session.run(None, feeds, options)

    def close(self) -> None:
        """Free the session; may be called twice."""
        lane, self._lane = self._lane, None
        if lane is not None:
            lane.free()
        self._session = None
        if lane is not None:
            lane.close()


PLUGIN = OnnxRuntimeEngine


def version_on_cpu(device: str) -> str:
    """The library's version where this device means the CPU, "" elsewhere."""
    ort = _library()
    on_cpu = device == "cpu" or (device == "auto" and CUDA not in ort.get_available_providers())
    return ort.__version__ if on_cpu else ""


def lists_gpu() -> bool:
    """Whether this ONNX Runtime was built for NVIDIA GPUs; one that works need not be there."""
    return CUDA in _library().get_available_providers()


def _library() -> ModuleType:
    try:
        import onnxruntime as ort
    except ImportError:
        raise EngineUnavailable(
            "ONNX Runtime is not installed: pip install onnxruntime (CPU) "
            "or pip install onnxruntime-gpu (NVIDIA)"
        ) from None
    if not hasattr(ort, "InferenceSession"):
        # What is left after one of the two wheels was uninstalled over the other.
        raise EngineUnavailable(
            "ONNX Runtime is damaged (two of its wheels overwrote each other): pip uninstall "
            "onnxruntime onnxruntime-gpu, then install one of them"
        )
    ort.set_default_logger_severity(SILENT)  # pyright: ignore[reportAttributeAccessIssue]
    return ort


def _with_tensorrt(
    ort: ModuleType,
    engine: OnnxRuntimeEngine,
    model: Path | bytes,
    number: int,
    threads: int | None,
) -> OnnxRuntimeEngine:
    """The same model on TensorRT where that really starts and suits the graph; else `engine`."""
    import hashlib  # loads OpenSSL, which no CPU start needs

    data = model if isinstance(model, bytes) else model.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    providers = tensorrt(ort, number, engine.inputs, engine.metadata, digest)
    if providers is None:
        return engine
    source = model if isinstance(model, bytes) else str(model)
    try:
        session, lane, _ = _create_on_gpu(
            ort, source, providers, _options(ort, threads), _name(model)
        )
    except CardMismatch as error:
        engine.note = f"TensorRT cannot run this model ({error}): running on CUDA"
        return engine
    if session.get_providers()[0] != TENSORRT:
        if lane is not None:
            del session
            lane.close()
        engine.note = "TensorRT fell back: running on CUDA"
        return engine
    engine.close()
    better = OnnxRuntimeEngine(session, engine.device)
    better.take(lane)
    better.note = "running on TensorRT, which starts here and suits a graph of one size"
    return better


def _options(ort: ModuleType, threads: int | None, patterns: bool = True) -> Options:
    options = ort.SessionOptions()
    options.log_severity_level = SILENT
    options.enable_mem_pattern = patterns
    threads = threads or allowed_threads()
    if threads:
        options.intra_op_num_threads = threads
    # Versions that do not know this key yet ignore it.
    options.add_session_config_entry("session.intra_op.spin_duration_us", str(SPIN_US))
    return options


def _share_memory(ort: ModuleType, options: Options) -> None:
    """Let a session take its memory from the process's arena, where another one's is free again.

    A session's own arena keeps the most it ever needed until the session is closed.
    """
    if not _SHARED:
        cpu = ort.OrtMemoryInfo(
            "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
        )
        ort.create_and_register_allocator(cpu, None)  # takes the place of one registered before
        _SHARED.append(True)
    options.add_session_config_entry("session.use_env_allocators", "1")


def _create(
    ort: ModuleType, source: str | bytes, providers: list[Any], options: Options, name: str
) -> Session:
    try:
        with quiet():
            return ort.InferenceSession(source, options, providers=providers)
    except Exception as error:  # ORT raises a dozen classes without a common base
        reason = " ".join(str(error).split())
        cause = explain(source, reason)
        if cause:
            raise CardMismatch(f"{name} is not a model ONNX Runtime can load: {cause}") from None
        raise CardMismatch(
            f"{name} is not a model ONNX Runtime can load (truncated, damaged, or another kind "
            f"of file): {reason[:200]}"
        ) from None


def _create_on_gpu(
    ort: ModuleType, source: str | bytes, providers: list[Any], options: Options, name: str
) -> "tuple[Session, CudaLane | None, str]":
    """The session, what brings pictures to the GPU, and what the user should know."""
    from ._cuda_lane import open_with_lane

    def create(told: list[Any]) -> Session:
        return _create(ort, source, told, options, name)

    return open_with_lane(ort, create, providers, int(providers[0][1]["device_id"]))


def _name(model: Path | bytes) -> str:
    return "the given data" if isinstance(model, bytes) else f'"{model}"'


def _info(value: NodeArg) -> TensorInfo:
    shape = tuple(
        axis if isinstance(axis, int) and axis > 0 else str(axis or "") for axis in value.shape
    )
    return TensorInfo(value.name, shape, DTYPES.get(value.type) or str(value.type))


def _run_error(error: Exception, feeds: dict[str, np.ndarray]) -> StyleError:
    text = " ".join(str(error).split())
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
    if "allocate" in text or "bad_alloc" in text or "out of memory" in text.lower():
        return StyleError(
            f"not enough memory for {shapes}; pictures can be tiled (--tile auto), "
            "or made smaller with --size"
        )
    return StyleError(f"the model failed on {shapes}: {text[:300]}")
