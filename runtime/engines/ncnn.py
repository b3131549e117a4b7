"""ncnn: Tencent's engine for phones and small boards, on the CPU or any GPU that speaks Vulkan.

Its files (.param with .bin beside it) carry neither metadata nor shapes, so the card lies beside
them. A batch does not exist in ncnn: planes go in and come out.

Left alone it stores values in half precision, which is 52 dB instead of 115: so everything of 16
bits is switched off here, and `--precision-hint f16` or `bf16` switches it on.
"""

import os
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

# The first line of every .param file.
MAGIC = b"7767517"
# Options of ncnn that a hint switches on; all others of 16 bits stay off.
SWITCHES = {
    "f32": (),
    "f16": ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"),
    "bf16": ("use_bf16_packed", "use_bf16_storage"),
}


class NcnnEngine:
    """One `ncnn.Net`; see `runtime.engines.Engine` for the contract."""

    suffixes = (".ncnn.param", ".param")
    beside: ClassVar[dict[str, str]] = {".ncnn.param": ".ncnn.bin", ".param": ".bin"}
    devices = ("cpu", "gpu")
    hints = ("f32", "f16", "bf16")
    label = "ncnn"
    module = "ncnn"
    other_modules = ()
    install = "pip install ncnn"

    def __init__(self, library: Any, net: Any, device: str, note: str) -> None:
        self._ncnn, self._net = library, net
        self.metadata: dict[str, str] = {}
        self.device, self.note = device, note
        self.inputs = tuple(_info(name) for name in net.input_names())
        self.outputs = tuple(_info(name) for name in net.output_names())

    @staticmethod
    def open(
        model: Path | bytes,
        device: str = "auto",
        threads: int | None = None,
        hint: str = "f32",
    ) -> "NcnnEngine":
        """Load a model; see `runtime.engines.EnginePlugin.open`. "auto" is the CPU."""
        library = _library()
        number = _gpu(library, device)
        weights = _check(model)
        net = library.Net()
        for key in {name for names in SWITCHES.values() for name in names}:
            setattr(net.opt, key, key in SWITCHES[hint])
        net.opt.num_threads = threads or allowed_threads() or os.cpu_count() or 1
        if number is not None:
            net.opt.use_vulkan_compute = True
            net.set_vulkan_device(number)
        with quiet(process=True):
            failed = net.load_param(str(model)) != 0 or net.load_model(str(weights)) != 0
        if failed:
            raise CardMismatch(
                f'"{model}" with "{weights.name}" is not a model ncnn can load (truncated, '
                "damaged, not of one export, or with operations it does not know)"
            )
        note = "" if hint == "f32" else f"ncnn computes in {hint} as asked, where it can"
        return NcnnEngine(library, net, "cpu" if number is None else f"gpu:{number}", note)

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """All outputs (or those named) for these inputs."""
        if self._net is None:
            raise ValueError("this engine was closed")
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in feeds.items())
        extractor = self._net.create_extractor()
        for name, array in feeds.items():
            if array.ndim != 4 or array.shape[0] != 1:
                raise StyleError(f"the model failed on {shapes}: ncnn takes (1, C, H, W)")
            planes = np.ascontiguousarray(array[0], np.float32)
            # A copy of ncnn's own: `Mat` does not keep the array alive, and a layer that works in
            # place would write into it.
            if extractor.input(name, self._ncnn.Mat(planes).clone()) != 0:
                raise StyleError(f'the model has no input "{name}"')
        found = {}
        for name in outputs if outputs is not None else [value.name for value in self.outputs]:
            code, result = extractor.extract(name)
            if code != 0:
                raise StyleError(
                    f'the model failed on {shapes}: ncnn gives no "{name}" (code {code}; -100 is a '
                    "lack of memory: make the picture smaller with --size)"
                )
            found[name] = np.array(result)[None]
        return found

    def close(self) -> None:
        """Free the model; may be called twice."""
        if self._net is not None:
            self._net.clear()
        self._net = None


PLUGIN = NcnnEngine


def _library() -> ModuleType:
    try:
        import ncnn
    except ImportError:
        raise EngineUnavailable(
            f"{NcnnEngine.label} is not installed: {NcnnEngine.install}"
        ) from None
    return ncnn


def _gpu(library: Any, device: str) -> int | None:
    """Number of the Vulkan device that the user asked for, None for the CPU."""
    kind, _, number = device.partition(":")
    if kind not in ("auto", *NcnnEngine.devices) or (number and not is_whole(number)):
        allowed = ", ".join(("auto", *NcnnEngine.devices))
        raise UsageError(f'device "{device}" is unknown to ncnn, allowed are {allowed}, gpu:1, ...')
    if kind != "gpu":
        return None
    with quiet(process=True):
        count = library.get_gpu_count()
    if int(number or 0) >= count:
        raise EngineUnavailable(
            f"--device {device}: ncnn finds {count} Vulkan devices here; install the GPU's Vulkan "
            "driver and loader, or use --device cpu"
        )
    return int(number or 0)


def _check(model: Path | bytes) -> Path:
    """The .bin of a .param; ncnn itself says little about files that are none."""
    if isinstance(model, bytes):
        raise CardMismatch("ncnn opens files (.param with .bin beside it), not data in memory")
    with model.open("rb") as stream:
        if not stream.readline().startswith(MAGIC):
            raise CardMismatch(f'"{model}" is not a model ncnn can load: it is no .param file')
    suffix = next((kind for kind in NcnnEngine.suffixes if model.name.endswith(kind)), "")
    weights = model.with_name(model.name.removesuffix(suffix) + NcnnEngine.beside.get(suffix, ""))
    if not suffix or not weights.is_file():
        raise CardMismatch(f'"{model}" needs its .bin file beside it')
    return weights


def _info(name: str) -> TensorInfo:
    """One picture of any size: ncnn stores no shapes."""
    return TensorInfo(name, (1, "", "", ""), "float32")
