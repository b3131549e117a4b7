"""TensorRT and TensorRT-RTX engines: tuned for one kind of NVIDIA GPU, fastest there.

Beside an engine stand the graph in the form that TensorRT reads, the engine's facts, and the card.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime import plugins
from runtime.card import ModelCard
from runtime.cli import parse_size
from runtime.engines.tensorrt import library as tensorrt_library
from runtime.engines.tensorrt.builder import PlanRequest, build_plan, check_request, find_gpu
from runtime.engines.tensorrt.library import RTX, TENSORRT, Library
from runtime.engines.tensorrt.plan import Shapes, graph_path, read_facts
from runtime.errors import CardMismatch, EngineUnavailable, ParityError, UsageError
from runtime.frame import Image
from runtime.model.session import open_session

from ..verify.photos import load_photos
from . import Options, Target, Written
from ._card_file import write_card

if TYPE_CHECKING:
    from ..source import ExportSource

# Module of each library, in the order they are taken; as in `runtime.engines.tensorrt.library`.
LIBRARIES = ("tensorrt", "tensorrt_rtx")
# (width, height) an engine accepts if none are named: down to a thumbnail, tuned for a camera in
# high definition, up to full high definition in both orientations. Memory is set aside for the
# largest.
SMALLEST, PREFERRED, LARGEST = (64, 64), (1280, 720), (1920, 1920)
# Photos the graph, and the engine, are compared on.
CHECKED_PHOTOS = 5
WORDS = {"tensorrt": TENSORRT, "tensorrt-rtx": RTX}


class TensorrtTarget(Target):
    """See `export.targets.Target`.

    It has no engine in the sense of the contract: TensorRT-RTX builds on machines that cannot run
    what they build. `check` runs the engine where there is a GPU for it, and everywhere the graph
    that the engine was built from.
    """

    suffix = ".engine"
    beside = (".engine.json", ".engine.onnx")
    precisions = ("fp16", "fp32", "int8")
    examined_by = "the graph it is built from; on a GPU itself"
    modules = ("torch", "onnx", "onnxscript")
    extra = "train,export,tensorrt-rtx"
    runs_on = "NVIDIA GPUs of the kind and library version it was built for"
    options = {  # noqa: RUF012 -- as the contract declares it
        "sizes": "smallest, preferred and largest WxH, as 64x64,1280x720,1920x1920 (the default)",
        "gpu": "compute capability to build for without that GPU, as 8.9 (TensorRT-RTX)",
        "library": "tensorrt or tensorrt-rtx, if both are installed",
    }

    @classmethod
    def available(cls) -> str:
        """As the contract says; either library will do."""
        missing = super().available()
        if missing or any(plugins.installed(name) for name in LIBRARIES):
            return missing
        return (
            "needs TensorRT: pip install -e '.[tensorrt-rtx]' (builds on any machine) or "
            "'.[tensorrt]' (on an NVIDIA GPU)"
        )

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write `path` (the engine), `<path>.onnx`, `<path>.json` and `<path>.card.json`.

        Raises:
            EngineUnavailable: neither library is installed, or TensorRT has no GPU to build on.
            UsageError: sizes, a compute capability or a library that cannot be had.
            StyleError: the library refuses the graph.
        """
        library = _library(options.extra.get("library", ""))
        shapes = profile(source.card, options)
        request = PlanRequest(options.precision, shapes, options.extra.get("gpu", ""))
        check_request(request, library)
        named = replace(source, card=replace(source.card, target="tensorrt"))
        graph = graph_path(path)
        written = _write_graph(named, graph, options)
        if shapes:
            # The runtime pads what is smaller.
            (smallest, _, _), *_ = shapes.values()
            written = replace(written, card=replace(_card(written), minimum=min(smallest[2:])))
        facts = build_plan(graph, path, request, library, options.tell)
        write_card(_card(written), path)
        steps = [*written.steps, f"built for {facts.describe()}"]
        engine = {
            "library": facts.library,
            "version": facts.version,
            "gpu": facts.gpu,
            "compute_capability": list(facts.compute_capability),
            "sizes": facts.sizes(),
            "seconds": facts.seconds,
        }
        return Written(written.card, steps, {**written.facts, "built": engine})

    @staticmethod
    def check(source: ExportSource, path: Path, options: Options) -> list[str]:
        """Compare the graph, and where it runs the engine, with PyTorch.

        Raises:
            ParityError: one of them does not match.
        """
        from ..artifact import sizes_of

        facts, graph = read_facts(path), graph_path(path)
        if facts.model_sha256 != hashlib.sha256(graph.read_bytes()).hexdigest():
            raise ParityError(f"{path.name} was not built from {graph.name}")
        photos = list(options.photos[:CHECKED_PHOTOS]) or load_photos(None, CHECKED_PHOTOS)
        sizes = sizes_of(options.size)
        found = [_compare(source, graph, "onnxruntime", photos, options, sizes)]
        try:
            found.append(_compare(source, path, "tensorrt", photos, options, sizes))
        except (EngineUnavailable, CardMismatch) as reason:
            found.append(f"{path.name} was built, and not run: {reason}")
        return found


def profile(card: ModelCard, options: Options) -> Shapes:
    """Smallest, preferred and largest shape of the picture; {} for a graph of one size.

    Raises:
        UsageError: sizes that are not three, not in order, or that the network does not accept.
    """
    text = options.extra.get("sizes", "")
    if options.size is not None:
        if text:
            raise UsageError("sizes=: --size makes an engine of one size, leave one of them out")
        return {}
    sizes = (SMALLEST, PREFERRED, LARGEST)
    if text:
        try:
            sizes = tuple(parse_size(part) for part in text.split(","))
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"sizes={text}: {error}") from None
    if len(sizes) != 3:
        raise UsageError(
            f"sizes={text}: three sizes are needed, smallest, preferred and largest, as "
            "64x64,1280x720,1920x1920"
        )
    step = card.multiple_of
    fitted = [tuple(max(-(-side // step) * step, card.minimum) for side in size) for size in sizes]
    if any(list(sides) != sorted(sides) for sides in zip(*fitted, strict=True)):
        raise UsageError(f"sizes={text}: each size must be at least as large as the one before")
    small, usual, large = ((1, 3, height, width) for width, height in fitted)
    return {card.inputs[0].name: (small, usual, large)}


def _library(word: str) -> Library:
    """The library asked for; else TensorRT where it has a GPU, else TensorRT-RTX."""
    if word and word not in WORDS:
        raise UsageError(f'library="{word}": allowed are {", ".join(WORDS)}')
    if word:
        return tensorrt_library.load(WORDS[word])
    there = tensorrt_library.installed()
    if TENSORRT in there and (RTX not in there or find_gpu() is not None):
        return tensorrt_library.load(TENSORRT)
    return tensorrt_library.load(RTX)


def _write_graph(source: ExportSource, path: Path, options: Options) -> Written:
    """The graph in the precision asked for, as TensorRT reads it."""
    from .. import float_graph, onnx_tools
    from ..fp16 import convert
    from ..int8 import symmetric
    from ..source import with_size

    if options.precision == "fp16":
        return convert.write(source, path, options)
    if options.precision == "fp32":
        return float_graph.write(source, path, options)
    card = replace(with_size(source.card, options.size), precision="int8")
    model = float_graph.trace(source.generator, card, options.opset)
    onnx_tools.tidy(model)
    float_graph.check_operations(model, source.generator)
    done = symmetric.quantize(model, card, options.photos)
    onnx_tools.save(model, card, path)
    steps = [
        f"torch.onnx.export (dynamo), opset {options.opset}",
        f"{len(done)} convolutions to int8, symmetric, weights per channel, ranges of "
        f"{len(options.photos)} photos cut where the squared error is least; the rest float32",
    ]
    return Written(card, steps)


def _card(written: Written) -> ModelCard:
    assert written.card is not None  # only targets of several models have none
    return written.card


def _compare(
    source: ExportSource,
    path: Path,
    engine: str,
    photos: Sequence[Image],
    options: Options,
    sizes: Sequence[tuple[int, int]],
) -> str:
    """One sentence on how far a file is from PyTorch."""
    from ..verify import parity
    from ..verify.torch_session import torch_session

    with torch_session(source, options.size) as ours, open_session(path, engine=engine) as theirs:
        report = parity.check(ours, theirs, photos, options.precision, sizes)
        device = theirs.device
    parity.refuse(report, path.name)
    worst = report.figures()
    sizes_told = ", ".join(entry.size for entry in report.sizes)
    return (
        f"{path.name} by {engine} on {device}: {worst['psnr_db']:.1f} dB from PyTorch at worst "
        f"({report.least_psnr_db:.0f} are demanded), SSIM {worst['ssim']:.4f}, on {len(photos)} "
        f"photos at {sizes_told}"
    )


PLUGIN = TensorrtTarget
