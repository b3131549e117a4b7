"""A stylizer: one model, or several mixed by weight, with the effects around them.

`Stylizer` has the face of a `StyleSession` (`stylize`, `reset`, `close`, `card`, `device`, ...), so
clips and cameras use it as one; `open_stylizer(args)` makes it from the flags of a command.
"""

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from ..cli import parse_fraction, parse_models, say
from ..errors import UsageError
from ..frame import Image
from . import effects, variants
from .session import StyleSession, open_session

COLOR_MODES = ("luminance", "histogram")


@dataclass(frozen=True, slots=True)
class Effects:
    """What is done with a model's answer.

    Attributes:
        strength: 0 the photo, 1 the full style.
        keep_color: "luminance" (the photo's colors under the style's light and dark), "histogram"
            (the style's colors moved to the photo's mean and covariance), or "" for neither.
        mask: (H, W, 3) uint8 picture, style only where it is white; resized to each picture.
        conditions: further inputs of the model (`style`, knobs by name).
    """

    strength: float = 1.0
    keep_color: str = ""
    mask: Image | None = None
    conditions: dict[str, Any] = field(default_factory=dict)


class Stylizer:
    """Sessions with weights, and effects; used like a `StyleSession`."""

    def __init__(self, sessions: list[tuple[StyleSession, float]], around: Effects) -> None:
        total = sum(weight for _, weight in sessions)
        self.sessions = [(session, weight / total) for session, weight in sessions]
        self.effects = around
        first = sessions[0][0]
        self.card, self.engine, self.device = first.card, first.engine, first.device
        self.model_path = first.model_path
        notes = (note for session, _ in sessions for note in session.notes)
        self.notes = list(dict.fromkeys(notes))
        self._mask: np.ndarray | None = None

    @property
    def label(self) -> str:
        """The model's file name, or "a.onnx:0.6+b.onnx:0.4"; the `model` of `--json`."""
        if len(self.sessions) == 1:
            return self.model_path.name
        return "+".join(f"{s.model_path.name}:{weight:g}" for s, weight in self.sessions)

    @property
    def digest(self) -> str:
        """The files' sha256, joined by "+"; the `model_sha256` of `--json`."""
        return "+".join(session.sha256 for session, _ in self.sessions)

    def stylize(
        self,
        image: Image,
        *,
        strength: float | None = None,
        offset: np.ndarray | None = None,
        **conditions: Any,
    ) -> Image:
        """Paint one picture; see `StyleSession.stylize`. `strength` replaces the stylizer's own."""
        strength = self.effects.strength if strength is None else strength
        given = {**self.effects.conditions, **conditions}
        if len(self.sessions) == 1 and not self.effects.keep_color and self.effects.mask is None:
            return self.sessions[0][0].stylize(image, strength=strength, offset=offset, **given)
        if strength <= 0.0:
            return image.copy()
        if len(self.sessions) == 1:
            styled = self.sessions[0][0].stylize(image, offset=offset, **given)
        else:
            mixed = np.zeros(image.shape, np.float32)
            for session, weight in self.sessions:
                part = session.stylize(image, offset=offset, **given)
                mixed += np.float32(weight) * part
            styled = np.rint(mixed).astype(np.uint8)
        return self.finish(image, styled, strength)

    def stylize_float(
        self,
        image: np.ndarray,
        *,
        strength: float | None = None,
        offset: np.ndarray | None = None,
        **conditions: Any,
    ) -> np.ndarray:
        """As `stylize`, for (H, W, 3) float32 in 0..1 without rounding to bytes."""
        strength = self.effects.strength if strength is None else strength
        given = {**self.effects.conditions, **conditions}
        if strength <= 0.0:
            return image.copy()
        mixed = np.zeros(image.shape, np.float32)
        for session, weight in self.sessions:
            mixed += np.float32(weight) * session.stylize_float(image, offset=offset, **given)
        return self.finish(image, mixed, strength)

    def finish(self, image: np.ndarray, styled: np.ndarray, strength: float) -> np.ndarray:
        """The effects, in this order: colors, strength, mask.

        Args:
            image: (H, W, 3) uint8 or float32.
            styled: the networks' answer, of the same shape and type.
            strength: 0..1.
        """
        transfer = self.transfer(image, styled)
        mask = self.mask_for(image.shape[0], image.shape[1])
        return self.finish_part(image, styled, strength, transfer, mask)

    def transfer(self, image: np.ndarray, styled: np.ndarray) -> np.ndarray | None:
        """What `finish_part` must know of the whole picture to move its colors."""
        if self.effects.keep_color != "histogram":
            return None
        return effects.color_transfer(styled, image)

    def finish_part(
        self,
        image: np.ndarray,
        styled: np.ndarray,
        strength: float,
        transfer: np.ndarray | None,
        mask: np.ndarray | None,
    ) -> np.ndarray:
        """`finish` for any part of a picture, with the same part of its mask."""
        if self.effects.keep_color == "luminance":
            styled = effects.keep_luminance(image, styled)
        if transfer is not None:
            styled = effects.recolor(styled, transfer)
        styled = effects.blend(image, styled, strength)
        return styled if mask is None else effects.apply_mask(image, styled, mask)

    def mask_for(self, height: int, width: int) -> np.ndarray | None:
        """The mask at this size, (H, W) uint8, kept for the next picture of the size."""
        if self.effects.mask is None:
            return None
        if self._mask is None or self._mask.shape != (height, width):
            self._mask = effects.prepare_mask(self.effects.mask, height, width)
        return self._mask

    def reset(self) -> None:
        """Forget what earlier pictures left in recurrent models."""
        for session, _ in self.sessions:
            session.reset()

    def close(self) -> None:
        """Close all sessions; may be called twice."""
        for session, _ in self.sessions:
            session.close()

    def __enter__(self) -> "Stylizer":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def add_stylizer_flags(parser: argparse.ArgumentParser) -> None:
    """The effects' flags, and those that describe a model without a card."""
    group = parser.add_argument_group("style")
    group.add_argument(
        "--strength",
        type=parse_fraction,
        default=1.0,
        metavar="0..1",
        help="0 leaves the picture alone, 1 is the full style (default: 1)",
    )
    group.add_argument(
        "--keep-color",
        nargs="?",
        const="luminance",
        default="",
        choices=COLOR_MODES,
        help="keep the picture's own colors: luminance (the default) takes light and dark from "
        "the style, histogram moves the style's colors to the picture's",
    )
    group.add_argument("--mask", metavar="FILE", help="picture: style only where it is white")
    group.add_argument(
        "--style",
        action="append",
        metavar="FILE[:WEIGHT]",
        help="style picture, for models that take one, or the name of a style, for models that "
        "know several; repeat to mix",
    )
    group.add_argument(
        "--knob",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="a model's own scalar input",
    )
    facts = parser.add_argument_group("models without an Impasto card (replaces what was probed)")
    facts.add_argument("--layout", choices=("NCHW", "NHWC"), help="order of axes")
    facts.add_argument("--range", choices=("0..1", "-1..1", "0..255"), help="range of values")
    facts.add_argument("--colors", choices=("RGB", "BGR"), help="order of channels")
    facts.add_argument(
        "--fixed-size", metavar="WxH", type=_size, help="the only size the graph accepts"
    )
    facts.add_argument("--multiple-of", type=int, metavar="N", help="sizes the graph accepts")


def open_stylizer(
    args: argparse.Namespace, threads: int | None = None, *, live: bool = False
) -> Stylizer:
    """The stylizer a command's flags describe; what was found out goes to stderr.

    A bare style name ("starry") means its best picture; whoever wants another file names it.

    Args:
        args: parsed by `add_common_flags` and, if the command has them, `add_stylizer_flags`.
        threads: of the engine, None for all cores.
        live: frames must not wait: see `StyleSession.hurry`.
    """
    facts = {
        name: getattr(args, flag, None)
        for name, flag in (
            ("layout", "layout"),
            ("range", "range"),
            ("colors", "colors"),
            ("size", "fixed_size"),
            ("multiple_of", "multiple_of"),
        )
    }
    overrides = {name: value for name, value in facts.items() if value is not None}
    named = [parse_models(text) for text in _as_list(args.model)]
    around = _effects(args)
    sessions: list[tuple[StyleSession, float]] = []
    try:
        for name, weight in named:
            files = variants.find(name, args.engine)
            session = open_session(
                variants.best(files).path if files else name,
                engine=args.engine,
                device=args.device,
                threads=threads,
                precision_hint=getattr(args, "precision_hint", None),
                **overrides,
            )
            if live:
                session.hurry()
            elif len(files) > 1:
                say(f"{name}: {session.model_path.name}", quiet=args.quiet)
            sessions.append((session, weight))
    except BaseException:
        for session, _ in sessions:
            session.close()
        raise
    stylizer = Stylizer(sessions, around)
    for note in stylizer.notes:
        say(note, quiet=args.quiet)
    if args.verbose:
        say(f"{stylizer.label}: {stylizer.engine} on {stylizer.device}")
    return stylizer


def _effects(args: argparse.Namespace) -> Effects:
    conditions: dict[str, Any] = {}
    styles = [parse_models(text) for text in _as_list(getattr(args, "style", None))]
    if styles:
        from .conditions import load_style

        # A word without a suffix is no file: models of many styles know theirs by name.
        conditions["style"] = [
            (load_style(name) if Path(name).suffix else name, weight) for name, weight in styles
        ]
    for text in getattr(args, "knob", []):
        name, _, value = text.partition("=")
        try:
            conditions[name] = float(value)
        except ValueError:
            raise UsageError(f'--knob "{text}" is not NAME=NUMBER') from None
    mask = getattr(args, "mask", None)
    if mask:
        from ..pictures.reading import read_rgb

        mask = read_rgb(Path(mask))
    return Effects(
        strength=getattr(args, "strength", 1.0),
        keep_color=getattr(args, "keep_color", "") or "",
        mask=mask if mask is not None and len(mask) else None,
        conditions=conditions,
    )


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _size(text: str) -> tuple[int, int]:
    from ..cli import parse_size

    width, height = parse_size(text)
    return height, width
