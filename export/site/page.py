"""The page's folder: copied page, engines and models, and `site.json`, which lists them.

Everything that is large carries its digest in its address (`?v=1a2b3c4d`), so that browsers may
keep it for ever.
"""

import json
import shutil
import urllib.parse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image

from runtime import input_noise, keys
from runtime.card import JsonObject, ModelCard, Port
from runtime.checksum import sha256
from runtime.errors import CardMismatch, UsageError
from runtime.frame import Image
from runtime.live.web import pages
from runtime.model import folding, zoo
from runtime.model.arrays import fixed_size
from runtime.model.folding import Folding
from runtime.model.session import StyleSession, open_session
from runtime.onnxfile import read_onnx

from ..verify.photos import cover
from . import engine_files, looks
from .folded import figures, taking_vectors

PAGE = Path(__file__).with_name("web")
LISTING = "site.json"
# What the keyboard of the live window does and a page does not.
NOT_ON_A_PAGE = ("quit",)
# Least likeness, in dB, of what a browser paints and what the runtime painted when the page was
# made. A right engine gives 55 and more (bytes round either way); a wrong one below 30.
LEAST_PSNR = 45.0
# (width, height) of the picture each browser is tried with: small, so that the trial is no wait.
TRIAL = (64, 48)
# (width, height) of the picture on a style's card, and its JPEG quality: 30 kB.
PREVIEW, QUALITY = (480, 320), 85


def write_site(
    models: Sequence[tuple[str, Path, ModelCard, StyleSession]],
    photo: Image,
    dist: Path,
    folder: Path,
    light: Mapping[str, Path] | None = None,
) -> JsonObject:
    """Write everything into `folder`.

    Raises:
        UsageError: models of bytes and of floats together.

    Args:
        models: name, file, card and open session of each style.
        photo: (H, W, 3) uint8 RGB that may be published: previews and the example show it.
        dist: folder of onnxruntime-web's files.
        folder: empty.
        light: files of bytes that browsers without a GPU take instead, by the style's name.

    Returns:
        what `site.json` holds.
    """
    for part in (PAGE, pages.COMMON):
        shutil.copytree(part, folder, dirs_exist_ok=True)
    start = folder / "index.html"
    start.write_text(pages.with_icons(start.read_text(encoding="utf-8")), encoding="utf-8")
    page = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    engines = engines_for([card for _, _, card, _ in models])
    (folder / "ort").mkdir()
    for name in (name for engine in engines for name in engine.files):
        shutil.copyfile(dist / name, folder / "ort" / name)
    (folder / "models").mkdir()
    _save_jpeg(photo, folder / "example.jpg")
    light = light or {}
    painting = _painting(models, photo)
    styles = [
        style
        for called, path, card, session in models
        for style in _styles(
            session,
            looks.looks_of(called, card, path, painting),
            (called, path, card),
            photo,
            folder,
        )
    ]
    for style in styles:
        if style["name"] in light:
            _add_light(style, light[style["name"]], photo, folder)
    site = {
        "format": 1,
        "runtime": {"name": engine_files.PACKAGE, "version": engine_files.VERSION},
        # What browsers keep beside styles and an engine; "./" is index.html.
        "page": ["./", LISTING, *(name for name in page if name not in ("index.html", "sw.js"))],
        "example": address(folder, "example.jpg"),
        "engines": [_engine(engine, folder) for engine in engines],
        "styles": styles,
        "keys": [
            {"keys": list(key.keys), "action": key.action, "text": key.text}
            for key in keys.KEYS
            if key.action not in NOT_ON_A_PAGE
        ],
    }
    titles = [style["title"] for style in site["styles"]]
    for style in site["styles"]:
        if titles.count(style["title"]) > 1:  # two networks of one painting
            style["title"] += f", {style['name']}"
    text = json.dumps(site, indent=1, ensure_ascii=False)
    (folder / LISTING).write_text(text + "\n", encoding="utf-8")
    return site


def engines_for(cards: Sequence[ModelCard]) -> list[engine_files.WebEngine]:
    """The engines a page of these styles needs: int8 graphs run on the CPU only, where they are 2.6
    times as fast as floats; WebGPU would hand every one of their operations back.

    Raises:
        UsageError: some are int8 and some are not.
    """
    precise = [card for card in cards if card.precision != "int8"]
    if precise and len(precise) < len(cards):
        raise UsageError(
            "--target web: int8 files run on the CPU only, others on the GPU, too; "
            "make a page of each kind"
        )
    return [engine for engine in engine_files.ENGINES if precise or "gpu" not in engine.needs]


def address(folder: Path, name: str) -> str:
    """`models/starry.onnx` -> `models/starry.onnx?v=13e2a822`."""
    return f"{urllib.parse.quote(name)}?v={sha256(folder / name)[:8]}"


def read_style(path: Path) -> ModelCard:
    """The card of a model that the page can run.

    Raises:
        CardMismatch: it has no card.
        UsageError: the page cannot run it; the message says why and what to do.
    """
    card = zoo.read_card(path)
    if card is None:
        raise CardMismatch(f'"{path}" has no card; export it with python -m export')
    reason = _why_not(card, path)
    if reason:
        raise UsageError(f'--target web cannot take "{path.name}": {reason}')
    return card


class Taken(NamedTuple):
    """What a page takes for a model that was asked for.

    Attributes:
        path: of the file.
        why: it is another one, "" where it is the model itself.
        light: file of bytes of the same network that browsers without a GPU take instead.
    """

    path: Path
    why: str = ""
    light: Path | None = None


def for_browsers(paths: Sequence[Path]) -> list[Taken]:
    """The files a page takes for models: the float file, `<name>-fp32.onnx`, of what is folded for
    each scene, of half floats, which WebAssembly lacks, and of whole bytes beside floats, for GPUs;
    those of bytes are packed as well: in WebAssembly they take 0.3 to 0.4 of the time (`starry`,
    `starry-fast`, `pencil`, `monet` at 320x240, one thread). Otherwise the model."""
    taken = [_float_file(path) for path in paths]
    kinds = {_precision(one.path) for one in taken}
    if "int8" not in kinds or len(kinds) == 1:
        return taken
    return [
        _swapped(one.path, "int8 runs on the CPU only; it is packed as well")._replace(
            light=one.path
        )
        if _precision(one.path) == "int8"
        else one
        for one in taken
    ]


def _float_file(path: Path) -> Taken:
    try:
        folded = folding.KEY in zoo.read_metadata(path)
    except (OSError, EOFError, UnicodeDecodeError):
        return Taken(path)
    if folded:
        taken = _swapped(path, "int8 runs on the CPU only; it is packed as well")
        return taken._replace(light=path) if taken.path != path else taken
    if _precision(path) == "fp16":
        return _swapped(path, "WebAssembly has no half precision")
    return Taken(path)


def _precision(path: Path) -> str:
    card = zoo.read_card(path) if path.suffix == ".onnx" else None
    return card.precision if card is not None else ""


def _swapped(path: Path, why: str) -> Taken:
    """The float file of the same network and painting, if there is one."""
    precise = path.with_name(f"{path.stem.removesuffix('-fp16')}-fp32{path.suffix}")
    if not precise.is_file():
        return Taken(path)
    mine, its = zoo.read_card(path), zoo.read_card(precise)
    same = mine and its and (mine.style, mine.network) == (its.style, its.network)
    return Taken(precise, why) if same else Taken(path)


def _why_not(card: ModelCard, path: Path) -> str:
    if path.suffix != ".onnx":
        return "browsers run .onnx files"
    roles = looks.unknown_roles(card)
    pictures = [port for port in (*card.inputs, *card.outputs) if port.role == "image"]
    if roles or not any(port.role == "image" for port in card.outputs):
        return f"it needs more than a picture ({', '.join(roles) or 'no picture comes out'})"
    if any(fixed_size(port) for port in pictures):
        return "it takes one size only; export it with --size free"
    if card.precision == "fp16" or any(port.dtype == "float16" for port in pictures):
        return "WebAssembly has no half precision; use the fp32 file"
    if folding.KEY in zoo.read_metadata(path):
        # Folding replaces constants of an open model, which onnxruntime-web cannot; without it the
        # picture has the statistics of the calibration photos: 14 to 23 dB on ours.
        return "int8 files of networks with normalization need the runtime; export --precision fp32"
    return ""


def _engine(engine: engine_files.WebEngine, folder: Path) -> JsonObject:
    files = [f"ort/{name}" for name in engine.files]
    return {
        "name": engine.name,
        "provider": engine.provider,
        "needs": list(engine.needs),
        "files": [
            {"url": address(folder, name), "bytes": (folder / name).stat().st_size}
            for name in files
        ],
    }


def _painting(models: Sequence[tuple[str, Path, ModelCard, StyleSession]], photo: Image) -> Image:
    """What stands for a visitor's own painting until there is one: the photo in the first style
    that needs none."""
    for called, path, card, session in models:
        if looks.encoder_of(card, path) is None:
            first = looks.looks_of(called, card, path, photo)[0]
            return looks.Given(session, first).stylize(photo)
    return photo


def _styles(
    session: StyleSession,
    found: Sequence[looks.Look],
    model: tuple[str, Path, ModelCard],
    photo: Image,
    folder: Path,
) -> list[JsonObject]:
    """The entries of a model, one for each of its styles; its file is there once."""
    called, path, card = model
    name = f"models/{called}"
    shutil.copyfile(path, folder / f"{name}.onnx")
    shared: JsonObject = {
        "model": called,
        "artist": card.style.get("artist", ""),
        "license": card.license,
        **_file(path, folder, f"{name}.onnx"),
        **_ends(card),
        "multiple_of": card.multiple_of,
        "minimum": card.minimum,
        "noise": input_noise.unasked([card]),
        "scalars": {
            port.name: {
                "value": 1.0 if port.default is None else port.default,
                "dims": _dims(port),
            }
            for port in card.inputs
            if port.role == "scalar"
        },
    }
    port, encoder = looks.code_port(card), looks.encoder_of(card, path)
    if port is not None:
        shared["code"] = {"name": port.name, "dims": _dims(port), "mixes": bool(port.names)}
    if encoder is not None and port is not None:
        file, facts = encoder
        copied = f"models/{file.name}"
        shutil.copyfile(file, folder / copied)
        shared["encoder"] = {
            **looks.encoder_facts(facts, port),
            **_file(file, folder, copied),
            "input": _port(facts.inputs[0]),
        }
    return [{**shared, **_look(look, card, session, photo, folder)} for look in found]


def _look(
    look: looks.Look, card: ModelCard, session: StyleSession, photo: Image, folder: Path
) -> JsonObject:
    """What one style has of its own: its picture, and what every browser is tried with."""
    name, painter = f"models/{look.name}", looks.Given(session, look)
    painter.reset()
    _save_jpeg(painter.stylize(cover(photo, *PREVIEW)), folder / f"{name}.jpg")
    return {
        "name": look.name,
        "title": look.title or card.style.get("title", look.name),
        "codes": look.codes,
        "preview": address(folder, f"{name}.jpg"),
        "check": _check(painter, photo, folder, name),
    }


def _check(
    painter: looks.Given | StyleSession, photo: Image, folder: Path, name: str
) -> JsonObject:
    """A small picture and what the runtime makes of it, for browsers to compare with."""
    painter.reset()
    trial = cover(photo, *TRIAL)
    painted = np.ascontiguousarray(painter.stylize(trial))
    (folder / f"{name}.check").write_bytes(trial.tobytes() + painted.tobytes())
    return {
        "file": address(folder, f"{name}.check"),
        "width": TRIAL[0],
        "height": TRIAL[1],
        "least_psnr_db": LEAST_PSNR,
    }


def _add_light(style: JsonObject, path: Path, photo: Image, folder: Path) -> None:
    """The file of bytes of a style, for browsers without a GPU: what differs from its floats."""
    name = f"models/{style['name']}-int8"
    card = zoo.read_card(path)
    if card is None:
        raise CardMismatch(f'"{path}" has no card; export it with python -m export')
    file, measuring = folder / f"{name}.onnx", folder / f"{name}-scene.onnx"
    found = Folding.from_metadata(zoo.read_metadata(path))
    file.write_bytes(path.read_bytes() if found is None else taking_vectors(read_onnx(path), found))
    with open_session(path) as session:
        style["light"] = {
            **_file(file, folder, f"{name}.onnx"),
            **_ends(card),
            "check": _check(session, photo, folder, name),
        }
    if found is not None:
        measuring.write_bytes(found.graph)
        listed = _file(measuring, folder, f"{name}-scene.onnx")
        style["light"]["folding"] = {**listed, "layers": figures(found)}


def _file(path: Path, folder: Path, name: str) -> JsonObject:
    return {
        "file": address(folder, name),
        "sha256": sha256(path),
        "bytes": path.stat().st_size,
    }


def _ends(card: ModelCard) -> JsonObject:
    """The picture's two ports."""
    return {
        "input": _port(card.port("image")),
        "output": _port(next(port for port in card.outputs if port.role == "image")),
    }


def _dims(port: Port) -> list[int]:
    return [axis if isinstance(axis, int) else 1 for axis in port.shape]


def _port(port: Port) -> JsonObject:
    return {
        "name": port.name,
        "dtype": port.dtype,
        "layout": port.layout,
        "colors": port.colors,
        "low": port.low,
        "high": port.high,
    }


def _save_jpeg(image: Image, path: Path) -> None:
    PIL.Image.fromarray(image).save(path, quality=QUALITY)
