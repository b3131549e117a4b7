"""How a benchmark opens a model of whatever kind: a file, a folder, a page, a checkpoint."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from runtime.card import JsonObject

if TYPE_CHECKING:
    from torch import Tensor

    from runtime.model.session import StyleSession

# A model as a function on tensors (1, 3, H, W) in [0, 1].
Painter: TypeAlias = "Callable[[Tensor], Tensor]"
# What `python -m export --target web` calls the list of its styles (`export.site.page.LISTING`).
PAGE_LISTING = "site.json"


def open_any(
    model: str | Path,
    engine: str = "auto",
    device: str = "cpu",
    threads: int | None = 1,
    values: str = "",
) -> "StyleSession":
    """A session of any model file or folder, or of the first style of a page for browsers.

    Args:
        model, device, threads: as in `open_session`.
        engine: likewise, or with a precision hint behind it: "openvino:bf16".
        values: range ("0..1") of a model without a card, if it is not found out by trying. Speed
            does not depend on it, pictures do.

    Raises:
        UsageError: no picture model, or of unknown range and `values` is empty.
        EngineUnavailable: the engine or the device is absent.
    """
    from runtime.errors import UsageError
    from runtime.model.session import open_session

    if (Path(model) / PAGE_LISTING).is_file():
        return _open_page(Path(model))
    name, _, hint = engine.partition(":")
    chosen = {"engine": name, "device": device, "threads": threads, "precision_hint": hint or None}
    try:
        return open_session(model, **chosen)
    except UsageError as error:
        if not values or "--range" not in str(error):
            raise
    return open_session(model, **chosen, range=values)


def _open_page(folder: Path) -> "StyleSession":
    from export.site import page
    from export.site.node_engine import web_session

    style = json.loads((folder / PAGE_LISTING).read_text(encoding="utf-8"))["styles"][0]
    packed = folder / style["file"].partition("?")[0]
    return web_session(packed, page.read_style(packed), folder / "ort")


def open_painter(model: str) -> tuple[Painter, JsonObject]:
    """A model file or a checkpoint as a function on tensors (1, 3, H, W) in [0, 1], and its recipe.

    Raises:
        UsageError: a model without a recipe, so that its objective is unknown.
    """
    if model.endswith(".safetensors"):
        from training.checkpoint import load_checkpoint
        from training.painting import paint

        checkpoint = load_checkpoint(model)
        generator = checkpoint.build_generator()
        return lambda photo: paint(generator, photo), checkpoint.recipe
    import torch

    from runtime.errors import UsageError
    from runtime.model.session import open_session

    session = open_session(model)
    if not session.card.recipe:
        raise UsageError(
            f'model "{model}" carries no recipe, so its objective is unknown; '
            "judge a model that was exported here, or its checkpoint"
        )

    def stylize(photo: "Tensor") -> "Tensor":
        session.reset()  # a photo is no frame of the scene before it
        picture = session.stylize_float(photo[0].permute(1, 2, 0).numpy())
        return torch.from_numpy(picture).permute(2, 0, 1)[None].clamp(0, 1).contiguous()

    return stylize, session.card.recipe


def checksums(models: Iterable[str | Path]) -> dict[str, str]:
    """Name -> sha256 of each model file, of a folder's none: a result file keeps them under
    `settings`, so that a page can say whether its figures belong to the files that are shipped."""
    from runtime.checksum import sha256
    from runtime.model import store

    paths = (Path(model) if Path(model).is_file() else store.resolve(model) for model in models)
    return {path.stem: sha256(path) for path in paths if path.is_file()}


def engine_label(session: "StyleSession") -> str:
    """The engine as result rows call it, with its precision hint: "openvino:bf16"."""
    return session.engine + (f":{session.precision_hint}" if session.precision_hint else "")
