"""Pictures that others have collected: every one is read, or refused in one line.

They are not ours to keep: `IMPASTO_SAMPLES` names folders of them (Pillow's sources have one,
`Tests/images`), and without it what Debian installs beside its programs is read.
"""

import os
from pathlib import Path

import pytest

from runtime.errors import StyleError
from runtime.pictures.reading import Album

SYSTEM = ("/usr/share/pixmaps", "/usr/share/icons", "/usr/share/doc", "/usr/share/images")
ENDINGS = frozenset(
    {".avif", ".bmp", ".dds", ".emf", ".gif", ".heic", ".icns", ".ico", ".j2k", ".jp2", ".jpeg"}
    | {".jpg", ".jxl", ".pcx", ".pgm", ".png", ".ppm", ".psd", ".qoi", ".sgi", ".tga", ".tif"}
    | {".tiff", ".webp", ".wmf", ".xbm", ".xpm"}
)
# As many of each ending: a folder of icons would otherwise be all that is read.
EACH = 40
MOST_PIXELS = 20_000_000


def samples():
    given = os.environ.get("IMPASTO_SAMPLES")
    folders = given.split(os.pathsep) if given else SYSTEM
    found = {}
    for folder in map(Path, folders):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            kind = found.setdefault(path.suffix.lower(), [])
            if path.suffix.lower() in ENDINGS and path.is_file() and (given or len(kind) < EACH):
                kind.append(path)
    return [path for kind in found.values() for path in kind]


def test_every_sample_is_read_or_refused_in_one_line():
    paths = samples()
    if not paths:
        pytest.skip("needs pictures in IMPASTO_SAMPLES or under /usr/share")
    faults = []
    for path in paths:
        try:
            with Album(path, max_pixels=MOST_PIXELS) as album:
                for number, picture in enumerate(album):
                    height, width = picture.size
                    assert picture.pixels.shape == (height, width, 3)
                    if number == 2:
                        break
        except StyleError as error:
            if "\n" in str(error):
                faults.append(f"{path}: {error}")
        except Exception as error:
            faults.append(f"{path}: {type(error).__name__}: {error}")
    assert not faults, "\n".join(faults)
