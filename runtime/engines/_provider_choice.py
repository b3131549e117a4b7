"""Which execution provider of ONNX Runtime runs a model: the one asked for, or, for "auto", the
best that really starts: TensorRT, CUDA, the CPU.

TensorRT builds an engine for the sizes it sees, for a minute or more. So "auto" takes it for graphs
of one size only; with free sizes a live run would build again whenever it changes the size.
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from types import ModuleType
from typing import Any

from ..card import FOLDING_KEY
from ..console import printable, quiet
from ..errors import EngineUnavailable, StyleError, UsageError
from ..fields import is_whole
from . import TensorInfo

TENSORRT = "TensorrtExecutionProvider"
CUDA = "CUDAExecutionProvider"
CPU = "CPUExecutionProvider"
# Wheels that bring TensorRT 10 and newer.
TENSORRT_WHEELS = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")


def choose(ort: ModuleType, device: str) -> tuple[list[Any], str]:
    """Providers to ask for, best first, and why it is not a better one ("" if it is the best).

    TensorRT is added by `tensorrt`, when the graph is known.

    Raises:
        UsageError: no such device.
        EngineUnavailable: CUDA was asked for and is no part of this ONNX Runtime.
    """
    kind, _, number = device.partition(":")
    if kind not in ("auto", "cpu", "cuda") or (number and not is_whole(number)):
        raise UsageError(f'device "{device}" is unknown, allowed are auto, cpu, cuda, cuda:1, ...')
    has_cuda = CUDA in ort.get_available_providers()
    if kind == "cuda" and not has_cuda:
        raise EngineUnavailable(
            f"--device {device}: this ONNX Runtime has no CUDA support (it has: "
            f"{', '.join(ort.get_available_providers())}); pip uninstall onnxruntime, then "
            "pip install onnxruntime-gpu, or use --device cpu"
        )
    if kind == "cpu" or not has_cuda:
        return [CPU], ""
    _preload(ort)
    asked = [(CUDA, {"device_id": int(number or 0)}), CPU]
    if kind == "auto":
        reason = _why_not(ort, CUDA, int(number or 0))
        if reason is not None:
            return [CPU], f"no usable GPU ({reason}): running on the CPU"
    return asked, ""


def tensorrt(
    ort: ModuleType,
    number: int,
    inputs: Sequence[TensorInfo],
    metadata: dict[str, str],
    digest: str,
) -> list[Any] | None:
    """Providers with TensorRT first, where "auto" should try it; else None.

    Args:
        ort: the onnxruntime module.
        number: of the GPU.
        inputs: of the graph.
        metadata: of the file; a model that is folded for each scene would be built for each scene.
        digest: SHA-256 of the file.
    """
    fixed = all(isinstance(axis, int) for info in inputs for axis in info.shape)
    if TENSORRT not in ort.get_available_providers() or not fixed or FOLDING_KEY in metadata:
        return None
    if _why_not(ort, TENSORRT, number) is not None:
        return None
    return [(TENSORRT, _options(ort, number, digest)), (CUDA, {"device_id": number}), CPU]


def cache_key(digest: str, gpu: Any, tensorrt: str, ort: str) -> str:
    """Name of the folder for an engine: everything that makes one engine useless for another.

    Args:
        digest: SHA-256 of the model's file.
        gpu: `runtime.engines._cuda.Gpu`.
        tensorrt: its version.
        ort: version of ONNX Runtime.
    """
    name = "".join(letter if letter.isalnum() else "-" for letter in gpu.name)
    return f"{digest[:16]}-{name}-sm{gpu.capability}-cuda{gpu.driver}-tensorrt{tensorrt}-ort{ort}"


def _options(ort: ModuleType, number: int, digest: str) -> dict[str, object]:
    """TensorRT's options: its engine is kept, where it can be said what it is good for."""
    options: dict[str, object] = {"device_id": number}
    version, gpu = _version(), _gpu(number)
    built = None
    if version and gpu is not None:
        from ._cache import cache_folder

        folder = cache_folder() / "onnxruntime" / cache_key(digest, gpu, version, ort.__version__)
        folder.mkdir(parents=True, exist_ok=True)
        built = next(folder.glob("*.engine"), None)
        options |= {
            "trt_engine_cache_enable": True,
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": True,
            "trt_timing_cache_path": str(folder),
        }
    if built is None:
        where = gpu.name if gpu is not None else f"GPU {number}"
        kept = "it is kept" if len(options) > 1 else "it cannot be kept"
        text = f"building a TensorRT engine for {where}; this may take minutes, {kept}"
        tell(text)
    return options


def _version() -> str:
    """Of TensorRT, "" if no wheel of it is installed."""
    import importlib.metadata  # 10 ms that only a GPU's first start spends

    for wheel in TENSORRT_WHEELS:
        try:
            return importlib.metadata.version(wheel)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _gpu(number: int) -> Any:
    from ._cuda import Cuda

    try:
        cuda = Cuda(number)
    except StyleError:
        return None
    gpu = cuda.gpu
    cuda.close()
    return gpu


def _preload(ort: ModuleType) -> None:
    """Let ONNX Runtime find cuBLAS and cuDNN in NVIDIA's pip wheels, which the dynamic linker does
    not search."""
    if hasattr(ort, "preload_dlls"):
        with quiet():
            ort.preload_dlls()


@lru_cache(maxsize=16)
def _why_not(ort: ModuleType, provider: str, number: int) -> str | None:
    from . import _starts

    return _starts.why_not(ort, provider, {"device_id": number})


def tell(text: str) -> None:
    """One line on stderr, whatever characters a driver's message brings along: `cli.say` for what
    stands below the commands."""
    print(printable(text), file=sys.stderr, flush=True)
