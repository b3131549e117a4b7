"""ncnn files: for Android, iOS and small boards, on CPUs and on GPUs through Vulkan.

pnnx makes them from TorchScript; the card stands beside them. pnnx is told one size only. With two
it would mark height and width as free, and then takes the crop of the margin for an operation that
does nothing (both sides "unknown", hence equal) and drops it. ncnn's layers hold no sizes, so that
a graph of one size runs at any, which the gate proves.
"""

from __future__ import annotations

import subprocess
import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from runtime.errors import EngineUnavailable, StyleError

from . import Options, Target, Written
from ._card_file import write_card

if TYPE_CHECKING:
    from ..source import ExportSource

# pnnx's names of the first input and output, in the place of which ours are written.
INPUT, OUTPUT = "in0", "out0"
# Lines of a .param file before the layers: magic number, counts.
HEADER_LINES = 2
# Conversions take seconds; a converter that hangs is ended.
PATIENCE_S = 300


class NcnnTarget(Target):
    """See `export.targets.Target`."""

    suffix = ".ncnn.param"
    beside = (".ncnn.bin",)
    precisions = ("fp16", "fp32")
    engine = "ncnn"
    modules = ("torch", "ncnn", "pnnx")
    extra = "train,export,ncnn-export"
    runs_on = "Android, iOS, ARM boards, x86; CPU or Vulkan"

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write `path` (.ncnn.param), the .ncnn.bin and the card beside it.

        Raises:
            EngineUnavailable: pnnx is not installed.
            UsageError: a size the network does not accept.
            StyleError: pnnx cannot convert this network.
        """
        from ..source import with_size
        from ..tracing import EXAMPLE_CELLS

        pnnx = _library()
        card = with_size(source.card, options.size)
        (image,), (styled,) = card.inputs, card.outputs
        height, width = image.shape[2:]
        if isinstance(height, int) and isinstance(width, int):
            sides = (height, width)
        else:
            sides = tuple(max(cells * card.multiple_of, card.minimum) for cells in EXAMPLE_CELLS)
        half = options.precision == "fp16"
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _trace(source, sides, folder / "net.pt")
            param, weights = _convert(pnnx, folder, sides, half=half)
            path.write_text(
                rename(param, {INPUT: image.name, OUTPUT: styled.name}), encoding="utf-8"
            )
            beside = path.name.removesuffix(".ncnn.param") + ".ncnn.bin"
            path.with_name(beside).write_bytes(weights)
        card = replace(card, target="ncnn", precision=options.precision)
        write_card(card, path)
        steps = [
            "torch.jit.trace, pnnx" + (", weights in float16" if half else ""),
            "ports named as in the card, card beside the model",
        ]
        return Written(card, steps)


def rename(param: str, names: dict[str, str]) -> str:
    """A .param text with other names for blobs.

    A layer's line is `type name inputs outputs`, the names of its input and output blobs, and its
    parameters; see ncnn's wiki, "param and model file structure".
    """
    lines = param.splitlines()
    for number, line in enumerate(lines[HEADER_LINES:], start=HEADER_LINES):
        words = line.split()
        if len(words) < 4:
            continue
        last = 4 + int(words[2]) + int(words[3])
        blobs = [names.get(word, word) for word in words[4:last]]
        lines[number] = " ".join([*words[:4], *blobs, *words[last:]])
    return "\n".join(lines) + "\n"


def _trace(source: ExportSource, sides: tuple[int, ...], path: Path) -> None:
    import torch

    from ..source import Clamped

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript announces its end; pnnx reads nothing else
        try:
            module = torch.jit.trace(
                Clamped(source.generator).eval(), (torch.rand(1, 3, *sides),), check_trace=False
            )
        except (RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:300]
            raise StyleError(f"PyTorch cannot trace this network: {reason}") from None
        module.save(str(path))


def _convert(
    pnnx: ModuleType, folder: Path, sides: tuple[int, ...], *, half: bool
) -> tuple[str, bytes]:
    """Run pnnx where it may leave its files; the .param text and the weights."""
    command = [pnnx.EXEC_PATH, "net.pt", f"inputshape=[1,3,{sides[0]},{sides[1]}]f32"]
    try:
        run = subprocess.run(
            [*command, f"fp16={int(half)}"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
    except subprocess.TimeoutExpired:
        raise StyleError(f"pnnx did not finish in {PATIENCE_S} s") from None
    param, weights = folder / "net.ncnn.param", folder / "net.ncnn.bin"
    if run.returncode != 0 or not param.is_file() or not weights.is_file():
        reason = " ".join((run.stderr or run.stdout).split())[-300:]
        raise StyleError(f"pnnx cannot convert this network (code {run.returncode}): {reason}")
    text = param.read_text(encoding="utf-8")
    strangers = sorted({line.split()[0] for line in text.splitlines() if _is_unknown(line)})
    if strangers:
        raise StyleError(f"ncnn has no layer for: {', '.join(strangers)}")
    return text, weights.read_bytes()


def _is_unknown(line: str) -> bool:
    """Whether a line holds an operation that pnnx could not express in ncnn's layers."""
    return line.startswith(("aten::", "prim::", "pnnx.", "torch.", "F.", "nn.", "Tensor."))


def _library() -> ModuleType:
    try:
        import pnnx
    except ImportError:
        raise EngineUnavailable("pnnx is not installed: pip install -e '.[ncnn-export]'") from None
    return pnnx


PLUGIN = NcnnTarget
