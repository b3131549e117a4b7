"""The page that asks: one file, nothing from elsewhere, blind, random sides, keys."""

import base64
import io
import json
import random
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path

from PIL import Image

from runtime.errors import UsageError
from runtime.pictures.reading import read_rgb

TEMPLATE = Path(__file__).with_name("page.html")
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
LONGEST = 900  # px of a picture's longer side on the page: two fit beside each other
QUALITY = 92  # of its JPEG; the same for all, so that files' own quality does not vote


def common_pictures(folders: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Names (without endings) of the pictures that all folders hold, and those that some hold.

    Raises:
        UsageError: fewer than two folders, two pictures of one name, or nothing in common.
    """
    if len(folders) < 2:
        raise UsageError("give at least two folders to compare")
    held: list[set[str]] = []
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f'"{folder}" is no folder of pictures')
        listed = [path.stem for path in _listed(folder)]
        held.append(set(listed))
        twice = sorted(name for name in held[-1] if listed.count(name) > 1)
        if twice:
            raise UsageError(
                f'"{folder}" holds two pictures named "{twice[0]}", which differ in their endings; '
                "leave one of them there"
            )
    names = set.intersection(*held)
    if not names:
        raise UsageError("the folders hold no pictures of the same names")
    return sorted(names), sorted(set.union(*held) - names)


def make_page(folders: Mapping[str, Path], names: Sequence[str], seed: int) -> str:
    """The page's text.

    Args:
        folders: by the names that results use; the page does not show them.
        names: of the pictures, which all of the folders hold.
        seed: of the order and the sides.
    """
    pictures = {
        f"{label}/{name}": _inlined(_find(folder, name))
        for label, folder in folders.items()
        for name in names
    }
    rng = random.Random(seed)
    questions = [
        {"picture": name, "left": pair[0], "right": pair[1]}
        for name in names
        for both in combinations(folders, 2)
        for pair in [rng.sample(both, 2)]
    ]
    rng.shuffle(questions)
    data = {"pictures": pictures, "questions": questions, "seed": seed}
    # "</" would end the script that holds the data, "<!--" hide its end.
    text = json.dumps(data).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace("__DATA__", text)


def _listed(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)


def _find(folder: Path, name: str) -> Path:
    return next(path for path in _listed(folder) if path.stem == name)


def _inlined(path: Path) -> str:
    image = Image.fromarray(read_rgb(path))
    image.thumbnail((LONGEST, LONGEST))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
