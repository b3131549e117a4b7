"""A page for browsers: a folder of static files that paints the camera, pictures and clips on the
visitor's own device.

The page is written, then proven: the packed models run in the packed engine beside ONNX Runtime for
Python, and every file is the one that was meant.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Sequence
from pathlib import Path

from runtime.checksum import sha256
from runtime.errors import ParityError, UsageError
from runtime.frame import Image
from runtime.model.session import open_session

from ..site import engine_files, looks, packed, page
from ..site.node_engine import web_session
from ..verify import parity
from ..verify.parity import Parity
from ..verify.photos import BUNDLED, load_photos
from ..verify.report import report_path
from . import Options, Target, Written

# (width, height): what a page paints live, an odd size in both directions, and a still.
SIZES = ((320, 240), (333, 251), (640, 480))
# Photos compared at each size: a browser's engine on one thread takes a second for the largest.
PHOTOS = 2
# Bundled photo on the page: in the public domain (CC0), by Stefan van der Walt.
SHOWN = "chelsea"
# A page may name no other place, but for the names of XML vocabularies, which nothing loads.
ADDRESS = re.compile(r"https?://(?!www\.w3\.org/)[^\s\"'`<>)]+")


class WebTarget(Target):
    """See `export.targets.Target`. Several models become several styles to switch between."""

    folder = True
    precisions = ("fp32",)
    examined_by = "its engine in Node.js"
    modules = ("skimage", "PIL")
    runs_on = "browsers: WebGPU, else WebAssembly; desktops and phones"
    starts_from = "models"
    takes_paintings = True

    @classmethod
    def available(cls) -> str:
        """Node.js and npm are needed, too."""
        return super().available() or engine_files.missing()

    @staticmethod
    def write(models: Sequence[Path], folder: Path, options: Options) -> Written:
        """Write the page of these models into `folder`; see `write_page`."""
        return write_page(models, folder, engine_files.dist_folder())

    @staticmethod
    def check(models: Sequence[Path], folder: Path, options: Options) -> Parity:
        """Prove a page.

        Raises:
            ParityError: a file is not the one meant, a file names another place of the internet,
                or a model gives other pictures than in Python.
        """
        _check_files(folder)
        listing = json.loads((folder / page.LISTING).read_text(encoding="utf-8"))
        photos = load_photos(None, PHOTOS)
        found = []
        shown = _shown()
        for model, (path, *_) in zip(models, page.for_browsers(models), strict=True):
            card = page.read_style(path)
            look = looks.looks_of(model.stem, card, path, shown)[0]
            style = next(one for one in listing["styles"] if one["name"] == look.name)
            packed = folder / urllib.parse.unquote(style["file"].partition("?")[0])
            with open_session(path) as ours, web_session(packed, card, folder / "ort") as theirs:
                compared = parity.check(
                    looks.Given(ours, look),
                    looks.Given(theirs, look),
                    photos,
                    card.precision,
                    SIZES,
                )
            parity.refuse(compared, f"{path.name} in onnxruntime-web")
            found.append(compared)
        return Parity(
            tuple(report for compared in found for report in compared.sizes),
            max(compared.least_psnr_db for compared in found),
            (),
        )


def write_page(
    models: Sequence[Path], folder: Path, dist: Path, compressed: bool = True
) -> Written:
    """Write the page of these models into `folder`; each style keeps the name it was asked for by.

    Args:
        models: files, best first.
        folder: empty.
        dist: folder of onnxruntime-web's files.
        compressed: whether files have compressed copies, which take 20 s of a core.

    Raises:
        UsageError: a model does not fit a page, or two have one name.
        ParityError: a model is not the one its report was written for.
    """
    names = [path.stem for path in models]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f'two models are called "{twice[0]}"; a page tells styles by their names')
    swapped = page.for_browsers(models)
    taken = [one.path for one in swapped]
    cards = [page.read_style(path) for path in taken]
    for path in taken:
        _check_report(path)
    photo = _shown()
    sessions = [open_session(path) for path in taken]
    try:
        listing = page.write_site(
            list(zip(names, taken, cards, sessions, strict=True)),
            photo,
            dist,
            folder,
            {name: one.light for name, one in zip(names, swapped, strict=True) if one.light},
        )
    finally:
        for session in sessions:
            session.close()
    steps = [
        f"page, {len(listing['engines'])} engines of {engine_files.PACKAGE} "
        f"{engine_files.VERSION}, "
        f"{len(models)} model{'s' * (len(models) > 1)} and a picture to try each with",
    ]
    if compressed:
        whole, small = packed.pack(folder)
        steps.append(f"compressed copies: {small / 1e6:.1f} MB for {whole / 1e6:.1f} MB of files")
    steps += [
        f"{used.path.name} taken for {path.name}: {used.why}"
        for path, used in zip(models, swapped, strict=True)
        if used.why
    ]
    styles = [
        {"name": style["name"], "model": path.name, "sha256": style["sha256"]}
        for style in listing["styles"]
        for path in [taken[names.index(style["model"])]]
    ]
    return Written(cards[0] if len(cards) == 1 else None, steps, {"styles": styles})


def _check_files(folder: Path) -> None:
    """All that `site.json` lists is there and right; no text of ours leads elsewhere."""
    listing = json.loads((folder / page.LISTING).read_text(encoding="utf-8"))
    listed = [file["url"] for engine in listing["engines"] for file in engine["files"]]
    listed += [style[key] for style in listing["styles"] for key in ("file", "preview")]
    listed += [style["check"]["file"] for style in listing["styles"]]
    for style in (style for style in listing["styles"] if "light" in style):
        listed += [style["light"]["file"], style["light"]["check"]["file"]]
        listed += [style["light"]["folding"]["file"]] if "folding" in style["light"] else []
    listed += [style["encoder"]["file"] for style in listing["styles"] if "encoder" in style]
    for url in [*listed, listing["example"]]:
        name, _, digest = url.partition("?v=")
        name = urllib.parse.unquote(name)
        if not sha256(folder / name).startswith(digest):
            raise ParityError(f"{name} is not the file that {page.LISTING} names")
    for name in packed.wrong(folder):
        raise ParityError(f"{name} does not hold what the file beside it holds")
    for path in sorted((folder / "ort").iterdir()):
        if path.suffix in packed.SUFFIXES:
            continue
        if sha256(path) != engine_files.SHA256.get(path.name):
            raise ParityError(
                f"ort/{path.name} is not the file of {engine_files.PACKAGE} {engine_files.VERSION}"
            )
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".html", ".css", ".js", ".json", ".svg", ".webmanifest"):
            address = ADDRESS.search(path.read_text(encoding="utf-8"))
            if address:
                raise ParityError(f"{path.name} names {address[0]}: a page must need nobody else")


def _check_report(path: Path) -> None:
    """If an export left a report beside the model, it must be of this very file."""
    beside = report_path(path)
    if not beside.is_file():
        return
    try:
        report = json.loads(beside.read_text(encoding="utf-8"))
        meant, verdict = report["sha256"], report["verdict"]
    except (ValueError, KeyError, TypeError):
        return  # a JSON file of somebody else
    if verdict != "passed" or meant != sha256(path):
        raise ParityError(
            f'"{path.name}" is not the file its report "{beside.name}" was written for; '
            "export it again"
        )


def _shown() -> Image:
    return load_photos(None)[BUNDLED.index(SHOWN)]


PLUGIN = WebTarget
