"""From an ONNX graph to an engine file, by TensorRT 10 and 11 and by TensorRT-RTX.

Precision is what the graph says: float16 tensors, Q/DQ pairs. No flag of the builder changes it;
TensorRT 10, which could be told otherwise, is asked for strong typing, which later ones have
anyway.
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from ...errors import EngineUnavailable, StyleError, UsageError
from .._cache import cache_folder, write_file
from .._cuda import Cuda, Gpu
from .library import Library, make_logger
from .plan import PlanFacts, Shapes, write_facts

# Seconds between two lines of progress.
PAUSE = 5.0
# TensorRT-RTX builds for these unless told otherwise ("8.0, 8.6, 8.9, 12.0, and later"); Turing
# needs an engine of its own (its documentation, "CPU-Only AOT and TensorRT-RTX Engines").
NOT_PORTABLE = ("7.5",)

Tell = Callable[[str], None]


@dataclass(frozen=True)
class PlanRequest:
    """What to build.

    Attributes:
        precision: of the graph, noted in the facts.
        shapes: smallest, preferred and largest shape of inputs with free axes.
        capability: compute capability to build for without its GPU ("8.9"); "" takes the GPU here,
            or with TensorRT-RTX all it can serve with one file.
    """

    precision: str
    shapes: Shapes = field(default_factory=dict)
    capability: str = ""


def build_plan(
    graph: Path, plan: Path, request: PlanRequest, library: Library, tell: Tell
) -> PlanFacts:
    """Build `plan` from the ONNX file `graph`; both it and its facts are written atomically.

    Args:
        graph: the ONNX file.
        plan: the engine file to write.
        request: what to build.
        library: what with.
        tell: called with a line every few seconds.

    Raises:
        EngineUnavailable: there is no GPU, and this library needs one to build.
        UsageError: a compute capability the library cannot build for.
        StyleError: the library refuses the graph, with its own words.
    """
    gpu = check_request(request, library)
    data = graph.read_bytes()
    started = time.monotonic()
    built = _build(data, request, library, gpu, tell)
    name, capabilities = _built_for(request, library, gpu)
    facts = PlanFacts(
        library.label,
        library.version,
        library.cuda,
        name,
        capabilities,
        request.precision,
        request.shapes,
        hashlib.sha256(data).hexdigest(),
        hashlib.sha256(built).hexdigest(),
        round(time.monotonic() - started, 2),
    )
    write_file(plan, built)
    write_facts(facts, plan)
    return facts


def check_request(request: PlanRequest, library: Library) -> Gpu | None:
    """Whether this machine can build it; returns the GPU here, None if there is none.

    Raises:
        EngineUnavailable, UsageError: as `build_plan`.
    """
    gpu = find_gpu()
    if gpu is None and not library.is_rtx:
        raise EngineUnavailable(
            "TensorRT builds on the GPU an engine is for, and there is none here; TensorRT-RTX "
            "builds anywhere: pip install tensorrt-rtx"
        )
    if request.capability and not library.is_rtx:
        raise UsageError(
            f"gpu={request.capability}: TensorRT builds for the GPU in this machine; only "
            "TensorRT-RTX builds for another"
        )
    if request.capability and request.capability not in capabilities(library):
        raise UsageError(
            f"gpu={request.capability}: {library.label} {library.version} builds for "
            f"{', '.join(capabilities(library))}"
        )
    return gpu


def find_gpu(number: int = 0) -> Gpu | None:
    """The GPU, None if there is none."""
    try:
        cuda = Cuda(number)
    except EngineUnavailable:
        return None
    found = cuda.gpu
    cuda.close()
    return found


def capabilities(library: Library) -> list[str]:
    """Compute capabilities TensorRT-RTX can be told to build for, ["7.5", "8.0", ...]."""
    names = getattr(library.module.ComputeCapability, "__members__", {})
    return [f"{name[2:-1]}.{name[-1]}" for name in names if name.startswith("SM")]


def _build(
    data: bytes, request: PlanRequest, library: Library, gpu: Gpu | None, tell: Tell
) -> bytes:
    trt = library.module
    logger = make_logger(library)
    builder = trt.Builder(logger)
    network = builder.create_network(_creation_flags(trt))
    parser = trt.OnnxParser(network, logger)
    # What is no graph at all is read as one of nothing.
    if not parser.parse(data) or not network.num_outputs:
        raise StyleError(f"{library.label} cannot read the graph: {_parse_errors(parser)}")
    config = builder.create_builder_config()
    # Float32 means float32: TensorFloat-32 keeps 10 bits of its 23.
    config.clear_flag(trt.BuilderFlag.TF32)
    if request.shapes:
        profile = builder.create_optimization_profile()
        for name, three in request.shapes.items():
            profile.set_shape(name, *three)
        config.add_optimization_profile(profile)
    if request.capability:
        member = f"SM{request.capability.replace('.', '')}"
        config.num_compute_capabilities = 1
        config.set_compute_capability(getattr(trt.ComputeCapability, member), 0)
    timing = _timing_path(library, gpu)
    if timing is not None:
        stored = timing.read_bytes() if timing.is_file() else b""
        timings = config.create_timing_cache(stored)  # must live until the engine is built
        config.set_timing_cache(timings, ignore_mismatch=False)
    monitor = make_monitor(trt, tell)
    if monitor is not None:
        config.progress_monitor = monitor
    built = builder.build_serialized_network(network, config)
    if monitor is not None and monitor.stopped is not None:
        raise monitor.stopped
    if built is None:
        raise StyleError(f"{library.label} cannot build this graph: {logger.said()}")
    if timing is not None:
        write_file(timing, bytes(config.get_timing_cache().serialize()))
    return bytes(built)


def _creation_flags(trt: ModuleType) -> int:
    """Strong typing for TensorRT 10, which has flags that change precisions; later ones know
    nothing else."""
    if not hasattr(trt.BuilderFlag, "FP16"):
        return 0
    return 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def _built_for(
    request: PlanRequest, library: Library, gpu: Gpu | None
) -> tuple[str, tuple[str, ...]]:
    """Name of the GPU it was tuned on, and the compute capabilities it serves."""
    if request.capability:
        return "", (request.capability,)
    if library.is_rtx:
        return "", tuple(c for c in capabilities(library) if c not in NOT_PORTABLE)
    assert gpu is not None  # build_plan has refused
    return gpu.name, (gpu.capability,)


def _timing_path(library: Library, gpu: Gpu | None) -> Path | None:
    """Where the builder's measurements are kept for the next build.

    TensorRT only: TensorRT-RTX measures nothing, and given a cache asks for a GPU.
    """
    if library.is_rtx or gpu is None:
        return None
    return cache_folder() / f"tensorrt-{library.version}-{gpu.capability}.timing"


def make_monitor(trt: ModuleType, tell: Tell, pause: float = PAUSE) -> Any:
    """A progress monitor, None where the library has none (before TensorRT 10).

    It also lets Ctrl-C end a build: what interrupted it is kept in `stopped`.
    """
    if not hasattr(trt, "IProgressMonitor"):
        return None

    class Monitor(trt.IProgressMonitor):
        """Tells the innermost phase and how far it is; called from the library's threads."""

        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}
            self.stopped: BaseException | None = None
            self.told = time.monotonic()

        def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
            self.steps[phase_name] = num_steps

        def step_complete(self, phase_name: str, step: int) -> bool:
            try:
                now = time.monotonic()
                if now - self.told >= pause:
                    self.told = now
                    total = max(1, self.steps.get(phase_name, 1))
                    tell(f"building: {phase_name.lower()}, {100 * (step + 1) // total} %")
            except BaseException as error:  # it must not cross into the library's code
                self.stopped = error
            return self.stopped is None

        def phase_finish(self, phase_name: str) -> None:
            self.steps.pop(phase_name, None)

    return Monitor()


def _parse_errors(parser: Any) -> str:
    found = []
    for number in range(parser.num_errors):
        error = parser.get_error(number)
        where = error.node_name() if hasattr(error, "node_name") else ""
        found.append(f"{where}: {error.desc()}" if where else str(error.desc()))
    return " ".join("; ".join(found).split())[:300] or "it gives no reason"
