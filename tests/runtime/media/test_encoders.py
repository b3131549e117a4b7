"""Encoders: every codec really encodes, wishes outside the table are refused in words."""

from fractions import Fraction

import pytest

from runtime.errors import EngineUnavailable, SinkError, UsageError
from runtime.media import encoders
from runtime.media.color import SDR, Converter
from runtime.media.encoders import CODECS, Encoding
from runtime.sources.synthetic import SyntheticSource


def encoding(codec, **changes):
    entry = CODECS[codec]
    facts = {
        "codec": codec,
        "encoder": entry.software,
        "width": max(64, entry.smallest[0]),
        "height": max(48, entry.smallest[1]),
        "pixel_format": entry.pixel_format,
        "rate": Fraction(25),
        "time_base": Fraction(1, 25),
        "colors": SDR,
        "tags": SDR,
        "quality": entry.quality[2] if entry.quality else None,
        "threads": 1,
    }
    return Encoding(**{**facts, **changes})


def encode(how, count=30):
    context, converter = encoders.open_encoder(how), Converter()
    source = SyntheticSource(f"synthetic:{how.width}x{how.height}")
    packets = []
    for number in range(count):
        frame = converter.from_rgb(source.render(number), how.colors, how.pixel_format)
        frame.pts, frame.time_base = number, how.time_base
        packets += context.encode(frame)
    return [bytes(packet) for packet in packets + context.encode(None) if packet.size]


@pytest.mark.parametrize("codec", CODECS)
def test_every_software_encoder_works_and_repeats_itself(codec):
    first, again = encode(encoding(codec)), encode(encoding(codec))
    assert len(first) == 30
    assert first == again


@pytest.mark.parametrize("preset", encoders.SPEEDS)
def test_every_preset_has_words_for_every_encoder(preset):
    for entry in CODECS.values():
        for name in (entry.software, *entry.hardware):
            assert encoders.encoder_options(name, 20, preset)


def test_codec_follows_the_ending():
    assert encoders.check_codec(None, ".mp4") == "h264"
    assert encoders.check_codec(None, ".webm") == "vp9"
    assert encoders.check_codec("av1", ".webm") == "av1"


@pytest.mark.parametrize(
    ("codec", "suffix", "words"),
    [
        (None, ".xyz", "ending"),
        ("h264", ".webm", "cannot be put"),
        ("nosuch", ".mp4", "unknown"),
        ("ffv1", ".mp4", "fits .mkv"),
    ],
)
def test_impossible_codecs(codec, suffix, words):
    with pytest.raises(UsageError, match=words):
        encoders.check_codec(codec, suffix)


def test_quality_is_checked_on_the_codecs_own_scale():
    assert encoders.check_quality("h264", None) == CODECS["h264"].quality[2]
    with pytest.raises(UsageError, match=r"0 \(best\) to 51"):
        encoders.check_quality("h264", 60)
    with pytest.raises(UsageError, match="no quality"):
        encoders.check_quality("prores", 10)


def test_hardware_is_taken_only_after_it_encoded_a_frame(monkeypatch):
    tried = []

    def fake(name):
        tried.append(name)
        return None if name == "h264_qsv" else "no device"

    monkeypatch.setattr(encoders, "probe", fake)
    name, remarks = encoders.choose_encoder("h264", "hardware")
    assert name == "h264_qsv"
    assert tried == ["h264_nvenc", "h264_videotoolbox", "h264_qsv"]
    assert len(remarks) == 2
    assert encoders.choose_encoder("h264", "software") == ("libx264", [])


def test_without_working_hardware_software_encodes(monkeypatch):
    monkeypatch.setattr(encoders, "probe", lambda name: "no device")
    name, remarks = encoders.choose_encoder("hevc", "hardware")
    assert name == "libx265"
    assert "libx265 encodes instead" in remarks[-1]
    with pytest.raises(EngineUnavailable, match="hevc_nvenc does not work"):
        encoders.choose_encoder("hevc", "hevc_nvenc")
    with pytest.raises(UsageError, match="does not make hevc"):
        encoders.choose_encoder("hevc", "h264_nvenc")


def test_the_probe_really_encodes():
    assert encoders.probe("libx264") is None
    assert encoders.probe("no_such_encoder") is not None


def test_an_encoder_that_refuses_is_one_line():
    with pytest.raises(SinkError, match="libx264 refuses"):
        encoders.open_encoder(encoding("h264", width=33, height=21))
