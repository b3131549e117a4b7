"""A model explained in a page: what it takes and gives, how that is known, its speed here."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..card import JsonObject, Port
from ..errors import StyleError
from ..frame import Image
from ..model import arrays
from ..model.conditions import Condition
from ..model.session import StyleSession, open_session

# (height, width) of the pictures that are timed, where the model takes any size.
TIMED = ((480, 640), (720, 1280))
# Pictures of each size; the first is not counted, because engines prepare themselves in it.
ROUNDS = 4
ROLES = {
    "image": "the picture",
    "style": "a style picture: --style FILE",
    "code": "a style: --style",
    "noise": "which of many answers: --variation NUMBER",
    "scalar": "a number: --parameter NAME=NUMBER",
    "state": "what was computed for the frame before",
}


@dataclass(frozen=True)
class ModelPage:
    """What was found; `lines` for people, `facts` for `--json`."""

    lines: list[str]
    facts: JsonObject


def describe(path: Path, threads: int | None = None) -> ModelPage:
    """Open a model and time it.

    Raises:
        ModelNotFound, CardMismatch, UsageError, EngineUnavailable: as `open_session`.
    """
    with open_session(path, threads=threads) as session:
        card = session.card
        carded = card.method != "foreign"  # probing writes that
        size = _size_words(session)
        speeds, problem = _timed(session)
        missing = _missing(session, carded)
        lines = [
            f"{session.model_path}  ({session.model_path.stat().st_size / 1e6:.2f} MB)",
            f"  sha256   {session.sha256}",
            f"  engine   {session.engine} on {session.device}",
            f"  card     {'its own' if carded else 'none: probed, see the notes'}",
            *(f"  takes    {_port_words(port)}" for port in card.inputs),
            *(f"  gives    {_port_words(port)}" for port in card.outputs),
            f"  size     {size}",
            f"  scene    {_scene_words(session)}",
            *(f"  speed    {_speed_words(speed)}" for speed in speeds),
            *([f"  speed    not measured: {problem}"] if problem else []),
            *(f"  note     {note}" for note in session.notes),
            *(f"  missing  {entry}" for entry in missing),
        ]
        facts: JsonObject = {
            "file": str(session.model_path),
            "sha256": session.sha256,
            "engine": session.engine,
            "device": session.device,
            "card": carded,
            "inputs": [_port_facts(port) for port in card.inputs],
            "outputs": [_port_facts(port) for port in card.outputs],
            "fixed_size": session.has_fixed_size,
            "multiple_of": card.multiple_of,
            "minimum": card.minimum,
            "folded": session.folding is not None,
            "speed": speeds,
            "notes": session.notes,
            "missing": missing,
        }
    return ModelPage(lines, facts)


def _port_words(port: Port) -> str:
    shape = "x".join(str(axis) for axis in port.shape)
    words = f'"{port.name}"  {shape} {port.dtype}'
    if port.role in ("image", "style"):
        words += f" {port.layout} {port.colors} {port.low:g}..{port.high:g}"
    role = ROLES[port.role]
    if port.role == "scalar":
        role = f"a number {port.low:g}..{port.high:g}: --parameter {port.name}=NUMBER"
    if port.names:
        shown = ", ".join(port.names[:6]) + (", ..." if len(port.names) > 6 else "")
        role += f" {shown}"
    return f"{words}  {role}"


def _port_facts(port: Port) -> JsonObject:
    return {
        "name": port.name,
        "role": port.role,
        "shape": list(port.shape),
        "dtype": port.dtype,
        "layout": port.layout,
        "colors": port.colors,
        "range": [port.low, port.high],
        "names": list(port.names),
    }


def _size_words(session: StyleSession) -> str:
    fixed = arrays.fixed_size(session.card.port("image"))
    if fixed is not None:
        return f"{fixed[1]}x{fixed[0]} only: pictures are scaled into it, with a border mirrored"
    multiple, least = session.card.multiple_of, session.card.minimum
    parts = [f"any; padded to multiples of {multiple}"] if multiple > 1 else ["any"]
    return ", ".join([*parts, f"from {least}" if least > 1 else "from 1"])


def _scene_words(session: StyleSession) -> str:
    if session.folding is None:
        return "each picture stands alone, or its statistics are computed inside"
    layers = len(session.folding.layers)
    return f"normalizations of {layers} layers are folded for each scene"


def _speed_words(speed: JsonObject) -> str:
    return (
        f"{speed['width']}x{speed['height']}: {speed['ms']:.1f} ms, "
        f"{1000 / speed['ms']:.1f} pictures/s"
    )


def _timed(session: StyleSession) -> tuple[list[JsonObject], str]:
    """Median wall time of a picture at each size, and why there is none."""
    fixed = arrays.fixed_size(session.card.port("image"))
    conditions = _conditions(session)
    found: list[JsonObject] = []
    for height, width in (fixed,) if fixed else TIMED:
        picture = _noise(height, width)
        try:
            times: list[float] = []
            for _ in range(ROUNDS):
                start = time.perf_counter()
                session.stylize(picture, **conditions)  # type: ignore[arg-type]
                times.append(time.perf_counter() - start)
        except StyleError as error:
            return found, str(error)
        ms = round(1000 * float(np.median(times[1:])), 2)
        found.append({"height": height, "width": width, "ms": ms})
    return found, ""


def _conditions(session: StyleSession) -> dict[str, Condition]:
    """A style for models that need one."""
    roles = {port.role: port for port in session.card.inputs}
    if "code" in roles and roles["code"].names:
        return {"style": roles["code"].names[0]}
    if "style" in roles or ("code" in roles and roles["code"].companion):
        return {"style": _noise(256, 256)}
    return {}


def _noise(height: int, width: int) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def _missing(session: StyleSession, carded: bool) -> list[str]:
    """What would make the file a better one, and how to get it."""
    card = session.card
    found: list[str] = []
    if not carded:
        found.append(
            "a card, which spares probing at every start: python -m export writes one into what it "
            "exports"
        )
    elif not card.license:
        found.append("the license of its weights")
    if card.precision != "int8" and not session.has_fixed_size:
        found.append("an int8 file, faster on a CPU: python -m export --precision int8")
    return found
