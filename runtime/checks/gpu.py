"""What a GPU does with a model, in a minute, to read and to send back.

The same picture is painted on the GPU and on the CPU and compared; then the GPU paints pictures of
growing size for some seconds each; then every hardware encoder encodes frames.
"""

import platform
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..card import JsonObject
from ..engines._cuda import Cuda, Gpu
from ..errors import StyleError
from ..frame import Image
from ..model.session import StyleSession, open_session
from ..sources.synthetic import SyntheticSource

# (width, height) of the pictures that are timed, and seconds for each: a minute with what is
# around it.
SIZES = ((1280, 720), (1920, 1080), (3840, 2160))
SECONDS = 12.0
# Pictures of each size that are not counted: kernels are chosen in the first ones.
WARM_UP = 3
# Size of the picture that both paint.
COMPARED = (640, 480)
# Likeness, PSNR in dB, that is asked of every format of a model.
ALIKE_DB = 40.0


@dataclass(frozen=True)
class GpuPage:
    """What was found; `lines` for people, `facts` for `--json`; `alike`: it paints as the CPU."""

    lines: list[str]
    facts: JsonObject
    alike: bool


def self_test(
    model: Path,
    device: str = "cuda",
    sizes: tuple[tuple[int, int], ...] = SIZES,
    seconds: float = SECONDS,
) -> GpuPage:
    """Try a model on a device.

    Raises:
        EngineUnavailable: no such device, or the engine's library for it is absent.
        ModelNotFound, CardMismatch: as `open_session`.
    """
    from ..media.encoders import CODECS, probe

    with open_session(model, device=device) as session:
        with open_session(model, device="cpu") as reference:
            picture = _picture(COMPARED)
            decibels = likeness(session.stylize(picture), reference.stylize(picture))
        timed = [_timed(session, size, seconds) for size in sizes]
        facts: JsonObject = {
            "model": session.model_path.stem,
            "sha256": session.sha256,
            "engine": session.engine,
            "device": session.device,
            "notes": session.notes,
            "gpu": _gpu_facts(session.device),
            "system": platform.platform(),
            "python": platform.python_version(),
            "versions": _versions(),
            "psnr_db": None if np.isinf(decibels) else round(decibels, 2),
            "sizes": timed,
        }
    hardware = [name for codec in CODECS.values() for name in codec.hardware]
    encoders = {name: probe(name) for name in hardware}
    facts["encoders"] = {name: why or "works" for name, why in encoders.items()}
    alike = decibels >= ALIKE_DB
    gpu = facts["gpu"]
    lines = [
        f"{facts['model']} on {facts['engine']}, {facts['device']}"
        + (f": {gpu['name']} (compute {gpu['capability']}, CUDA {gpu['driver']})" if gpu else ""),
        f"  likeness  {decibels:.1f} dB to the CPU's picture, {ALIKE_DB:g} are asked for",
        *(
            f"  {one['size']:<9} {one['fps']:.1f} pictures/s, median {one['p50_ms']:.1f} ms, "
            f"95 % within {one['p95_ms']:.1f}, mean {one['mean_ms']:.1f} ({one['samples']})"
            for one in timed
        ),
        "  encoders  " + (", ".join(n for n, why in encoders.items() if why is None) or "none"),
        *(f"  note      {note}" for note in session.notes),
    ]
    return GpuPage(lines, facts, alike)


def likeness(one: Image, other: Image) -> float:
    """PSNR of two pictures, uint8, in dB; infinite where they are the same."""
    error = float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _picture(size: tuple[int, int]) -> Image:
    return next(iter(SyntheticSource(size=size))).image


def _timed(session: StyleSession, size: tuple[int, int], seconds: float) -> JsonObject:
    """Times of pictures of one size, copies to the GPU and back included."""
    picture = _picture(size)
    for _ in range(WARM_UP):
        session.stylize(picture)
    times: list[float] = []
    until = time.perf_counter() + seconds
    while not times or time.perf_counter() < until:
        start = time.perf_counter()
        session.stylize(picture)
        times.append(1e3 * (time.perf_counter() - start))
    mean = float(np.mean(times))
    return {
        "size": f"{size[0]}x{size[1]}",
        "samples": len(times),
        "p50_ms": round(float(np.percentile(times, 50)), 3),
        "p95_ms": round(float(np.percentile(times, 95)), 3),
        "mean_ms": round(mean, 3),
        "fps": round(1e3 / mean, 2),
    }


def _gpu_facts(device: str) -> JsonObject | None:
    """Of an NVIDIA GPU; None of anything else."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return None
    try:
        cuda = Cuda(int(number or 0))
    except StyleError:
        return None
    gpu: Gpu = cuda.gpu
    cuda.close()
    return {"name": gpu.name, "capability": gpu.capability, "driver": gpu.driver}


def _versions() -> dict[str, str]:
    from importlib import metadata

    wanted = ("onnxruntime-gpu", "onnxruntime", "tensorrt", "numpy", "av")
    found: dict[str, str] = {}
    for name in wanted:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
