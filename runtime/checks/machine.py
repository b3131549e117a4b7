"""What a machine has for Impasto, found out by trying: packages, providers, encoders, cameras.

Each check gives lines that say ok, optional (not here; you may not need it) or broken (mend this),
and in the last two cases what to type.
"""

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ..card import JsonObject
from ..console import quiet

Status = Literal["ok", "optional", "broken"]
# Wheels that install the same module and overwrite each other without a word.
RIVALS = {
    "onnxruntime": (
        "onnxruntime",
        "onnxruntime-gpu",
        "onnxruntime-openvino",
        "onnxruntime-directml",
        "onnxruntime-qnn",
        "onnxruntime-training",
        "ort-nightly",
        "ort-nightly-gpu",
    ),
    "cv2": (
        "opencv-python",
        "opencv-python-headless",
        "opencv-contrib-python",
        "opencv-contrib-python-headless",
    ),
}
MODULES = {
    "numpy": ("numpy", "pip install numpy"),
    "cv2": ("OpenCV", "pip install opencv-python (with windows) or opencv-python-headless"),
    "onnxruntime": ("ONNX Runtime", "pip install onnxruntime (CPU) or onnxruntime-gpu (NVIDIA)"),
    "av": ("PyAV", "pip install av"),
    "PIL": ("Pillow", "pip install pillow"),
}
OLDEST_PYTHON = (3, 11)


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the doctor.

    Attributes:
        group: "packages", "engine", "encoders", "screen", "stage", "cameras", "models".
        name: what was looked at.
        status: "ok", "optional" (not here, and not needed by everybody) or "broken".
        detail: what was found.
        mend: what to do about it, "" if nothing.
    """

    group: str
    name: str
    status: Status
    detail: str = ""
    mend: str = ""


def run_checks() -> list[Check]:
    """All checks, one group after the other. One that fails unforeseen is itself a finding."""
    found: list[Check] = []
    groups: tuple[Callable[[], Iterator[Check]], ...] = (
        check_packages,
        check_rivals,
        check_engine,
        check_engines,
        check_encoders,
        check_screen,
        check_stage,
        check_cameras,
        check_models,
    )
    for group in groups:
        try:
            found.extend(group())
        except Exception as error:  # a broken library may raise anything while it is asked
            name = group.__name__.removeprefix("check_")
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            found.append(Check(name, name, "broken", reason[:200], "reinstall Impasto"))
    return found


def check_packages() -> Iterator[Check]:
    """Python itself and the libraries of a runtime install."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    old = sys.version_info[:2] < OLDEST_PYTHON
    wanted = ".".join(str(part) for part in OLDEST_PYTHON)
    mend = f"install Python {wanted} or newer" if old else ""
    yield Check("packages", "Python", "broken" if old else "ok", version, mend)
    for module, (name, install) in MODULES.items():
        try:
            loaded = importlib.import_module(module)
        except ImportError as error:
            reason = " ".join(str(error).split())
            if "libGL" in reason or "libglib" in reason or "libgthread" in reason:
                install = (
                    "pip uninstall -y opencv-python && pip install opencv-python-headless, "
                    "or for windows: apt-get install libgl1 libglib2.0-0"
                )
            yield Check("packages", name, "broken", reason[:160], install)
            continue
        yield Check("packages", name, "ok", str(getattr(loaded, "__version__", "present")))


def check_rivals(installed: Callable[[], set[str]] | None = None) -> Iterator[Check]:
    """Wheels that overwrite one another; `pip check` does not see this.

    Args:
        installed: gives the names of all distributions; replaced in tests.
    """
    names = (installed or _distributions)()
    for module, rivals in RIVALS.items():
        present = sorted(names & set(rivals))
        if len(present) > 1:
            keep = present[0] if module == "cv2" else "onnxruntime-gpu (or onnxruntime)"
            mend = f"pip uninstall -y {' '.join(present)}, then pip install {keep}"
            yield Check("packages", f"{module} wheels", "broken", " and ".join(present), mend)
        elif present:
            yield Check("packages", f"{module} wheels", "ok", f"one: {present[0]}")


def check_engine() -> Iterator[Check]:
    """Each execution provider, by running a model of one operation on it."""
    try:
        import onnxruntime as ort
    except ImportError:
        return
    if not hasattr(ort, "InferenceSession"):
        yield Check(
            "engine",
            "ONNX Runtime",
            "broken",
            "damaged: two of its wheels overwrote each other",
            "pip uninstall -y onnxruntime onnxruntime-gpu, then pip install one of them",
        )
        return
    from ..engines._starts import why_not

    if hasattr(ort, "preload_dlls"):
        with quiet(process=True):
            ort.preload_dlls()
    names = {
        "CPUExecutionProvider": "CPU",
        "CUDAExecutionProvider": "CUDA",
        "TensorrtExecutionProvider": "TensorRT in ONNX Runtime",
    }
    for provider, name in names.items():
        with quiet(process=True):
            reason = why_not(ort, provider)
        if reason is None:
            yield Check("engine", name, "ok", "runs a test model")
        elif name == "CPU":
            yield Check(
                "engine", name, "broken", reason, "pip install --force-reinstall onnxruntime"
            )
        else:
            yield Check("engine", name, "optional", reason, GPU_MEND[name])


def check_engines() -> Iterator[Check]:
    """The engines besides ONNX Runtime: options, so their absence is no fault."""
    from .. import engines, plugins
    from ..model import formats

    for name in plugins.names(engines):
        if name == formats.DEFAULT:
            continue
        plugin = plugins.load(engines, name)
        reads = f"reads {formats.words(plugin.suffixes)}"
        reason = engines.why_not(name)
        if reason:
            yield Check("engine", plugin.label, "optional", reads, plugin.install)
            continue
        try:
            with quiet(process=True):
                loaded = importlib.import_module(engines.library_of(plugin))
        except Exception as error:  # a library may fail in any way while it is loaded
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            yield Check("engine", plugin.label, "broken", reason[:160], plugin.install)
            continue
        version = getattr(loaded, "__version__", "installed")
        if plugin.devices == ("cuda",) and (absent := _why_no_gpu()):
            mend = "nothing to do without an NVIDIA GPU; with one, install its driver"
            yield Check(
                "engine", plugin.label, "optional", f"{version} without GPU: {absent}", mend
            )
            continue
        yield Check("engine", plugin.label, "ok", f"{version}, {reads}")


def _why_no_gpu() -> str:
    """Why CUDA's driver gives no GPU, "" if it does."""
    from ..engines._cuda import Cuda
    from ..errors import StyleError

    try:
        Cuda().close()
    except StyleError as error:
        return str(error)
    return ""


GPU_MEND = {
    "CUDA": "for an NVIDIA GPU: pip uninstall -y onnxruntime && pip install onnxruntime-gpu "
    "(CUDA 13 and cuDNN 9 come with torch, or from NVIDIA)",
    "TensorRT in ONNX Runtime": "for an NVIDIA GPU, besides CUDA: pip install tensorrt",
}


def check_encoders() -> Iterator[Check]:
    """Each video encoder, by encoding a few frames with it."""
    try:
        from ..media import encoders

        codecs = encoders.CODECS
        with quiet(process=True):
            results = {
                name: encoders.probe(
                    name, entry.pixel_format if name == entry.software else "yuv420p"
                )
                for entry in codecs.values()
                for name in (entry.software, *entry.hardware)
            }
    except ImportError as error:
        yield Check("encoders", "PyAV", "broken", str(error), "pip install av")
        return
    for codec, entry in codecs.items():
        reason = results[entry.software]
        if reason is None:
            yield Check("encoders", codec, "ok", entry.software)
        else:
            mend = "pip install --force-reinstall av (its wheels bring all software encoders)"
            yield Check("encoders", codec, "optional", f"{entry.software}: {reason}", mend)
    hardware = [name for entry in codecs.values() for name in entry.hardware]
    working = [name for name in hardware if results[name] is None]
    if working:
        yield Check("encoders", "hardware", "ok", ", ".join(working))
    else:
        yield Check(
            "encoders",
            "hardware",
            "optional",
            f"none of {', '.join(hardware)} works here",
            "not needed; NVENC comes with NVIDIA's driver",
        )


def check_screen() -> Iterator[Check]:
    """Windows, and the virtual camera."""
    from ..errors import EngineUnavailable

    try:
        from ..sinks import window
    except ImportError:
        return
    try:
        window.check_windows()
        yield Check("screen", "window", "ok", window.window_toolkit())
    except EngineUnavailable as error:
        toolkit = window.window_toolkit()
        mend = window.INSTALL if toolkit == "NONE" else "start it in a desktop session"
        yield Check("screen", "window", "optional", str(error).partition(";")[0], mend)
    from ..sinks import virtualcam

    platform = "linux" if sys.platform.startswith("linux") else sys.platform
    try:
        import pyvirtualcam
    except ImportError:
        yield Check("screen", "virtual camera", "optional", "no pyvirtualcam", virtualcam.INSTALL)
        return
    try:
        with pyvirtualcam.Camera(64, 64, 30) as camera:
            yield Check("screen", "virtual camera", "ok", camera.device)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        mend = virtualcam.SETUP.get(platform, virtualcam.SETUP["linux"])
        yield Check("screen", "virtual camera", "optional", reason[:160], mend)


# What a stage wants besides: module, what it is for, the wheel.
STAGE = (
    ("pythonosc", "OSC in", "python-osc"),
    ("rtmidi", "MIDI in", "python-rtmidi mido"),
    ("cyndilib", "NDI out", "cyndilib"),
    ("aiortc", "WebRTC preview", "aiortc"),
)


def check_stage() -> Iterator[Check]:
    """Control desks and outputs of a stage, by loading their libraries."""
    for module, name, wheel in STAGE:
        try:
            with quiet(process=True):
                importlib.import_module(module)
        except ImportError:
            yield Check("stage", name, "optional", f"no {wheel.split()[0]}", f"pip install {wheel}")
            continue
        yield Check("stage", name, "ok", module)


def check_cameras() -> Iterator[Check]:
    """Cameras with the modes they offer; those of other systems than Linux are opened and asked."""
    from ..sources._v4l2 import list_cameras

    cameras = list_cameras()
    for camera in cameras:
        spec = f"camera:{camera.index}"
        if camera.problem:
            yield Check("cameras", spec, "broken", camera.name, camera.problem)
            continue
        sizes = [f"{m.fourcc} {m.width}x{m.height}@{m.fps:g}" for m in camera.modes]
        yield Check("cameras", spec, "ok", f"{camera.name}: {', '.join(sizes) or 'modes unknown'}")
    found = bool(cameras)
    if not sys.platform.startswith("linux"):
        for index, (width, height, rate) in _opened_cameras():
            found = True
            yield Check("cameras", f"camera:{index}", "ok", f"{width}x{height}@{rate:g} by default")
    if not found:
        yield Check(
            "cameras",
            "camera",
            "optional",
            "none found",
            "plug one in; --source synthetic or a clip needs none",
        )


def check_models() -> Iterator[Check]:
    """Models that a bare name finds, and what their cards say."""
    from ..model import store, zoo

    for name in store.available():
        card = zoo.read_card(store.resolve(name))
        if card is None:
            yield Check("models", name, "ok", "no card; its facts are probed when it is opened")
        else:
            style = card.style.get("title", card.name)
            facts = (str(style), card.method, card.precision)
            yield Check("models", name, "ok", ", ".join(filter(None, facts)))
    if not store.available():
        where = ", ".join(str(folder) for folder in store.folders())
        mend = f"let ${store.VARIABLE} name their folder"
        yield Check("models", "models", "optional", f"none in {where}", mend)


def as_json(checks: list[Check]) -> JsonObject:
    """What `--json` prints."""
    return {
        "ok": not any(check.status == "broken" for check in checks),
        "platform": sys.platform,
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "folder": str(Path(__file__).resolve().parents[2]),
        "checks": [asdict(check) for check in checks],
    }


def _distributions() -> set[str]:
    names = (found.metadata["Name"] for found in importlib.metadata.distributions())
    return {name.lower().replace("_", "-") for name in names if name}


def _opened_cameras() -> Iterator[tuple[int, tuple[int, int, float]]]:
    """The first few cameras, asked by opening them."""
    import cv2

    for index in range(4):
        capture = cv2.VideoCapture(index)
        try:
            if capture.isOpened():
                width, height, rate = (
                    capture.get(prop)
                    for prop in (
                        cv2.CAP_PROP_FRAME_WIDTH,
                        cv2.CAP_PROP_FRAME_HEIGHT,
                        cv2.CAP_PROP_FPS,
                    )
                )
                yield index, (round(width), round(height), rate)
        finally:
            capture.release()
