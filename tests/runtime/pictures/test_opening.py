"""Opening pictures: only listed formats, a limit of pixels, never a traceback, turned once."""

import io
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from runtime.errors import SourceError
from runtime.pictures import opening, writing
from runtime.pictures.opening import HEIF, JXL, open_picture
from runtime.pictures.reading import Album, Picture

ROOT = Path(__file__).resolve().parents[3]
# Four quarters, so that every way of turning gives another picture.
BASE = np.zeros((32, 48, 3), np.uint8)
BASE[:16, :24], BASE[:16, 24:], BASE[16:, :24] = (255, 0, 0), (0, 255, 0), (0, 0, 255)
# What each value of the orientation tag asks for (EXIF 2.32, tag 274).
UPRIGHT = {
    1: BASE,
    2: BASE[:, ::-1],
    3: BASE[::-1, ::-1],
    4: BASE[::-1],
    5: BASE.transpose(1, 0, 2),
    6: np.rot90(BASE, -1),
    7: BASE[::-1, ::-1].transpose(1, 0, 2),
    8: np.rot90(BASE, 1),
}


def tiff(path, pixels, orientation, planar=False):
    """A bare TIFF: one strip, or one for each color."""
    height, width = pixels.shape[:2]
    planes = [pixels[:, :, c] for c in range(3)] if planar else [pixels]
    data = b"".join(plane.tobytes() for plane in planes)
    length, bits = len(data) // len(planes), pixels.itemsize * 8
    starts = [8 + length * k for k in range(len(planes))]
    tags = [(256, [width]), (257, [height]), (258, [bits] * 3), (259, [1]), (262, [2])]
    tags += [(273, starts), (274, [orientation]), (277, [3]), (278, [height])]
    tags += [(279, [length] * len(planes)), (284, [2 if planar else 1])]
    at = 8 + len(data)
    behind, rest, table = at + 2 + 12 * len(tags) + 4, b"", struct.pack("<H", len(tags))
    for tag, values in tags:
        packed = struct.pack(f"<{len(values)}I", *values)
        place = packed
        if len(values) > 1:
            place, rest = struct.pack("<I", behind + len(rest)), rest + packed
        table += struct.pack("<HHI", tag, 4, len(values)) + place
    path.write_bytes(struct.pack("<2sHI", b"II", 42, at) + data + table + bytes(4) + rest)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("kind", ["bytes", "16 bits", "16 bits in planes", "jpg", "png", "webp"])
def test_pictures_are_turned_once(tmp_path, kind, orientation):
    if kind.startswith("16"):
        path = tmp_path / "deep.tif"
        tiff(path, BASE.astype("<u2") * 257, orientation, kind.endswith("planes"))
    elif kind == "bytes":
        path = tmp_path / "bytes.tif"
        tiff(path, BASE, orientation)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        path = tmp_path / f"picture.{kind}"
        options = {"jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}}
        Image.fromarray(BASE).save(path, exif=exif, **options.get(kind, {}))
    with Album(path) as album:
        picture = next(iter(album))
        assert album.size == picture.size == UPRIGHT[orientation].shape[:2]
    pixels = picture.pixels.astype(int) // (257 if picture.pixels.dtype == np.uint16 else 1)
    assert np.abs(pixels - UPRIGHT[orientation]).max() <= 2


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n{ } loop\n"
OTHERS = {
    "PostScript": EPS,
    "PDF": b"%PDF-1.4\n1 0 obj",
    "FITS": b"SIMPLE  =                    T".ljust(2880) + bytes(2880),
    "Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(200),
    "an icon": b"\0\0\1\0\1\0" + bytes(60),
    "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "not a picture": b"GRIB" + bytes(200),
}


@pytest.mark.parametrize("name", OTHERS)
def test_formats_that_run_other_programs_are_refused(tmp_path, name):
    path = tmp_path / "photo.jpg"
    path.write_bytes(OTHERS[name])
    with pytest.raises(SourceError, match=name):
        Album(path)


def test_every_picture_is_opened_through_the_list():
    """In all packages: no `Image.open` but the one that names its formats."""
    found = []
    for package in ("runtime", "training", "export", "benchmarks"):
        for path in sorted((ROOT / package).rglob("*.py")):
            lines = path.read_text("utf-8").splitlines()
            found += [
                f"{path.relative_to(ROOT)}: {line.strip()}"
                for line in lines
                if re.search(r"\bImage\.open\(", line) and "formats=" not in line
            ]
    assert found == []


def test_pipes_and_folders_are_no_pictures(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(SourceError, match="no ordinary file"):
        Album(tmp_path / "pipe.jpg")


def test_the_limit_of_pixels_can_be_set(tmp_path):
    path = tmp_path / "picture.png"
    writing.write(path, [Picture(BASE)])
    with pytest.raises(SourceError, match="48x32 pixels, at most 1535"):
        open_picture(path, 1535)
    open_picture(path, 1536).close()


@pytest.mark.parametrize(
    ("extra", "suffix", "head"),
    [
        (HEIF, ".heic", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)),
        (JXL, ".jxl", b"\xff\x0a" + bytes(40)),
        (JXL, ".jpg", b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)),
    ],
)
def test_formats_of_other_packages_say_what_to_install(tmp_path, monkeypatch, extra, suffix, head):
    path = tmp_path / f"picture{suffix}"
    path.write_bytes(head)
    monkeypatch.setattr(type(extra), "works", lambda _: False)
    with pytest.raises(SourceError, match=f"{extra.name}.*pip install {extra.package}"):
        Album(path)


@pytest.mark.parametrize(("extra", "suffix"), [(HEIF, ".heic"), (JXL, ".jxl")])
def test_formats_of_other_packages(tmp_path, extra, suffix):
    if not extra.works():
        pytest.skip(f"needs {extra.package}")
    path = tmp_path / f"picture{suffix}"
    Image.fromarray(BASE).save(path, quality=95)
    with Album(path) as album:
        picture = next(iter(album))
    assert np.abs(picture.pixels.astype(int) - BASE).mean() < 4


FRAMES = [Picture(np.full((16, 24, 3), 40 * k, np.uint8)) for k in range(5)]
DELAYS = [50.0, 17.0, 17.0, 17.0, 330.0]


@pytest.mark.parametrize(
    ("suffix", "expected"),
    [
        (".gif", [50, 20, 10, 20, 330]),
        (".webp", [50, 17, 17, 17, 330]),
        (".png", [50, 17, 17, 17, 330]),
        (".avif", [50, 17, 17, 17, 330]),
    ],
)
def test_delays_are_rounded_without_adding_up(tmp_path, suffix, expected):
    from dataclasses import replace

    made = [replace(f, duration_ms=d) for f, d in zip(FRAMES, DELAYS, strict=True)]
    path = tmp_path / f"moving{suffix}"
    writing.write(path, made, animated=True, loop=0, quality=90)
    with Album(path) as album:
        assert [picture.duration_ms for picture in album] == expected
        assert album.loop == 0


@pytest.mark.parametrize("times", [0, 1, 2, 5])
@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_how_often_an_animation_is_shown(tmp_path, suffix, times):
    path = tmp_path / f"moving{suffix}"
    writing.write(path, FRAMES, animated=True, loop=times)
    with Album(path) as album:
        assert album.loop == times
    if suffix == ".gif":
        # As stored: repetitions after the first time, in an extension that is absent for none.
        stored = re.search(rb"NETSCAPE2\.0\x03\x01(..)", path.read_bytes(), re.DOTALL)
        found = None if stored is None else int.from_bytes(stored[1], "little")
        assert found == {0: 0, 1: None, 2: 1, 5: 4}[times]


def test_the_default_picture_of_an_apng_is_no_frame(tmp_path):
    path = tmp_path / "moving.png"
    default, *frames = [Image.fromarray(frame.pixels) for frame in FRAMES[:4]]
    default.save(
        path, save_all=True, default_image=True, append_images=frames, duration=[50, 60, 70]
    )
    with Album(path) as album:
        assert album.num_frames == 3
        shown = [(int(p.pixels[0, 0, 0]), p.duration_ms) for p in album]
    assert shown == [(40, 50.0), (80, 60.0), (120, 70.0)]


def samples() -> dict[str, bytes]:
    """One small file of every format that Pillow can write and we read."""
    made = {}
    for kind, suffix in {
        **{"PNG": "png", "JPEG": "jpg", "GIF": "gif", "WEBP": "webp", "TIFF": "tif"},
        **{"BMP": "bmp", "PCX": "pcx", "PPM": "ppm", "SGI": "sgi", "TGA": "tga"},
        **{"JPEG2000": "jp2", "AVIF": "avif", "DIB": "dib"},
    }.items():
        out = io.BytesIO()
        Image.fromarray(BASE).save(out, kind)
        made[suffix] = out.getvalue()
    return made


SAMPLES = samples()


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    suffix=st.sampled_from(sorted(SAMPLES)),
    spots=st.lists(
        st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=8
    ),
    front=st.booleans(),
    cut=st.floats(0.05, 1),
)
def test_damage_is_one_line_or_a_picture(tmp_path, suffix, spots, front, cut):
    data = bytearray(SAMPLES[suffix])
    # Headers are where it hurts.
    reach = min(len(data), 128) if front else len(data)
    for place, value in spots:
        data[int(place * reach)] = value
    path = tmp_path / f"damaged.{suffix}"
    path.write_bytes(data[: max(1, int(cut * len(data)))])
    try:
        with Album(path, max_pixels=2**22) as album:
            for picture in album:
                assert picture.pixels.shape[2] == 3
    except SourceError as error:
        assert "\n" not in str(error)


def test_the_list_holds_no_format_that_leaves_the_process():
    assert not {"EPS", "WMF", "FITS", "GRIB", "HDF5", "BUFR", "MPEG"} & set(opening.FORMATS)
