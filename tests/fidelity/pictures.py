"""python -m tests.fidelity.pictures --model starry.onnx

What `python -m runtime.image` loses. Odd pictures (turned, with color profiles, holes, 16 bits,
CMYK, palettes, moving, one pixel wide) go through a model that changes nothing and must come back
as they are to be seen; pictures painted in tiles must equal the same painted in one piece; with
--large a picture of that size is painted within --memory. Prints the tables; ends with 1 if
something is lost. `test_pictures.py` holds the same on a few pictures and a small network.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measuring import results
from benchmarks.report.tables import (
    ABSENT,
    Column,
    Row,
    figure,
    label,
    metric,
    table,
    text,
    with_precision,
)
from runtime import cli
from runtime.cli import Progress, command_main, command_parser
from runtime.errors import DONE, FAILED, EngineUnavailable, StyleError

from .video import HOME, build_identity

TILE = 192
# The promise of exact tiling, in levels of 255.
PROMISE = 1.0
# Photographs of scikit-image that tiling is shown on; their sizes are no multiples of a tile.
PHOTOS = ("coffee", "chelsea", "astronaut")

# Seconds between two looks at the memory of a running command; its mark only ever rises.
LOOK_S = 0.02


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add(
        "--model",
        action="append",
        metavar="FILE",
        help="painted in tiles and at once; repeat for several (default: starry.onnx)",
    )
    add(
        "--large",
        type=cli.parse_size,
        action="append",
        default=[],
        metavar="WxH",
        help="paint a picture of this size with the first model as well; repeat for several",
    )
    add("--memory", type=float, default=4.0, metavar="GB", help="for --large (default: 4)")
    add("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the pictures, paint them, compare."""
    try:
        import skimage  # noqa: F401
    except ImportError:
        raise EngineUnavailable(
            "scikit-image is not installed: pip install -e '.[export]'"
        ) from None
    models = args.model or ["starry.onnx"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows += odd_rows(folder, args.quiet)
        for model in models:
            rows += tiling_rows(model)
        for size in args.large:
            rows.append(large_row(models[0], size, args.memory, folder))
    print(tables(rows))
    return DONE if all(is_faithful(row["metrics"]) for row in rows) else FAILED


def is_faithful(metrics: dict[str, Any]) -> bool:
    """Whether nothing of a row is lost beyond what is allowed."""
    number = metrics.get
    return (
        number("wrong", 0) == 0
        and (number("worst_level") or 0) <= number("allowed_level", PROMISE)
        and number("peak_mib", 0) <= number("limit_mib", 0)
    )


GROUPS = (
    label("pictures", "kind"),
    figure("files", "pictures"),
    figure("wrong"),
    figure("worst difference, levels", "worst_level"),
)
TILING = (
    Column("model", with_precision, words=True),
    label("photo"),
    label("size"),
    figure("tiles"),
    figure("worst difference, levels", "worst_level"),
    figure("mean difference", "mean_level"),
    figure("worst if each tile were normalized on its own", "alone_level"),
)


def tables(rows: list[Row]) -> str:
    """Odd pictures by kind, tiling by model and photo; then what is painted in bounded memory."""
    kinds: dict[str, list[Row]] = {}
    for row in rows:
        kinds.setdefault(row["labels"]["what"], []).append(row)
    tiled = kinds.get("tiling", [])
    parts = [table(GROUPS, kinds.get("group", [])), table(TILING, tiled)]
    parts += [
        f"Refused: {words}."
        for words in dict.fromkeys(text(r, "words") for r in tiled)
        if words != ABSENT
    ]
    for row in kinds.get("large", []):
        parts.append(
            f"{text(row, 'model')} on {text(row, 'size')}: {metric(row, 'peak_mib')} MiB at "
            f"most, of {metric(row, 'limit_mib')} MiB allowed; {metric(row, 'tiles')} tiles of "
            f"{metric(row, 'tile_px')} px; {metric(row, 'cpu_seconds')} seconds of one core."
        )
    return "\n\n".join(parts)


def odd_rows(folder: Path, quiet: bool = False) -> list[dict[str, Any]]:
    """A row for each odd picture, then one for each group of them."""
    from . import odd_pictures

    model = build_identity(folder / "identity.onnx")
    cases = odd_pictures.all_pictures()
    rows = []
    with Progress(len(cases), "pictures", quiet=quiet) as progress:
        for odd in cases:
            rows.append(odd_row(odd, model, folder))
            progress.update()
    groups = dict.fromkeys(odd.group for odd in cases)
    return rows + [group_row(group, rows) for group in groups]


def odd_row(odd: Any, model: Path, folder: Path) -> dict[str, Any]:
    """One picture through the command, as a user would type it, against what it must look like."""
    from . import odd_pictures

    source, target = folder / odd.name, folder / f"out-{odd.name}{odd.output}"
    odd.write(source)
    command = [*image_command(str(model)), "--input", str(source), "--output", str(target), "-q"]
    subprocess.run(command, cwd=HOME, check=True)
    back = odd_pictures.shown(target)
    expected = odd.frames or [odd.pixels]
    worst, wrong = 0.0, abs(len(back) - len(expected))
    for (pixels, _, _), wanted in zip(back, expected, strict=False):
        if pixels.shape != wanted.shape or pixels.dtype != wanted.dtype:
            wrong += 1
            continue
        worst = max(worst, difference(pixels, wanted))
    alpha = back[0][1]
    if (alpha is None) != (odd.alpha is None):
        wrong += 1
    elif alpha is not None:
        worst = max(worst, difference(alpha, odd.alpha))
    durations = [round(milliseconds) for _, _, milliseconds in back]
    wrong += bool(odd.durations) and durations != odd.durations
    metrics = {
        "worst_level": round(worst, 3),
        "allowed_level": odd.allowed,
        "wrong": int(wrong),
        "frames": len(back),
    }
    return results.row({"what": "picture", "file": odd.name, "group": odd.group}, metrics, ["file"])


def group_row(group: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What the pictures of one group have in common."""
    own = [row["metrics"] for row in rows if row["labels"].get("group") == group]
    metrics = {
        "pictures": len(own),
        "wrong": sum(metrics["wrong"] > 0 for metrics in own),
        "worst_level": max(metrics["worst_level"] for metrics in own),
        "allowed_level": max(metrics["allowed_level"] for metrics in own),
    }
    return results.row({"what": "group", "kind": group}, metrics, ["what", "kind"])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Greatest difference of two pictures of one type, in levels of 255."""
    top = np.iinfo(one.dtype).max
    return float(np.abs(one.astype(np.int64) - other).max() * 255 / top)


def image_command(model: str) -> list[str]:
    """The command under test."""
    return [sys.executable, "-m", "runtime.image", "--model", model, "--device", "cpu"]


def tiling_rows(model: str) -> list[dict[str, Any]]:
    """One model in tiles and at once: with the statistics of the whole picture, and, to show what
    they are for, without."""
    from skimage import data

    from runtime import open_session
    from runtime.model.stylizer import Effects, Stylizer
    from runtime.pictures.reading import Picture
    from runtime.stills.painter import Options, StillPainter

    rows = []
    with open_session(model, device="cpu") as session:
        look = Stylizer([(session, 1.0)], Effects())
        precision = session.card.precision
        labels = {"what": "tiling", "model": session.model_path.stem, "precision": precision}
        for name in PHOTOS:
            image = np.ascontiguousarray(getattr(data, name)())
            # 16 bits show differences that bytes would round away.
            picture = Picture(image.astype(np.uint16) * 257)
            height, width = picture.size
            labels = {**labels, "photo": name, "size": f"{width}x{height}", "words": None}
            whole = StillPainter(look, Options(tile="off", quiet=True), print).paint(picture)
            metrics: dict[str, Any] = {"tiles": -(-height // TILE) * -(-width // TILE)}
            try:
                tiled = StillPainter(look, Options(tile=TILE, quiet=True), _nobody).paint(picture)
            except StyleError as error:
                labels["words"] = str(error)
                metrics |= {"worst_level": None, "mean_level": None, "alone_level": None}
            else:
                errors = np.abs(tiled.pixels.astype(np.int64) - whole.pixels) / 257
                metrics["worst_level"] = round(float(errors.max()), 4)
                metrics["mean_level"] = round(float(errors.mean()), 6)
                metrics["alone_level"] = round(alone(session, image, whole.pixels), 1)
            rows.append(results.row(labels, metrics, ["what", "model", "photo"]))
    return rows


def _nobody(_: str) -> None:
    """Takes what the painter says."""


def alone(session: Any, image: np.ndarray, whole: np.ndarray) -> float:
    """Greatest difference, in levels of 255, if each tile is normalized on its own."""
    from runtime.stills import tiles

    halo = -(-session.card.overlap // TILE) * TILE
    height, width = image.shape[:2]
    worst = 0.0
    for inner, outer in tiles.windows(height, width, TILE, halo):
        part = np.ascontiguousarray(image[outer[0] : outer[2], outer[1] : outer[3]])
        painted = session.stylize(part)
        top, left = inner[0] - outer[0], inner[1] - outer[1]
        rows, columns = inner[2] - inner[0], inner[3] - inner[1]
        own = painted[top : top + rows, left : left + columns].astype(np.int64) * 257
        there = whole[inner[0] : inner[2], inner[1] : inner[3]]
        worst = max(worst, float(np.abs(own - there).max() / 257))
    return worst


def _high_water_mib(process: int) -> float:
    """Largest resident memory of a running process, 0 where the system does not tell.

    The system's own account at the end (`ru_maxrss`) begins with the memory of the process that
    started it, which is larger than what is measured when a long test run is the parent.
    """
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"^VmHWM:\s*(\d+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def large_row(model: str, size: tuple[int, int], memory: float, folder: Path) -> dict[str, Any]:
    """A picture of this size through the command: time and peak memory against its own limit."""
    from skimage import data

    from runtime.pictures import writing
    from runtime.pictures.reading import Picture

    width, height = size
    source, target = folder / f"{width}x{height}.png", folder / f"out-{width}x{height}.png"
    photo = data.astronaut()
    repeats = (-(-height // photo.shape[0]), -(-width // photo.shape[1]), 1)
    writing.write(source, [Picture(np.tile(photo, repeats)[:height, :width])])
    command = [*image_command(model), "--memory", f"{memory:g}"]
    command += ["--input", str(source), "--output", str(target)]
    said, start = folder / "said.txt", time.monotonic()
    with said.open("wb") as stream:
        process = subprocess.Popen(command, cwd=HOME, stderr=stream)
        peak = 0.0
        while True:
            peak = max(peak, _high_water_mib(process.pid))
            ended, status, usage = os.wait4(process.pid, os.WNOHANG)
            if ended:
                break
            time.sleep(LOOK_S)
    seconds, words = time.monotonic() - start, said.read_text(errors="replace")
    if status:
        raise StyleError(f"painting {width}x{height} failed: {words.splitlines()[-1]}")
    source.unlink()
    found = re.search(r"memory: about ([\d.]+) GB .*?in (\d+) tiles of (\d+) px", words)
    estimate, number, side = found.groups() if found else (None, None, None)
    metrics = {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_mib": round(peak or usage.ru_maxrss / 1024, 1),
        "limit_mib": round(memory * 1024, 1),
        "estimate_mib": None if estimate is None else round(float(estimate) * 1024, 1),
        "tiles": None if number is None else int(number),
        "tile_px": None if side is None else int(side),
    }
    target.unlink()
    labels = {"what": "large", "model": Path(model).stem, "size": f"{width}x{height}"}
    return results.row(labels, metrics, ["what", "model", "size"])


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
