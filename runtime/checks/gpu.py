"""What a GPU does with a model, in a minute, to read and to send back.

The same pictures are painted on the CPU and in every way there is on the GPU (`gpu_ways`),
compared, and timed at growing sizes; then hardware decoders and encoders are given frames.
"""

import platform
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..card import JsonObject
from ..engines._cuda import Cuda, Gpu
from ..errors import EngineUnavailable
from ..frame import Image
from ..model.session import StyleSession, open_session
from ..sources.synthetic import SyntheticSource
from . import gpu_ways
from .gpu_ways import Way

# (width, height) of the pictures that are timed, and seconds for each: with up to eight ways about
# a minute.
SIZES = ((1280, 720), (1920, 1080), (3840, 2160))
SECONDS = 2.0
# Pictures of each size that are not counted: in the first ones kernels are chosen and graphs
# recorded.
WARM_UP = 4
# Size and number of the pictures that both paint: graphs are launched from the third on.
COMPARED, PICTURES = (640, 480), 4
# Likeness, PSNR in dB, that is asked of every format of a model.
ALIKE_DB = 40.0
# The driver's own words about itself, on Linux.
DRIVER = Path("/proc/driver/nvidia/version")


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
    """Try a model on a device in all ways.

    Raises:
        EngineUnavailable: no such device, or no way to it works (the first one's reason).
        ModelNotFound, CardMismatch: as `open_session`.
    """
    gpu = _gpu(device)
    pictures = [_picture(COMPARED, number) for number in range(PICTURES)]
    with open_session(model, device="cpu") as reference:
        expected = [reference.stylize(picture) for picture in pictures]
        facts: JsonObject = {
            "model": reference.model_path.stem,
            "sha256": reference.sha256,
            "device": device,
            "gpu": gpu,
            "system": platform.platform(),
            "python": platform.python_version(),
            "versions": _versions(),
        }
    with gpu_ways.scratch() as folder:
        tried = gpu_ways.ways(model, device, sizes, folder)
        results = [_try(way, pictures, expected, sizes, seconds) for way in tried]
    if all("error" in result for result in results):
        raise EngineUnavailable(f"no way to {device} works: {results[0]['error']}")
    facts["ways"] = results
    facts["half"] = gpu_ways.half(model).name if gpu_ways.half(model).is_file() else None
    facts["decoders"], facts["encoders"] = _hardware()
    alike = all(result["alike"] for result in results if "error" not in result)
    return GpuPage(_lines(facts, model), facts, alike)


def likeness(one: Image, other: Image) -> float:
    """PSNR of two pictures, uint8, in dB; infinite where they are the same."""
    error = float(np.square(one.astype(np.float32) - other.astype(np.float32)).mean())
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))


def _try(
    way: Way,
    pictures: list[Image],
    expected: list[Image],
    sizes: tuple[tuple[int, int], ...],
    seconds: float,
) -> JsonObject:
    """What one way does, or why it does not work."""
    started = time.perf_counter()
    try:
        with contextmanager(way.open)() as session:
            opened = time.perf_counter() - started
            found = [session.stylize(picture) for picture in pictures]
            worst = min(map(likeness, found, expected))
            timed = [_timed(session, size, seconds) for size in sizes]
            return {
                "way": way.name,
                "engine": session.engine,
                "device": session.device,
                "notes": session.notes,
                "open_s": round(opened, 2),
                "graphs": session.recorded_graphs,
                "psnr_db": None if np.isinf(worst) else round(worst, 2),
                "alike": worst >= ALIKE_DB,
                "sizes": timed,
            }
    except Exception as error:  # what a library raises here is what this test is for
        reason = " ".join(str(error).split())
        return {"way": way.name, "error": reason[:300] or type(error).__name__}


def _lines(facts: JsonObject, model: Path) -> list[str]:
    gpu = facts["gpu"]
    what = f"{gpu['name']} (compute {gpu['capability']}, CUDA {gpu['driver']})" if gpu else ""
    lines = [f"{facts['model']} on {what or facts['device']}"]
    for result in facts["ways"]:
        if "error" in result:
            lines.append(f"  {result['way']:<18} does not work: {result['error']}")
            continue
        likely = "the CPU's" if result["psnr_db"] is None else f"{result['psnr_db']:.1f} dB"
        if not result["alike"]:
            likely += f", {ALIKE_DB:g} are asked for"
        times = ", ".join(f"{one['size']} {one['p50_ms']:.2f} ms" for one in result["sizes"])
        graphs = f", {result['graphs']} graphs" if result["graphs"] else ""
        lines.append(f"  {result['way']:<18} {times} (picture: {likely}{graphs})")
        lines += [f"  {'':<18} {note}" for note in result["notes"]]
    if facts["half"] is None and facts["gpu"]:
        lines.append(
            f"  fp16               not tried: {gpu_ways.half(model).name} is not there (python -m "
            "export --precision fp16 makes it)"
        )
    for kind in ("decoders", "encoders"):
        lines += [f"  {name:<18} {what}" for name, what in facts[kind].items()]
    return lines


def _hardware() -> tuple[dict[str, str], dict[str, str]]:
    """NVDEC and hardware encoders: "works", or why not."""
    from ..media import decoders
    from ..media.encoders import CODECS, probe

    hardware = [name for codec in CODECS.values() for name in codec.hardware]
    return (
        {"nvdec (cuda)": decoders.probe("cuda") or "works"},
        {name: probe(name) or "works" for name in hardware},
    )


def _picture(size: tuple[int, int], number: int = 0) -> Image:
    with SyntheticSource(size=size) as source:
        frames = iter(source)
        for _ in range(number):
            next(frames)
        return next(frames).image


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


def _gpu(device: str) -> JsonObject | None:
    """Of an NVIDIA GPU; None of anything else.

    Raises:
        EngineUnavailable: there is none.
    """
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return None
    try:
        cuda = Cuda(int(number or 0))
    except EngineUnavailable as error:
        raise EngineUnavailable(f"there is nothing to try: {error}") from None
    gpu: Gpu = cuda.gpu
    cuda.close()
    facts: JsonObject = {"name": gpu.name, "capability": gpu.capability, "driver": gpu.driver}
    try:
        facts["kernel_module"] = DRIVER.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError):
        facts["kernel_module"] = ""
    return facts


def _versions() -> dict[str, str]:
    from importlib import metadata

    wanted = ("onnxruntime-gpu", "onnxruntime", "tensorrt", "tensorrt_rtx", "numpy", "av")
    found: dict[str, Any] = {}
    for name in wanted:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
