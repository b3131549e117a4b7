"""A stylizer: one model, or several mixed by weight, with the effects around them.

`Stylizer` has the face of a `StyleSession` (`stylize`, `reset`, `close`, `card`, `device`, ...), so
clips and cameras use it as one; `runtime.model.options.open_stylizer` opens it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import numpy as np

from ..card import JsonObject
from ..frame import Image
from ..provenance import Provenance, provenance_of
from ..state import State, nest, part
from . import effects
from .conditions import Condition
from .folding import Scene
from .session import StyleSession

COLOR_MODES = ("luminance", "histogram")


@dataclass(frozen=True, slots=True)
class Effects:
    """What is done with a model's answer.

    Attributes:
        strength: 0 the photo, 1 the full style.
        keep_color: "luminance" (the photo's colors under the style's light and dark), "histogram"
            (the style's colors moved to the photo's mean and covariance), or "" for neither.
        mask: (H, W, 3) uint8 picture, style only where it is white; resized to each picture.
        conditions: further inputs of the model (`style`, parameters by name).
    """

    strength: float = 1.0
    keep_color: str = ""
    mask: Image | None = None
    conditions: Mapping[str, Condition] = field(default_factory=dict[str, Condition])


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
        return label_of([(s.model_path.name, weight) for s, weight in self.sessions])

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
        **conditions: Condition,
    ) -> Image:
        """Paint one picture; see `StyleSession.stylize`. `strength` replaces the stylizer's own."""
        strength = self.effects.strength if strength is None else strength
        given: dict[str, Any] = {**self.effects.conditions, **conditions}
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
        **conditions: Condition,
    ) -> np.ndarray:
        """As `stylize`, for (H, W, 3) float32 in 0..1 without rounding to bytes."""
        strength = self.effects.strength if strength is None else strength
        given: dict[str, Any] = {**self.effects.conditions, **conditions}
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

    @property
    def remembers(self) -> bool:
        """Whether a picture depends on those before it."""
        return any(session.remembers for session, _ in self.sessions)

    @property
    def begins_scene(self) -> bool:
        """Whether the last picture began a scene in all sessions (`StyleSession.begins_scene`)."""
        return all(session.begins_scene for session, _ in self.sessions)

    def observe(self, image: Image) -> bool:
        """Whether this picture begins a scene in all sessions; see `StyleSession.observe`."""
        return all([session.observe(image) for session, _ in self.sessions])

    def state(self) -> State | None:
        """What earlier pictures left (`StyleSession.state`)."""
        found: State = {}
        for number, (session, _) in enumerate(self.sessions):
            state = session.state()
            if state is None:
                return None
            found |= nest(str(number), state)
        return found

    def resume(self, state: State) -> None:
        """Go on where another stylizer of the same models was."""
        for number, (session, _) in enumerate(self.sessions):
            session.resume(part(str(number), state))

    @property
    def continues(self) -> bool:
        """Whether another process can go on behind any picture (`StyleSession.continues`)."""
        return all(session.continues for session, _ in self.sessions)

    def scene(self) -> Callable[[], list[JsonObject | None]]:
        """What all sessions know of the scene now (`StyleSession.scene`)."""
        known = [session.scene() for session, _ in self.sessions]

        def settle() -> list[JsonObject | None]:
            scenes = [settled() for settled in known]
            return [None if scene is None else scene.to_json() for scene in scenes]

        return settle

    def restore(self, scenes: Sequence[JsonObject | None]) -> None:
        """Go on behind what `scene` said, here or in another process."""
        for (session, _), scene in zip(self.sessions, scenes, strict=True):
            session.restore(None if scene is None else Scene.from_json(scene))

    @property
    def steady(self) -> bool:
        """Whether its pictures are stabilized already (`StyleSession.steady`)."""
        return any(session.steady for session, _ in self.sessions)

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


def label_of(files: Sequence[tuple[str, float]]) -> str:
    """What models mixed by such weights, which sum to 1, are called."""
    return files[0][0] if len(files) == 1 else "+".join(f"{n}:{w:g}" for n, w in files)


def together(stylizers: Sequence[Stylizer]) -> Provenance | None:
    """What makes a picture that such stylizers paint parts of; None if none of them paints."""
    painting = [s for s in stylizers if s.effects.strength > 0.0]
    return provenance_of([(s.label, s.digest) for s in painting]) if painting else None
