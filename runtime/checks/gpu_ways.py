"""The ways in which a model can run on an NVIDIA GPU, each opened for the self-test (`gpu`)."""

import os
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from ..card import beside
from ..engines._cuda_graph import SWITCH
from ..engines._cuda_lane import PLAIN
from ..errors import EngineUnavailable
from ..model.session import StyleSession, open_session

# What the environment says for each: ONNX Runtime by itself; our stream, page-locked memory and
# conversion on the GPU; and a graph of all that.
SWITCHES = {
    "plain": {PLAIN: "1", SWITCH: "0"},
    "stream": {PLAIN: "0", SWITCH: "0"},
    "graphs": {PLAIN: "0", SWITCH: "1"},
}
# px: smallest side that engines are built for.
LEAST = 64


@dataclass(frozen=True)
class Way:
    """One of them.

    Attributes:
        name: "cuda fp32 graphs".
        open: gives a context with the session.
    """

    name: str
    open: "Callable[[], Session]"


Session = Generator[StyleSession, None, None]


def ways(model: Path, device: str, sizes: Sequence[tuple[int, int]], folder: Path) -> list[Way]:
    """What to try, the plainest first.

    Args:
        model: an ONNX file with its card inside; `<name>-fp16.onnx` beside it is tried as well.
        device: "cuda", "cuda:1"; of another one there is one way.
        sizes: (width, height) that engines are built for.
        folder: for what is built.
    """
    if not device.startswith("cuda"):
        return [Way(device, lambda: _opened(model, device, {}))]
    found = [
        Way(f"cuda {_precision(file)} {name}", _opener(file, device, switches))
        for file in _precisions(model)
        for name, switches in SWITCHES.items()
    ]
    for name in ("stream", "graphs"):
        found.append(Way(f"tensorrt {name}", _engine_opener(model, device, sizes, folder, name)))
    return found


def half(model: Path) -> Path:
    """Where the float16 file of a float32 one lies."""
    return model.with_name(f"{model.stem.removesuffix('-fp32')}-fp16.onnx")


def _precisions(model: Path) -> list[Path]:
    return [model, *([half(model)] if half(model).is_file() and half(model) != model else [])]


def _precision(model: Path) -> str:
    return "fp16" if model.stem.endswith("-fp16") else "fp32"


def _opener(model: Path, device: str, switches: dict[str, str]) -> "Callable[[], Session]":
    return lambda: _opened(model, device, switches)


def _opened(model: Path, device: str, switches: dict[str, str]) -> Session:
    with _environment(switches), open_session(model, device=device) as session:
        yield session


def _engine_opener(
    model: Path, device: str, sizes: Sequence[tuple[int, int]], folder: Path, name: str
) -> "Callable[[], Session]":
    def opened() -> Session:
        plan = folder / "self-test.engine"
        if not plan.is_file():
            _build(model, plan, sizes)
        yield from _opened(plan, device, SWITCHES[name])

    return opened


def _build(model: Path, plan: Path, sizes: Sequence[tuple[int, int]]) -> None:
    """An engine of a model for these sizes, by the library that is installed."""
    from ..engines.tensorrt import library
    from ..engines.tensorrt.builder import PlanRequest, build_plan

    labels = library.installed()
    if not labels:
        raise EngineUnavailable("TensorRT is not installed: pip install tensorrt, or tensorrt-rtx")
    with open_session(model, device="cpu") as session:
        card = session.card
    port = card.port("image")
    if port.layout != "NCHW" or isinstance(port.shape[2], int):
        raise EngineUnavailable("engines are tried of NCHW graphs of any size")
    least = max(LEAST, card.minimum)
    step = card.multiple_of
    heights, widths = ([-(-size[k] // step) * step for size in sizes] for k in (1, 0))
    shapes = (
        (1, 3, least, least),
        (1, 3, heights[0], widths[0]),
        (1, 3, max(heights), max(widths)),
    )
    request = PlanRequest("fp32", {port.name: shapes})
    build_plan(model, plan, request, library.load(labels[0]), lambda text: None)
    beside(plan).write_text(card.to_json(), encoding="utf-8")


@contextmanager
def _environment(values: dict[str, str]) -> Generator[None, None, None]:
    """These variables while a session is open: engines ask for them when they open."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def scratch() -> Generator[Path, None, None]:
    """A folder for what is built, gone afterwards."""
    with TemporaryDirectory(prefix="impasto-") as folder:
        yield Path(folder)
