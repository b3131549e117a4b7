"""The choices a live run has between the best picture and the cheapest: working sizes, files of the
style, and whether the network sees every frame."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

# Shorter side of the smallest working size, unless the user asks for less (`--smallest`): painted
# at 192x144 and shown at 640x480, strokes are four times as wide as they should be and faces are
# gone; a rate that is not held is the lesser evil.
SMALLEST_PX = 256
# Where less is allowed, the network runs on every frame down to this size only.
FLOOR_PX = 240
# Linear steps between sizes: 2^(1/4) = 1.19 changes the cost by 1.41, wider than the hysteresis.
STEP = 2 ** (1 / 4)


@dataclass(frozen=True, slots=True)
class Choice:
    """One rung of the ladder.

    Attributes:
        width, height: working size in pixels, at which network and stabilizer run.
        every: 1 = the network sees every frame, 2 = every second one.
        variant: index into the files of the current style.
        threads: of the engine, 0 = its own choice.
    """

    width: int
    height: int
    every: int = 1
    variant: int = 0
    threads: int = 0

    @property
    def pixels(self) -> int:
        """Pixels per frame."""
        return self.width * self.height


def ladder(
    width: int,
    height: int,
    *,
    variants: Sequence[int] = (0,),
    multiple_of: int = 1,
    every_second: bool = True,
    fixed: bool = False,
    smallest: int = SMALLEST_PX,
) -> list[Choice]:
    """All choices for a source of this size, best picture first.

    Full size with each variant, then smaller sizes with the fastest one, and at the end every
    second frame: a smaller network's own picture is crisper than a larger one's that was enlarged.

    Args:
        variants: files of the style, best picture first.
        fixed: this size only.
        multiple_of: sides are rounded to this, so that the network needs no padding.
        every_second: False where no stabilizer can carry the picture over a skipped frame.
        smallest: shorter side of the smallest size in pixels.
    """
    scales = [1.0] if fixed else _scales(min(width, height), smallest)
    # The smallest size for the network on every frame; a source below FLOOR_PX is used whole.
    floor = min([s for s in scales if s * min(width, height) >= FLOOR_PX] or [1.0])
    single = [s for s in scales if s >= floor or not every_second]
    fast = variants[-1]
    plan = [(1.0, 1, variant) for variant in variants]
    plan += [(s, 1, fast) for s in single]
    if every_second:
        plan += [(s, 2, fast) for s in scales if s <= floor]
    found: list[Choice] = []
    for scale, every, variant in plan:
        size = (width, height)
        if scale < 1.0:
            size = (_rounded(width * scale, multiple_of), _rounded(height * scale, multiple_of))
        found.append(Choice(*size, every, variant))
    return list(dict.fromkeys(found))


def within(width: int, height: int, pixels: int, multiple_of: int = 1) -> tuple[int, int]:
    """The (width, height) of this shape with about `pixels` at most; as it is if it has no more."""
    scale = math.sqrt(pixels / (width * height))
    if scale >= 1.0:
        return width, height
    return _rounded(width * scale, multiple_of), _rounded(height * scale, multiple_of)


def _scales(short: int, last: int) -> list[float]:
    steps = max(0, math.floor(math.log(short / last, STEP))) if short > last else 0
    return [STEP**-k for k in range(steps + 1)]


def _rounded(length: float, multiple_of: int) -> int:
    # Even at least: half-size color planes and virtual cameras want even sides.
    unit = math.lcm(multiple_of, 2)
    return max(unit, round(length / unit) * unit)
