"""python -m benchmarks.page --models starry,starry-fast --threads 1,2

What a live frame takes in the exported page, in Chromium on the processor: by the graph of floats
and by that of bytes, which the page takes there, at the size it begins with, steadied as it is
shown; with how much both boil on a still picture with a sensor's noise, steadied and not. Needs
Chromium, Node.js and npm's package; no PyTorch, no camera.
"""

import argparse
import base64
import functools
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from runtime.cli import command_main, command_parser, parse_size
from runtime.errors import DONE, EngineUnavailable, UsageError

from .measuring.command import (
    add_plan_flags,
    add_result_flags,
    check_result_file,
    deliver,
    listed,
    positive,
)
from .measuring.results import Row
from .report.tables import Document, figure, label, table

if TYPE_CHECKING:
    from runtime.frame import Image

    from .measuring.chromium import Browser
    from .measuring.rounds import Case

# What the page begins with from a camera of 1280x720 (`FIRST` in export/site/web/js/sizes.js).
SIZE = (428, 240)
# Frames of the still picture, and its noise in levels, as benchmarks.temporal has them.
STILL, NOISE = 12, 3.0
START_S = 120.0
# One painter of the page's own for each case; the frames it is given stay in the page.
SCRIPT = """
globalThis.benched = { painters: new Map(), frames: [] };
benched.open = async (key, name, bytes) => {
  const { Painter } = await import(new URL("js/painter.js", document.baseURI).href);
  const site = await (await fetch("site.json")).json();
  const style = { ...site.styles.find((one) => one.name === name) };
  if (bytes && !style.light) return false;
  if (!bytes) delete style.light;
  const painter = new Painter(site, () => {});
  await painter.start("cpu", style);
  benched.painters.set(key, { painter, style });
  return painter.engine;
};
benched.give = (frames, width, height) => {
  benched.frames = frames.map((text) => Uint8ClampedArray.from(atob(text), (c) => c.charCodeAt(0)));
  [benched.width, benched.height] = [width, height];
};
benched.paint = async (key, number, steady, wanted) => {
  const { painter, style } = benched.painters.get(key);
  const pixels = benched.frames[number].slice();
  const image = new ImageData(pixels, benched.width, benched.height);
  const { image: { data }, ms } = await painter.paint(style, image, style.codes, { steady });
  if (!wanted) return { ms };
  let text = "";
  for (let at = 0; at < data.length; at += 32768)
    text += String.fromCharCode(...data.subarray(at, at + 32768));
  return { ms, pixels: btoa(text) };
};
"""


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    add = parser.add_argument
    add("--models", type=listed(str), default=["starry", "starry-fast"], metavar="NAME,NAME")
    add("--size", type=parse_size, default=SIZE, metavar="WxH", help="of frames (428x240)")
    add("--threads", type=listed(positive), default=[1], metavar="N,N", help="of WebAssembly (1)")
    add_plan_flags(parser)
    add_result_flags(parser)
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the page, open it, paint in turns."""
    from runtime.model import store

    from .measuring import chromium, opening, results, rounds, statistics
    from .measuring.calibration import Calibration, peaks

    program = chromium.find()
    if program is None:
        raise EngineUnavailable("no Chromium here (Debian: apt-get install chromium)")
    path = check_result_file(args)
    models = [store.resolve(model) for model in args.models]
    size = f"{args.size[0]}x{args.size[1]}"
    plan = rounds.Plan(iterations=args.iterations, duration_s=args.duration, warm_up=args.warm_up)
    rows: list[Row] = []
    heat = Calibration()
    with shown(models, program) as browser:
        cases = open_cases(browser, [model.stem for model in models], args.threads)
        frames = noisy_stills(args.size)
        give(browser, frames)
        found = rounds.interleave(cases, plan, calibration=heat)
        for case in cases:
            model, precision, threads = case.name.split("/")
            ratio, low, high = statistics.paired_ratio(
                found.by_round(case.name), found.by_round(f"{model}/fp32/{threads}")
            )
            metrics = {
                **statistics.summary(found.times(case.name), "total"),
                "faster_than_fp32": round(ratio, 3),
                "faster_low": low,
                "faster_high": high,
            }
            if threads == str(args.threads[0]):
                metrics |= flicker(browser, case.name, args.size)
            labels = {"model": model, "precision": precision, "size": size}
            rows.append(results.row({**labels, "threads": int(threads)}, metrics))
        version = browser.call("Browser.getVersion")["product"]
    heat.close()
    settings = {
        "browser": version,
        "noise": NOISE,
        "sha256": opening.checksums([twin for model in models for twin in twins(model)]),
    }
    # Ratios are taken round by round, of what both sides had; none is left out here.
    block = {"peak": {"t1": peaks(found.readings)}, "readings": found.readings, "marked_rounds": []}
    deliver(args, path, results.document("page", rows, settings, block))
    return DONE


def twins(model: Path) -> list[Path]:
    """The files of a network: of bytes, and of floats where there is one."""
    precise = model.with_name(f"{model.stem}-fp32{model.suffix}")
    return [model, precise] if precise.is_file() else [model]


@contextmanager
def shown(models: list[Path], program: str) -> "Iterator[Browser]":
    """The page of some models, open in Chromium, with `SCRIPT` in it."""
    from export.site import engine_files
    from export.targets.web import write_page
    from runtime.serve_site import open_server

    from .measuring.chromium import Browser, wait_for

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "profile").mkdir()
        write_page(models, folder / "site", engine_files.dist_folder(), compressed=False)
        server = open_server(folder / "site", "127.0.0.1:0")
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        browser = Browser(program, folder / "profile", "--disable-gpu")
        try:
            browser.call("Page.navigate", url=server.url)
            ready = "document.body?.dataset.offline !== undefined"
            wait_for(lambda: browser.value(ready), START_S)
            browser.value(SCRIPT)
            yield browser
        finally:
            browser.close()
            server.shutdown()
            server.server_close()


def open_cases(browser: "Browser", models: list[str], threads: list[int]) -> "list[Case]":
    """Every model by floats and by bytes, where it has both, with every number of threads.

    Raises:
        UsageError: Chromium gives another number of threads.
    """
    from .measuring.rounds import Case

    cases: list[Case] = []
    for count in threads:
        # The page leaves one core to the rest.
        browser.call("Emulation.setHardwareConcurrencyOverride", hardwareConcurrency=count + 1)
        for model in models:
            for precision in ("fp32", "int8"):
                name = f"{model}/{precision}/{count}"
                given = json.dumps([name, model, precision == "int8"])
                browser.socket.settimeout(START_S)
                engine = browser.value(f"benched.open(...{given})", wait=True)
                if engine is False:
                    continue
                if f"{count} thread" not in engine:
                    raise UsageError(f"--threads {count}: the page runs on {engine}")
                cases.append(Case(name, functools.partial(_paint, browser, name)))
    return cases


def _paint(browser: "Browser", name: str) -> dict[str, float]:
    answer = browser.value(f"benched.paint({json.dumps(name)}, 0, true, false)", wait=True)
    return {"total": answer["ms"]}


def noisy_stills(size: tuple[int, int]) -> "list[Image]":
    """A still picture (H, W, 3) several times, each with noise of its own."""
    from export.verify.photos import cover, load_photos

    picture = cover(load_photos(None)[0], *size).astype(np.float32)
    noise = np.random.default_rng(0)
    return [
        np.clip(picture + noise.normal(0, NOISE, picture.shape), 0, 255).round().astype(np.uint8)
        for _ in range(STILL)
    ]


def give(browser: "Browser", frames: "list[Image]") -> None:
    """Put frames into the page."""
    height, width = frames[0].shape[:2]
    texts = [
        base64.b64encode(cv2.cvtColor(frame, cv2.COLOR_RGB2RGBA).tobytes()).decode()
        for frame in frames
    ]
    browser.value(f"benched.give({json.dumps(texts)}, {width}, {height})")


def flicker(browser: "Browser", name: str, size: tuple[int, int]) -> dict[str, float]:
    """How much the still boils as it is painted, and as it is shown (`metrics.static_flicker`)."""
    from .metrics.static_flicker import static_flicker

    found: dict[str, float] = {}
    for key, steady in (("flicker", "false"), ("flicker_steadied", "true")):
        painted = []
        for number in range(STILL):
            script = f"benched.paint({json.dumps(name)}, {number}, {steady}, true)"
            data = base64.b64decode(browser.value(script, wait=True)["pixels"])
            pixels = np.frombuffer(data, np.uint8).reshape(size[1], size[0], 4)
            painted.append(pixels[..., :3])
        # The second half: the first one comes to rest.
        found[key] = round(static_flicker(painted[STILL // 2 :]), 3)
    return found


COLUMNS = (
    label("model"),
    label("precision"),
    label("size"),
    label("threads"),
    figure("ms", "total_p50_ms"),
    figure("p95 ms", "total_p95_ms"),
    figure("x faster than fp32", "faster_than_fp32"),
    figure("flicker, levels", "flicker"),
    figure("steadied", "flicker_steadied"),
)


def table_of(data: Document) -> str:
    """Times and flicker."""
    return table(COLUMNS, data["rows"])


main = command_main(build_parser, run)

if __name__ == "__main__":
    raise SystemExit(main())
