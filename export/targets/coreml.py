"""Core ML packages (.mlpackage): Apple's runtime, on the CPU, the GPU and the neural engine.

Pictures go in and come out. Sizes are enumerated, which keeps the neural engine in play where free
sizes would not. fp16 is what that engine computes in; int8 stores the weights in bytes and computes
in fp16. The last operation rounds to whole levels, so that no conversion of Core ML's decides about
half a level.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from runtime.card import KEY, ModelCard, beside
from runtime.checksum import sha256
from runtime.cli import parse_size
from runtime.console import quiet
from runtime.errors import EngineUnavailable, ParityError, StyleError, UsageError
from runtime.model.session import StyleSession

from . import Options, Target, Written
from ._card_file import write_card

if TYPE_CHECKING:
    from ..source import ExportSource

# (width, height) besides the default one: a camera's and high definition, both ways up.
SIZES = ((640, 480), (480, 640), (1280, 720), (720, 1280))
# Photos compared at each size but the first.
FURTHER_PHOTOS = 2
# The converter's license for round and pixel_unshuffle, and for enumerated picture sizes, is older;
# this is the oldest system that still gets all of Core ML's present passes.
SYSTEM = "iOS17"


class CoreMlTarget(Target):
    """See `export.targets.Target`.

    Packages are made on any system, and run by Core ML on macOS only. Elsewhere they are proven by
    computing their program in PyTorch.
    """

    suffix = ".mlpackage"
    folder = True
    precisions = ("fp16", "int8")
    engine = "coreml" if sys.platform == "darwin" else None
    examined_by = "its program, computed by PyTorch"
    modules = ("torch", "coremltools")
    extra = "coreml"
    environment = "coreml"
    runs_on = "iPhone, iPad, Mac: CPU, GPU, neural engine (iOS 17, macOS 14)"
    default_size = (640, 480)
    options = {  # noqa: RUF012 -- as the contract declares it
        "sizes": "all WxH it accepts, as 640x480,480x640 (default with 640x480: these, and high "
        "definition both ways up)",
    }

    @staticmethod
    def write(source: ExportSource, path: Path, options: Options) -> Written:
        """Write the folder `path` (.mlpackage), with the card inside, and beside it.

        Raises:
            EngineUnavailable: coremltools is not installed.
            UsageError: a size the network does not accept.
            StyleError: Core ML cannot take this network.
        """
        from ..int8.whole_frame import byte_card
        from ..source import with_size
        from ._coreml_program import CoreMlProgram

        ct = _library()
        card, sizes = source.card, sizes_of(options)
        for size in sizes:
            with_size(card, size)
        try:
            with quiet(process=True):
                model = _convert(ct, source, sizes)
                if options.precision == "int8":
                    model = _small_weights(ct, model)
                card = replace(
                    byte_card(with_size(card, sizes[0])),
                    target="coreml",
                    precision=options.precision,
                )
                card = _with_shape(card, sizes[0])
                _describe(model, card)
                model.save(str(path))
        except Exception as error:  # the converter raises classes without a common base
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
            raise StyleError(f"Core ML cannot take this network: {reason}") from None
        write_card(card, path)
        steps = [f"torch.jit.trace, coremltools, {SYSTEM}, float16; whole levels 0..255"]
        if options.precision == "int8":
            steps.append("weights to int8, symmetric per channel; computed in float16")
        steps.append("card inside the package and beside it")
        told = ", ".join(f"{width}x{height}" for width, height in sizes)
        facts = {"sizes": told, "compared_by": CoreMlProgram.note + "; Core ML runs on macOS only"}
        return Written(card, steps, facts)

    @staticmethod
    def emulate(path: Path) -> StyleSession:
        """A session that computes the package in PyTorch (`coreml_program`)."""
        return _session(path)

    @staticmethod
    def check(source: ExportSource, path: Path, options: Options) -> list[str]:
        """What the package's specification says, and how it paints at its other sizes.

        Raises:
            ParityError: it is not what was asked for.
        """
        from coremltools.models.utils import load_spec

        from ._coreml_program import picture_ends

        with quiet(process=True):
            spec = load_spec(str(path))
        (taken, width, height), (given, _, _) = picture_ends(spec.description)
        listed = spec.description.input[0].type.imageType.enumeratedSizes.sizes
        sizes = [(size.width, size.height) for size in listed] or [(width, height)]
        wanted = list(sizes_of(options))
        if sorted(sizes) != sorted(wanted) or (width, height) != wanted[0]:
            raise ParityError(f"{path.name} is for {sizes}, not for {wanted}")
        if KEY not in spec.description.metadata.userDefined:
            raise ParityError(f"{path.name} lost its card")
        (function,) = spec.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        kinds = [operation.type for operation in block.operations]
        wanted_norms = source.card.normalization == "instance"
        if wanted_norms != ("instance_norm" in kinds):
            raise ParityError(f"{path.name} has lost, or gained, its normalizations")
        small = kinds.count("constexpr_affine_dequantize")
        if (options.precision == "int8") != (small > 0):
            raise ParityError(f"{path.name} holds {small} tensors of int8 weights")
        names = ", ".join(f"{w}x{h}" for w, h in sizes)
        return [
            *_other_sizes(source, path, options),
            f"specification {spec.specificationVersion}: "
            f'picture "{taken}" in, picture "{given}" out',
            f"sizes {names}",
            f"{kinds.count('conv')} convolutions, {small} of them with int8 weights, "
            f"{kinds.count('instance_norm')} instance normalizations",
        ]


def _other_sizes(source: ExportSource, path: Path, options: Options) -> list[str]:
    """Compare the package with PyTorch at all sizes but the first, which `export` compares."""
    from ..verify import parity
    from ..verify.torch_session import torch_session

    photos = list(options.photos[:FURTHER_PHOTOS])
    told = []
    for size in sizes_of(options)[1:] if photos else ():
        with _session(path, size) as theirs, torch_session(source, size) as ours:
            report = parity.check(ours, theirs, photos, options.precision, (size,))
        parity.refuse(report, path.name)
        told.append(f"{size[0]}x{size[1]}: {report.figures()['psnr_db']:.1f} dB")
    return [f"compared on {len(photos)} photos, too: {', '.join(told)}"] if told else []


def sizes_of(options: Options) -> tuple[tuple[int, int], ...]:
    """(width, height) of all sizes, the default first.

    Raises:
        UsageError: `sizes` is not a list of sizes.
    """
    first = options.size or SIZES[0]
    text = options.extra.get("sizes", "")
    if text:
        try:
            more = tuple(parse_size(part) for part in text.split(","))
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"sizes={text}: {error}") from None
    else:
        more = SIZES if first == SIZES[0] else ()
    return tuple(dict.fromkeys((first, *more)))


def _session(path: Path, size: tuple[int, int] | None = None) -> StyleSession:
    """The package in PyTorch, at the size of its card or another one that it accepts."""
    from ._coreml_program import CoreMlProgram

    card = ModelCard.from_json(beside(path).read_text(encoding="utf-8"), str(path))
    with quiet(process=True):
        program = CoreMlProgram(path)
    card = card if size is None else _with_shape(card, size)
    return StyleSession(program, card, path, "coreml", sha256(path))


def _convert(ct: ModuleType, source: ExportSource, sizes: tuple[tuple[int, int], ...]) -> Any:
    import torch

    from ..source import WholeLevels

    shapes = [(1, 3, height, width) for width, height in sizes]
    traced = torch.jit.trace(
        WholeLevels(source.generator).eval(), (torch.rand(shapes[0]),), check_trace=False
    )
    shape = ct.EnumeratedShapes(shapes, default=shapes[0]) if len(shapes) > 1 else shapes[0]
    colors = ct.colorlayout.RGB
    (image,), (styled,) = source.card.inputs, source.card.outputs
    return ct.convert(
        traced,
        inputs=[ct.ImageType(image.name, shape=shape, scale=1 / 255, color_layout=colors)],
        outputs=[ct.ImageType(styled.name, color_layout=colors)],
        convert_to="mlprogram",
        minimum_deployment_target=getattr(ct.target, SYSTEM),
        compute_precision=ct.precision.FLOAT16,
        skip_model_load=True,
    )


def _small_weights(ct: ModuleType, model: Any) -> Any:
    from coremltools.optimize import coreml as compress

    how = compress.OpLinearQuantizerConfig(mode="linear_symmetric", weight_threshold=0)
    return compress.linear_quantize_weights(model, compress.OptimizationConfig(global_config=how))


def _describe(model: Any, card: ModelCard) -> None:
    """What Xcode shows of the model, and the card."""
    title, artist = (card.style.get(key, "") for key in ("title", "artist"))
    model.short_description = f"Paints pictures in the style of {title or card.name}."
    model.author, model.license = artist, card.license
    model.user_defined_metadata[KEY] = card.to_json()


def _with_shape(card: ModelCard, size: tuple[int, int]) -> ModelCard:
    """The runtime uses the default size; the others are for apps."""
    shape = (1, size[1], size[0], 3)
    return replace(
        card,
        inputs=tuple(replace(port, shape=shape) for port in card.inputs),
        outputs=tuple(replace(port, shape=shape) for port in card.outputs),
    )


def _library() -> ModuleType:
    try:
        with quiet(process=True):
            import coremltools
    except ImportError as error:
        raise EngineUnavailable(
            f"coremltools is not installed ({error.name}): python -m export.environments coreml"
        ) from None
    return coremltools


PLUGIN = CoreMlTarget
