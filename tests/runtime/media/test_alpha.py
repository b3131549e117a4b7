"""Transparency and chroma: kept where the output can hold them, said where not, never made up."""

from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from runtime.clips.batch import Job
from runtime.clips.excerpt import Span
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import UsageError
from runtime.media.alpha import has_alpha
from runtime.media.encoders import CODECS
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.sources import open_source

SIZE, FRAMES = (64, 48), 7
WIDTH, HEIGHT = SIZE


def alpha_of(number):
    """A ramp with a hole that grows."""
    alpha = np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))
    alpha[8:24, : 8 + 4 * number] = 0
    return alpha


def picture(number, opaque=False):
    """(H, W, 4) uint8: a flat color, and alpha."""
    rgba = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    rgba[..., :3] = (200, 40 + 10 * number, 60)
    rgba[..., 3] = 255 if opaque else alpha_of(number)
    return rgba


def write(path, codec, pixel_format, opaque=False, tags=None):
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, pixel_format
        stream.metadata.update(tags or {})
        for number in range(FRAMES):
            frame = av.VideoFrame.from_ndarray(picture(number, opaque), "rgba")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame.reformat(format=pixel_format)))
        container.mux(stream.encode(None))
    return path


INPUTS = {
    "prores.mov": ("prores_ks", "yuva444p10le", None),
    "vp9.webm": ("libvpx-vp9", "yuva420p", {"alpha_mode": "1"}),
    "ffv1.mkv": ("ffv1", "bgra", None),
    "moving.apng": ("apng", "rgba", None),
}


@pytest.fixture
def clip(tmp_path):
    """`clip("vp9.webm")`, or another key of INPUTS; "%d.png" for numbered pictures."""

    def make(name, opaque=False):
        if name == "%d.png":
            (tmp_path / "p").mkdir(exist_ok=True)
            for number in range(FRAMES):
                bgra = cv2.cvtColor(picture(number, opaque), cv2.COLOR_RGBA2BGRA)
                cv2.imwrite(str(tmp_path / "p" / f"{number}.png"), bgra)
            return tmp_path / "p" / "%d.png"
        return write(tmp_path / name, *INPUTS[name][:2], opaque, INPUTS[name][2])

    return make


@pytest.fixture
def stylizer(invert_model):
    with open_stylizer(StylizeOptions([(str(invert_model), 1.0)], device="cpu")) as opened:
        yield opened


def paint(stylizer, source, output, *, stabilizer="off", size=None, span=None, **sink):
    options = ClipOptions(
        sink={"preset": "ultrafast", **sink},
        stabilizer=stabilizer,
        size=size,
        span=span or Span(),
    )
    return paint_clip(Job(str(source), str(output)), stylizer, options, Meter())


def read(path):
    with open_source(path) as source:
        return list(source), source


@pytest.mark.parametrize("name", [*INPUTS, "%d.png"])
def test_color_and_alpha_are_read(clip, name):
    frames, source = read(clip(name))
    assert source.clip.alpha
    assert len(frames) == FRAMES
    for number, frame in enumerate(frames):
        np.testing.assert_allclose(frame.alpha, alpha_of(number), atol=8 if "vp9" in name else 2)
        color = picture(number)[0, 0, :3].astype(int)
        assert np.abs(frame.image[:, -8:] - color).max() <= 4


@pytest.mark.parametrize("name", [*INPUTS, "%d.png"])
def test_a_channel_that_hides_nothing_is_no_transparency(clip, name):
    frames, source = read(clip(name, opaque=True))
    assert not source.clip.alpha
    assert frames[0].image.shape == (HEIGHT, WIDTH, 3)


OUTPUTS = [
    ("out.webm", None),
    ("out.mkv", "vp9"),
    ("out.mov", "prores4444"),
    ("out.mkv", "ffv1"),
    ("out.apng", None),
    ("o/%03d.png", None),
]


@pytest.mark.parametrize(("name", "codec"), OUTPUTS)
def test_alpha_comes_through_and_color_is_painted(clip, stylizer, tmp_path, name, codec):
    output = tmp_path / name
    facts = paint(stylizer, clip("ffv1.mkv"), output, codec=codec, verify=True, segment=3).facts
    assert facts["frames_out"] == FRAMES
    assert not any("transparency" in note for note in facts["notes"])
    frames, source = read(output)
    assert source.clip.alpha
    for number, frame in enumerate(frames):
        assert abs(frame.time - Fraction(number, 25)) < Fraction(1, 1000)
        np.testing.assert_allclose(frame.alpha, alpha_of(number), atol=3)
        color = 255 - picture(number)[0, 0, :3].astype(int)
        assert np.abs(frame.image[:, -8:] - color).max() <= 6


def test_webp(clip, stylizer, tmp_path):
    from PIL import Image

    facts = paint(stylizer, clip("ffv1.mkv"), tmp_path / "out.webp", segment=3).facts
    assert facts["frames_out"] == FRAMES
    with Image.open(tmp_path / "out.webp") as image:
        assert image.n_frames == FRAMES
        for number in range(FRAMES):
            image.seek(number)
            shown = np.asarray(image.convert("RGBA"))
            assert image.info["duration"] == 40
            np.testing.assert_allclose(shown[..., 3], alpha_of(number), atol=6)


def test_gif_keeps_what_is_half_opaque_and_more(tmp_path, stylizer):
    """A hole that wanders: pixels become transparent and opaque again."""
    from PIL import Image

    (tmp_path / "p").mkdir()
    masks = []
    for number in range(FRAMES):
        rgba = picture(number, opaque=True)
        rgba[10:30, 6 * number : 6 * number + 12, 3] = 100
        rgba[30:40, :, 3] = 160
        masks.append(rgba[..., 3] >= 128)
        bgra = cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA)
        cv2.imwrite(str(tmp_path / "p" / f"{number}.png"), bgra)
    output = tmp_path / "out.gif"
    outcome = paint(stylizer, tmp_path / "p" / "%d.png", output, verify=True, segment=3)
    assert sum("half transparency" in note for note in outcome.notes) == 1
    assert not any("dropped" in note for note in outcome.notes)
    frames, source = read(output)
    assert source.clip.alpha
    with Image.open(output) as image:
        assert image.n_frames == FRAMES
        for number, (frame, mask) in enumerate(zip(frames, masks, strict=True)):
            image.seek(number)
            other = np.asarray(image.convert("RGBA"))  # another reader than FFmpeg
            np.testing.assert_array_equal(other[..., 3] > 0, mask)
            np.testing.assert_array_equal(frame.alpha > 0, mask)
            color = 255 - picture(number)[0, 0, :3].astype(int)
            assert np.abs(other[mask][:, :3] - color).max() <= 6


@pytest.mark.parametrize("stabilizer", ["live", "best"])
def test_alpha_is_that_of_its_frame_with_every_stabilizer(clip, stylizer, tmp_path, stabilizer):
    output = tmp_path / "o" / "%d.png"
    paint(stylizer, clip("ffv1.mkv"), output, stabilizer=stabilizer, size=(32, 24))
    frames, _ = read(output)
    for number, frame in enumerate(frames):
        small = cv2.resize(alpha_of(number), (32, 24), interpolation=cv2.INTER_AREA)
        assert np.abs(frame.alpha - small.astype(int)).mean() < 2


def test_a_part_and_a_place_behind_a_frame(clip):
    path = clip("vp9.webm")
    frames, _ = read(path)
    with open_source(path, after=(2, frames[2].time)) as source:
        rest = list(source)
    assert [f.index for f in rest] == [3, 4, 5, 6]
    for a, b in zip(rest, frames[3:], strict=True):
        np.testing.assert_array_equal(a.alpha, b.alpha)


@pytest.mark.parametrize("name", ["out.mp4", "out.mov", "-"])
def test_where_it_is_lost_that_is_said(clip, stylizer, tmp_path, name, capfdbinary):
    output = name if name == "-" else tmp_path / name
    for opaque in (False, True):
        sink = {} if name == "-" else {"overwrite": True}
        options = ClipOptions(overwrite=bool(sink))
        source = clip("ffv1.mkv", opaque)
        outcome = paint_clip(Job(str(source), str(output)), stylizer, options, Meter())
        said = [note for note in outcome.notes if "transparency is dropped" in note]
        assert len(said) == (0 if opaque else 1)
    if name.startswith("out"):
        with av.open(str(output)) as container:
            tags = {key.lower() for key in container.streams.video[0].metadata}
            assert "alpha_mode" not in tags
        assert read(output)[0][0].alpha is None


def test_an_opaque_clip_makes_no_false_alpha(clip, stylizer, tmp_path):
    """Its tag says alpha, and nothing is transparent."""
    paint(stylizer, clip("vp9.webm", opaque=True), tmp_path / "out.webm")
    with av.open(str(tmp_path / "out.webm")) as container:
        assert "alpha_mode" not in {k.lower() for k in container.streams.video[0].metadata}


CHROMA = [("yuv444p", (1, 1)), ("yuv422p", (2, 1)), ("yuv420p", (2, 2))]


@pytest.mark.parametrize(("given", "chroma"), CHROMA)
def test_chroma_is_never_lowered_in_silence(make_clip, stylizer, tmp_path, given, chroma):
    path = make_clip("in.mkv", frames=2, pixel_format=given, ticks=[0, 40],
                     time_base=Fraction(1, 1000))  # fmt: skip
    assert read(path)[1].clip.chroma == chroma
    for suffix, wish in ((".mp4", None), (".mp4", given), (".mov", "yuv444p10")):
        output = tmp_path / f"out{suffix}"
        options = ClipOptions(overwrite=True, sink={"pixel_format": wish})
        outcome = paint_clip(Job(str(path), str(output)), stylizer, options, Meter())
        lowered = wish is None and given != "yuv420p"
        said = [note for note in outcome.notes if "color is stored" in note]
        assert bool(said) == lowered
        assert all(f"--pixel-format {given} keeps it" in note for note in said)
        with av.open(str(output)) as container:
            made = container.streams.video[0].pix_fmt
        assert made == {None: "yuv420p", "yuv444p10": "yuv444p10le"}.get(wish, wish)


EVERY = [
    (codec, name)
    for codec, entry in CODECS.items()
    for name in dict.fromkeys([*entry.others, *entry.alpha.values()])
]


@pytest.mark.parametrize(("codec", "pixel_format"), EVERY)
def test_every_pixel_format_is_really_made(stylizer, tmp_path, codec, pixel_format):
    output = tmp_path / f"out{CODECS[codec].containers[0]}"
    source = "synthetic:256x120@25x3"
    facts = paint(stylizer, source, output, codec=codec, pixel_format=pixel_format).facts
    assert facts["frames_out"] == 3
    frames, _ = read(output)
    with open_source(source) as plain:
        for a, b in zip(frames, plain, strict=True):
            assert np.abs(a.image - (255 - b.image.astype(int))).mean() < 8
    with av.open(str(output)) as container:
        made = container.streams.video[0].codec_context.format
        # VP9's second stream is not in the format, and FFmpeg reads ProRes 4444 as 12 bits.
        assert has_alpha(made) == (pixel_format.startswith("yuva4") and codec != "vp9") or (
            pixel_format == "bgra"
        )


@pytest.mark.parametrize(
    ("codec", "wish", "words"),
    [("h264", "yuv411p", "allowed are yuv420p, "), ("av1", "yuv444p", "yuv420p, yuv420p10")],
)
def test_pixel_formats_that_are_not_made(stylizer, tmp_path, codec, wish, words):
    with pytest.raises(UsageError, match=words):
        paint(stylizer, "synthetic:32x32@25x3", tmp_path / "o.mp4", codec=codec, pixel_format=wish)
