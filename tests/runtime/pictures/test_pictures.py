"""Picture files: every kind is read upright and in RGB, written back with what belongs to it."""

import io

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from runtime.errors import SinkError, SourceError, UsageError
from runtime.pictures import color_profile, reading, writing
from runtime.pictures.metadata import EXIF_IFD, GPS_IFD, ORIENTATION, Metadata
from runtime.pictures.reading import Album, Picture, read_rgb
from tests.fidelity import odd_pictures


def photo(height: int = 40, width: int = 56) -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[20 : 20 + height, 180 : 180 + width])


def read(path) -> Picture:
    with Album(path) as album:
        return next(iter(album))


def exif(orientation: int = 1) -> Image.Exif:
    made = Image.Exif()
    made[ORIENTATION] = orientation
    made[271] = "Maker"
    made.get_ifd(EXIF_IFD)[36867] = "2020:01:02 03:04:05"
    made.get_ifd(EXIF_IFD)[0xA002] = 9999  # a width that will not be true
    made[EXIF_IFD] = 0
    made.get_ifd(GPS_IFD)[1] = "N"
    made[GPS_IFD] = 0
    return made


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    height=st.integers(1, 33),
    width=st.integers(1, 33),
    deep=st.booleans(),
    alpha=st.booleans(),
    suffix=st.sampled_from([".png", ".tif"]),
    seed=st.integers(0, 99),
)
def test_lossless_round_trip(tmp_path, height, width, deep, alpha, suffix, seed):
    rng, dtype = np.random.default_rng(seed), np.uint16 if deep else np.uint8
    top = np.iinfo(dtype).max
    pixels = rng.integers(0, top + 1, (height, width, 3)).astype(dtype)
    cover = rng.integers(0, top + 1, (height, width)).astype(dtype) if alpha else None
    path = tmp_path / f"picture{suffix}"
    writing.write(path, [Picture(pixels, cover)])
    back = read(path)
    assert back.pixels.dtype == dtype and np.array_equal(back.pixels, pixels)
    assert (back.alpha is None) == (cover is None)
    assert cover is None or np.array_equal(back.alpha, cover)
    if suffix == ".tif" and alpha and not deep:
        return  # OpenCV multiplies these colors by their alpha
    # A second reader agrees.
    other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(other[:, :, 2::-1], pixels)


def test_many_bands_make_one_file(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "BAND_BYTES", 4096)
    monkeypatch.setattr(reading, "BAND_PIXELS", 500)
    image = photo(90, 70)
    for name in ("a.png", "a.tif"):
        writing.write(tmp_path / name, [Picture(image)])
        assert np.array_equal(read(tmp_path / name).pixels, image)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(tmp_path, orientation):
    path = tmp_path / "turned.png"
    Image.fromarray(photo()).save(path, exif=exif(orientation))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    picture = read(path)
    assert np.array_equal(picture.pixels, expected)
    with Album(path) as album:
        assert album.size == expected.shape[:2]
    writing.write(tmp_path / "again.jpg", [picture])
    again = Image.open(tmp_path / "again.jpg")
    assert again.size == expected.shape[1::-1]
    assert again.getexif().get(ORIENTATION, 1) == 1


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_goes_along(tmp_path, suffix):
    source = tmp_path / "source.jpg"
    packet = b'<x:xmpmeta><rdf tiff:Orientation="6"/></x:xmpmeta>'
    Image.fromarray(photo()).save(
        source, exif=exif(6), dpi=(300, 300), comment=b"a note", xmp=packet
    )
    target = tmp_path / f"target{suffix}"
    picture = read(source)
    writing.write(target, [picture])
    found = Image.open(target)
    assert found.getexif()[271] == "Maker"
    assert found.getexif().get_ifd(EXIF_IFD)[36867] == "2020:01:02 03:04:05"
    assert 0xA002 not in found.getexif().get_ifd(EXIF_IFD)
    assert found.getexif().get_ifd(GPS_IFD)[1] == "N"
    assert b'tiff:Orientation="1"' in found.info["xmp"]
    if suffix != ".webp":
        assert found.info["dpi"][0] == pytest.approx(300, abs=0.1)
    stripped = tmp_path / f"stripped{suffix}"
    writing.write(stripped, [writing.without_metadata(picture)])
    data = stripped.read_bytes()
    assert b"Maker" not in data and b"xmpmeta" not in data and b"2020:01" not in data


def test_png_texts(tmp_path):
    texts = {"Title": "Sternennacht über Wörrstadt"}
    path = tmp_path / "texts.png"
    writing.write(path, [Picture(photo(), metadata=Metadata(texts=texts))])
    assert read(path).metadata.texts == texts


def wide_profile() -> bytes:
    """A profile that exchanges red and blue: sRGB's with two primaries swapped."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = int.from_bytes(data[128:132], "big")
    at = {}
    for index in range(count):
        entry = 132 + 12 * index
        at[bytes(data[entry : entry + 4])] = entry + 4
    red, blue = at[b"rXYZ"], at[b"bXYZ"]
    data[red : red + 8], data[blue : blue + 8] = data[blue : blue + 8], data[red : red + 8]
    return bytes(data)


def test_profile_is_converted(tmp_path):
    path = tmp_path / "profile.png"
    image = photo()
    Image.fromarray(image).save(path, icc_profile=wide_profile())
    picture = read(path)
    # In a profile whose red is sRGB's blue, the picture's red is our blue.
    assert np.abs(picture.pixels.astype(int) - image[:, :, ::-1]).max() <= 2
    kept = ImageCms.ImageCmsProfile(io.BytesIO(picture.metadata.icc))
    assert "sRGB" in ImageCms.getProfileDescription(kept)
    writing.write(tmp_path / "out.png", [picture])
    assert Image.open(tmp_path / "out.png").info["icc_profile"] == picture.metadata.icc


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_profile_of_16_bits_is_converted(tmp_path, name):
    image = photo().astype(np.uint16) * 257
    path = tmp_path / name
    writing.write(path, [Picture(image, metadata=Metadata(icc=wide_profile()))])
    back = read(path)
    assert back.pixels.dtype == np.uint16
    assert np.abs(back.pixels.astype(int) - image[:, :, ::-1]).max() <= 0.01 * 65535
    kept = ImageCms.ImageCmsProfile(io.BytesIO(back.metadata.icc))
    assert "sRGB" in ImageCms.getProfileDescription(kept)


def test_16_bits_in_srgb_are_not_touched(tmp_path):
    image = np.random.default_rng(0).integers(0, 65536, (20, 30, 3)).astype(np.uint16)
    path, profile = tmp_path / "deep.png", color_profile.srgb_profile()
    writing.write(path, [Picture(image, metadata=Metadata(icc=profile))])
    back = read(path)
    assert np.array_equal(back.pixels, image) and back.metadata.icc == profile


@pytest.mark.parametrize("profile", [b"no profile", b"", bytes(200)])
def test_16_bits_in_an_unknown_profile_keep_it(profile):
    image = photo().astype(np.uint16) * 257
    before = image.copy()
    assert color_profile.to_srgb(image, profile) == profile
    assert np.array_equal(image, before)


GROUPS = ("turned", "profiled", "holed", "deep", "gray", "printed", "moving", "sized")


@pytest.mark.parametrize("group", GROUPS)
def test_odd_pictures(tmp_path, group):
    for odd in getattr(odd_pictures, group)():
        path = tmp_path / odd.name
        odd.write(path)
        with Album(path) as album:
            back = list(album)
        assert back[0].pixels.dtype == odd.pixels.dtype, odd.name
        for picture, expected in zip(back, odd.frames or [odd.pixels], strict=True):
            top = np.iinfo(expected.dtype).max
            assert picture.pixels.shape == expected.shape, odd.name
            worst = np.abs(picture.pixels.astype(int) - expected).max() * 255 / top
            assert worst <= odd.allowed, odd.name
        assert (back[0].alpha is None) == (odd.alpha is None), odd.name
        assert odd.alpha is None or np.array_equal(back[0].alpha, odd.alpha), odd.name
        assert [picture.duration_ms for picture in back] == (odd.durations or [0]), odd.name


def test_a_broken_profile_is_ignored(tmp_path):
    path = tmp_path / "broken.png"
    Image.fromarray(photo()).save(path, icc_profile=b"no profile at all")
    assert np.array_equal(read(path).pixels, photo())


@pytest.mark.parametrize("mode", ["L", "LA", "P", "1", "CMYK", "RGBA", "I;16", "YCbCr"])
def test_modes(tmp_path, mode):
    image = Image.fromarray(photo())
    gray = np.asarray(image.convert("L"))
    deep = Image.fromarray(gray.astype(np.uint16) * 257)
    made = deep if mode == "I;16" else image.convert(mode)
    suffix = ".jpg" if mode == "YCbCr" else ".tif"
    path = tmp_path / f"mode{suffix}"
    made.save(path, **({"quality": 100, "subsampling": 0} if suffix == ".jpg" else {}))
    picture = read(path)
    expected = {"L": gray, "LA": gray, "1": None}.get(mode, np.asarray(image))
    if mode == "I;16":
        assert picture.pixels.dtype == np.uint16
        assert np.array_equal(picture.pixels[:, :, 1], gray.astype(np.uint16) * 257)
    elif mode == "1":
        assert set(np.unique(picture.pixels)) <= {0, 255}
    elif mode == "P":
        assert np.array_equal(picture.pixels, np.asarray(made.convert("RGB")))
    else:
        expected = expected[:, :, None] if expected.ndim == 2 else expected
        assert np.abs(picture.pixels.astype(int) - expected).max() <= 6  # JPEG
    assert (picture.alpha is not None) == (mode in ("LA", "RGBA"))


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_stay_animations(tmp_path, suffix):
    frames = [np.roll(photo(), 9 * k, axis=1) for k in range(4)]
    durations = [50, 80, 120, 200]
    path = tmp_path / f"moving{suffix}"
    made = [
        Picture(frame, duration_ms=duration)
        for frame, duration in zip(frames, durations, strict=True)
    ]
    writing.write(path, made, animated=True, loop=3, quality=100)
    with Album(path) as album:
        assert (album.num_frames, album.loop) == (4, 3)
        back = list(album)
    assert [round(p.duration_ms) for p in back] == durations
    worst = max(
        np.abs(p.pixels.astype(int) - frame).mean() for p, frame in zip(back, frames, strict=True)
    )
    assert worst < (0.1 if suffix == ".png" else 12)


def test_transparent_gif_frames_do_not_pile_up(tmp_path):
    frames = []
    for k in range(3):
        alpha = np.zeros((20, 30), np.uint8)
        alpha[:, 10 * k : 10 * k + 10] = 255
        frames.append(Picture(np.full((20, 30, 3), 60 * k + 60, np.uint8), alpha, duration_ms=100))
    path = tmp_path / "holes.gif"
    writing.write(path, frames, animated=True)
    with Album(path) as album:
        for k, picture in enumerate(album):
            assert picture.alpha is not None
            assert np.array_equal(picture.alpha > 0, frames[k].alpha > 0)


def test_what_a_format_cannot_hold_is_said(tmp_path):
    deep = Picture(np.full((9, 9, 3), 65535, np.uint16), np.zeros((9, 9), np.uint16))
    notes = writing.write(tmp_path / "flat.jpg", [deep])
    assert len(notes) == 2 and "8 bits" in notes[0] and "over white" in notes[1]
    assert (read(tmp_path / "flat.jpg").pixels > 250).all()
    wide = Picture(np.zeros((1, 17000, 3), np.uint8))
    with pytest.raises(UsageError, match=r"16383 pixels a side.*\.png"):
        writing.write(tmp_path / "wide.webp", [wide])
    with pytest.raises(UsageError, match="allowed are"):
        writing.write(tmp_path / "what.xyz", [wide])


def test_damaged_files(tmp_path):
    whole = tmp_path / "whole.jpg"
    Image.fromarray(photo(200, 200)).save(whole)
    cases = {
        "text.jpg": b"no picture",
        "empty.png": b"",
        "cut.jpg": whole.read_bytes()[:-900],
    }
    for name, data in cases.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SourceError) as caught:
            read(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)
    for missing in (tmp_path / "missing.png", tmp_path):
        with pytest.raises(SourceError):
            read(missing)


def test_a_file_that_claims_too_much_is_refused(tmp_path):
    path = tmp_path / "bomb.png"
    writing.write(path, [Picture(np.zeros((4, 4, 3), np.uint8))])
    data = bytearray(path.read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    import zlib

    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    path.write_bytes(data)
    with pytest.raises(SourceError, match="60000x60000"):
        read(path)


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def full(out, picture):
        out.write(b"half a file")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writing, "write_png", full)
    target = tmp_path / "out.png"
    target.write_bytes(b"old")
    with pytest.raises(SinkError, match="No space left"):
        writing.write(target, [Picture(photo())])
    assert target.read_bytes() == b"old" and list(tmp_path.iterdir()) == [target]


def test_transparency_is_shown_over_white():
    pixels, alpha = np.zeros((2, 2, 3), np.uint8), np.array([[0, 255], [128, 0]], np.uint8)
    shown = reading.flatten(Picture(pixels, alpha)).pixels[:, :, 0]
    assert shown.tolist() == [[255, 0], [127, 255]]


def test_read_rgb_gives_bytes(tmp_path):
    path = tmp_path / "deep.png"
    writing.write(path, [Picture(photo().astype(np.uint16) * 257)])
    assert np.array_equal(read_rgb(path), photo())
