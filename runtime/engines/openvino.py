"""OpenVINO: Intel's engine, fast on CPUs of any maker in float32 and bfloat16, and on Intel's GPUs
and neural processors. It reads its own files (.xml with .bin beside it) and ONNX.

Left alone it computes in bfloat16 where the CPU can, which is 50 dB instead of 120: good enough to
look at, not to compare. So float32 is the default here, and `--precision-hint bf16` asks for speed.
"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from ..console import quiet
from ..errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from ..fields import is_whole
from . import TensorInfo
from ._threads import allowed_threads

# Objects of the library, whose name this file has: type checkers look no further for it.
Core = Any
Model = Any
Compiled = Any
Output = Any

# Where OpenVINO keeps the metadata of the ONNX file that a model came from, and we our card.
SECTION = "framework"
# First bytes of the files it is given: XML, and the version number every ONNX file begins with.
# Other files need not be shown to OpenVINO's readers of many formats.
BEGINNINGS = (b"<", b"\x08")


class OpenVinoEngine:
    """One compiled model; see `runtime.engines.Engine` for the contract."""

    suffixes = (".xml", ".onnx")
    beside: ClassVar[dict[str, str]] = {".xml": ".bin"}
    devices = ("cpu", "gpu", "npu")
    hints = ("f32", "bf16", "f16")
    label = "OpenVINO"
    module = "openvino"
    other_modules = ()
    install = "pip install openvino"

    def __init__(self, loaded: Model, compiled: Compiled, device: str, note: str) -> None:
        """Take over a model as it was read and as it was compiled."""
        self._request: Any = compiled.create_infer_request()
        self.metadata, self.device, self.note = _metadata(loaded), device, note
        # Compiled ports also bear the names of values that were fused into them, in any order.
        self.inputs = tuple(_info(value) for value in loaded.inputs)
        self.outputs = tuple(_info(value) for value in loaded.outputs)

    @staticmethod
    def open(
        model: Path | bytes,
        device: str = "auto",
        threads: int | None = None,
        hint: str = "f32",
    ) -> "OpenVinoEngine":
        """Load a model; see `runtime.engines.EnginePlugin.open`. "auto" is the CPU."""
        openvino = _library()
        core = openvino.Core()
        wanted = _device(device, core)
        loaded = _read(core, model)
        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": hint,
            "PERFORMANCE_HINT": "LATENCY",
        }
        threads = threads or allowed_threads()
        if wanted == "CPU":
            # Other threads decode, encode and show: the engine's must be able to move away.
            settings["ENABLE_CPU_PINNING"] = False
            if threads:
                settings["INFERENCE_NUM_THREADS"] = threads
        try:
            compiled = core.compile_model(loaded, wanted, settings)
        except RuntimeError as error:
            raise CardMismatch(
                f"OpenVINO cannot run {_name(model)} on {wanted}: {_line(error)}"
            ) from None
        note = _note(hint, wanted, core)
        return OpenVinoEngine(loaded, compiled, wanted.lower().replace(".", ":"), note)

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._request is None:
            raise ValueError("this engine was closed")
        try:
            given = {name: np.ascontiguousarray(value) for name, value in feeds.items()}
            found = self._request.infer(given, share_inputs=True)
        except (RuntimeError, TypeError, ValueError) as error:
            raise _run_error(error, feeds) from None
        names = [value.name for value in self.outputs]
        wanted = names if outputs is None else list(outputs)
        return {name: found[names.index(name)] for name in wanted}

    def close(self) -> None:
        """Free the model; may be called twice."""
        self._request = None


PLUGIN = OpenVinoEngine


def _library() -> ModuleType:
    try:
        import openvino
    except ImportError:
        raise EngineUnavailable(
            f"{OpenVinoEngine.label} is not installed: {OpenVinoEngine.install}"
        ) from None
    return openvino


def _device(device: str, core: Core) -> str:
    """OpenVINO's name of what the user calls "cpu", "gpu:1" or "auto"."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", *OpenVinoEngine.devices) or (number and not is_whole(number)):
        allowed = ", ".join(("auto", *OpenVinoEngine.devices))
        raise UsageError(
            f'device "{device}" is unknown to OpenVINO, allowed are {allowed}, gpu:1, ...'
        )
    wanted = "CPU" if kind == "auto" else kind.upper() + (f".{number}" if number else "")
    there = list(core.available_devices)
    if not any(name == wanted or name.split(".")[0] == wanted for name in there):
        raise EngineUnavailable(
            f"--device {device}: OpenVINO finds {', '.join(there)} here; install the driver of the "
            "device, or use --device cpu"
        )
    return wanted


def _read(core: Core, model: Path | bytes) -> Model:
    try:
        if isinstance(model, bytes):
            start = model[:1]
        else:
            with model.open("rb") as stream:
                start = stream.read(1)
        if start not in BEGINNINGS:
            raise RuntimeError("it begins like neither an .xml nor an .onnx file")
        with quiet(
            process=True
        ):  # readers of other formats complain about files that none can read
            return core.read_model(model if isinstance(model, bytes) else str(model))
    except RuntimeError as error:
        raise CardMismatch(
            f"{_name(model)} is not a model OpenVINO can load (truncated, damaged, or another kind "
            f"of file): {_line(error)}"
        ) from None


def _metadata(model: Model) -> dict[str, str]:
    """Key-value pairs stored in the file."""
    if not model.has_rt_info(SECTION):
        return {}
    section = model.rt_info[SECTION]
    return {key: section[key].astype(str) for key in section}


def _info(value: Output) -> TensorInfo:
    shape = tuple("" if axis.is_dynamic else int(axis.get_length()) for axis in value.partial_shape)
    return TensorInfo(value.any_name, shape, str(value.element_type.to_dtype()))


def _note(hint: str, device: str, core: Core) -> str:
    """What a hint has come to; nothing for the exact default."""
    if hint == "f32":
        return ""
    able = core.get_property(device, "OPTIMIZATION_CAPABILITIES")
    native = {"bf16": "BF16", "f16": "FP16"}[hint]
    if native in able:
        return f"OpenVINO computes in {hint} as asked (--precision-hint f32 is exact)"
    return f"this {device} has no arithmetic of {hint}: OpenVINO takes the nearest it has"


def _name(model: Path | bytes) -> str:
    return "the given data" if isinstance(model, bytes) else f'"{model}"'


def _line(error: Exception) -> str:
    """The sentence in an exception of OpenVINO, without its list of source lines."""
    lines = [line.strip() for line in str(error).splitlines()]
    said = [line for line in lines if line and not line.startswith(("Exception from", "Check '"))]
    return " ".join(said or lines)[:200]


def _run_error(error: Exception, feeds: dict[str, np.ndarray]) -> StyleError:
    shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
    text = _line(error)
    if "alloc" in text.lower() or "out of memory" in text.lower():
        return StyleError(
            f"not enough memory for {shapes}; pictures can be tiled (--tile auto), "
            "or made smaller with --size"
        )
    return StyleError(f"the model failed on {shapes}: {text}")
