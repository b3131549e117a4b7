"""The files of the live page: its own in the folder desk, and those the exported page has, too."""

import json
from pathlib import Path

from ...keys import KEYS

DESK, COMMON = (Path(__file__).with_name(name) for name in ("desk", "common"))
# Drawings that the buttons of both pages refer to, and the place where a page holds them.
ICONS, ICONS_HERE = Path(__file__).with_name("icons.html"), "<!--ICONS-->\n"
TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}
# What belongs to the machine itself, or to its window.
NOT_ON_THE_PAGE = ("quit",)
# Address -> file. Only these can be asked for; an address never becomes a path.
FILES = {
    f"/{path.relative_to(folder).as_posix()}": path
    for folder in (COMMON, DESK)
    for path in sorted(folder.rglob("*"))
    if path.suffix in TYPES
}
# The page needs nothing from anywhere else, and nobody may put it into a frame.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}


def page() -> bytes:
    """The page, with the key map in it."""
    keys = [
        {"keys": list(key.keys), "action": key.action, "text": key.text}
        for key in KEYS
        if key.action not in NOT_ON_THE_PAGE
    ]
    text = with_icons((DESK / "index.html").read_text(encoding="utf-8"))
    # "<" would end the element that holds it.
    return text.replace("/*KEYS*/[]", json.dumps(keys).replace("<", "\\u003c")).encode()


def with_icons(page: str) -> str:
    """The text of a page, with the icons in it."""
    return page.replace(ICONS_HERE, ICONS.read_text(encoding="utf-8"))


def read(address: str) -> tuple[str, bytes] | None:
    """Type and content of a file of the page, None if there is no such file."""
    path = FILES.get(address)
    return None if path is None else (TYPES[path.suffix], path.read_bytes())
