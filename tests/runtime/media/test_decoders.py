"""Decoding on a device: probed before it is taken, refused or replaced in a line, same pictures."""

from types import SimpleNamespace

import av
import numpy as np
import pytest

from runtime import video
from runtime.engines import _cuda_turn
from runtime.errors import UNAVAILABLE, EngineUnavailable, UsageError
from runtime.media import container, decoders
from runtime.sources import file as file_source
from runtime.sources import open_source

ABSENT = "no such device (injected)"


@pytest.fixture
def devices(monkeypatch):
    """`devices.working` decode here, of the `devices.built`; a clip is decoded on the CPU."""

    class Devices:
        built, working = ["cuda", "vaapi"], set()

    def probe(device):
        return None if device in Devices.working else ABSENT

    monkeypatch.setattr(decoders, "_built_for", lambda: Devices.built)
    monkeypatch.setattr(decoders, "probe", probe)
    monkeypatch.setattr(container, "acceleration", lambda device: None)
    return Devices


def test_software_asks_nobody(monkeypatch):
    monkeypatch.setattr(decoders, "probe", None)
    monkeypatch.setattr(decoders, "_built_for", None)
    assert decoders.choose_decoder() == ("", [])


def test_hardware_takes_the_first_that_works(devices):
    device, (remark,) = decoders.choose_decoder("hardware")
    assert device == "" and "the CPU decodes" in remark and remark.count(ABSENT) == 2
    devices.working = {"vaapi"}
    assert decoders.choose_decoder("hardware") == ("vaapi", [])
    devices.working = {"vaapi", "cuda"}
    assert decoders.choose_decoder("hardware") == ("cuda", [])


def test_a_named_device_works_or_is_refused(devices):
    with pytest.raises(EngineUnavailable, match=r"--decoder cuda does not work.*injected"):
        decoders.choose_decoder("cuda")
    with pytest.raises(EngineUnavailable, match="built without it"):
        decoders.choose_decoder("qsv")
    with pytest.raises(UsageError, match="software, hardware, cuda"):
        decoders.choose_decoder("abacus")
    devices.working = {"cuda"}
    assert decoders.choose_decoder("cuda") == ("cuda", [])


def test_what_this_machine_has_is_found_out_without_a_crash(tmp_path, make_clip, capsys):
    """FFmpeg's wheels are built for CUDA everywhere; a GPU is here or not."""
    works = decoders.probe("cuda") is None
    path = make_clip("in.mp4")
    with open_source(path) as source:
        expected = [frame.image for frame in source]
    with open_source(path, decoder="hardware") as source:
        assert all(np.array_equal(f.image, e) for f, e in zip(source, expected, strict=True))
        if not works:
            assert any("the CPU decodes" in remark for remark in source.remarks)
    if works:
        return
    command = ["--model", "starry-fast", "--input", str(path), "--decoder", "cuda"]
    assert video.main([*command, "--output", str(tmp_path / "out.mp4")]) == UNAVAILABLE
    (line,) = [text for text in capsys.readouterr().err.splitlines() if "--decoder cuda" in text]
    assert "use --decoder software" in line and not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (av.error.PermissionError(1, "Operation not permitted"), "Operation not permitted"),
        (RuntimeError("no device\nhere"), "no device here"),
        (NotImplementedError("no config"), "no config"),
    ],
)
def test_a_probe_that_fails_says_why(monkeypatch, error, says):
    create = av.CodecContext.create

    def fails(name, mode, hwaccel=None):
        if hwaccel is not None:
            raise error
        return create(name, mode)

    monkeypatch.setattr(av, "CodecContext", SimpleNamespace(create=fails))
    assert decoders.probe.__wrapped__("cuda") == says


def test_a_device_that_gives_no_frames_or_is_ignored(monkeypatch):
    create = av.CodecContext.create

    class Decoder:
        is_hwaccel, thread_count = True, 0

        def decode(self, packet):
            return []

    decoder = Decoder()
    monkeypatch.setattr(
        av,
        "CodecContext",
        SimpleNamespace(create=lambda name, mode, hw=None: decoder if hw else create(name, mode)),
    )
    assert decoders.probe.__wrapped__("cuda") == "0 of 3 frames came out"
    decoder.is_hwaccel = False
    assert "knows no such device" in decoders.probe.__wrapped__("cuda")


def stream(accelerated, codec="h264"):
    context = SimpleNamespace(is_hwaccel=accelerated)
    return SimpleNamespace(codec_context=context, codec=SimpleNamespace(name=codec))


@pytest.mark.parametrize(
    ("accelerated", "name", "falls"),
    [
        (True, "nv12", False),
        (True, "p010le", False),
        (True, "yuv444p", False),
        (True, "yuv420p", True),
        (True, "yuv422p10le", True),
        (False, "yuv420p", True),
        (False, "yuv444p", True),
    ],
)
def test_a_stream_that_the_cpu_decodes_after_all_is_told_by_its_frames(accelerated, name, falls):
    frame = SimpleNamespace(format=SimpleNamespace(name=name))
    assert bool(decoders.fallen_back(stream(accelerated), frame, "cuda")) == falls


def test_a_clip_that_the_device_does_not_decode_is_decoded_by_the_cpu(devices, make_clip):
    devices.working = {"cuda"}
    path = make_clip("in.mp4")
    with open_source(path) as source:
        expected = [(f.image, f.time) for f in source]
    with open_source(path, decoder="cuda") as source:
        found = [(f.image, f.time) for f in source]
        (remark,) = source.remarks
    assert remark == "cuda does not decode this stream (h264, yuv420p): the CPU does"
    assert [time for _, time in found] == [time for _, time in expected]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("pixel_format", "brought"), [("yuv420p", "nv12"), ("yuv420p10le", "p010le")]
)
def test_frames_as_a_device_gives_them_are_the_same_pictures(
    devices, make_clip, monkeypatch, pixel_format, brought
):
    """NVDEC's frames come back as NV12 and P010; while one is decoded, no graph is captured."""
    devices.working = {"cuda"}
    path = make_clip("in.mkv", pixel_format=pixel_format)
    with open_source(path) as source:
        expected, clip = [(f.image, f.time, f.duration) for f in source], source.clip
    turns = []

    class Turn:
        def __enter__(self):
            turns.append("taken")

        def __exit__(self, *_):
            pass

    planar = decoders.planar

    def from_device(frame):
        assert frame.format.name == pixel_format
        return planar(frame.reformat(format=brought))

    monkeypatch.setattr(file_source, "planar", from_device)
    monkeypatch.setattr(file_source, "CUDA_TURN", Turn())
    with open_source(path, decoder="cuda") as source:
        found, ours = [(f.image, f.time, f.duration) for f in source], source.clip
    assert len(turns) >= len(found) == len(expected)
    assert [entry[1:] for entry in found] == [entry[1:] for entry in expected]
    assert (ours.bits, ours.chroma, ours.colors) == (clip.bits, clip.chroma, clip.colors)
    assert all(np.array_equal(a, b) for (a, *_), (b, *_) in zip(found, expected, strict=True))
    assert _cuda_turn.CUDA_TURN is not file_source.CUDA_TURN


@pytest.mark.parametrize("name", decoders.PLANAR)
def test_planes_hold_what_the_devices_frame_held(name):
    x = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    there = av.VideoFrame.from_ndarray(x, "rgb24").reformat(format=name)
    there.pts, there.color_range, there.colorspace = 7, 1, 1
    here = decoders.planar(there)
    assert here.format.name == decoders.PLANAR[name]
    assert (here.pts, here.color_range, here.colorspace) == (7, 1, 1)
    for ours, theirs in zip(here.reformat(format=name).planes, there.planes, strict=True):
        assert bytes(ours) == bytes(theirs)
    plain = av.VideoFrame(64, 64, "yuv420p")
    assert decoders.planar(plain) is plain


def test_strict_reading_needs_software(devices, make_clip):
    devices.working = {"cuda"}
    path = make_clip("in.mp4")
    with pytest.raises(UsageError, match="--strict needs software"):
        open_source(path, decoder="cuda", strict=True)
    open_source(path, strict=True).close()


def test_nvenc_is_asked_for_quality_not_for_its_default_rate():
    from runtime.media.encoders import encoder_options

    options = encoder_options("h264_nvenc", 9, "superfast")
    assert (options["cq"], options["b"], options["rc"]) == ("9", "0", "vbr")
    assert av.CodecContext.create("h264_nvenc", "w").bit_rate == 2_000_000  # why it must be said
