"""Outputs say what made them, and readers that know nothing of us find it there."""

import io
import re
import shutil
import subprocess
from xml.etree import ElementTree

import av
import numpy as np
import pytest
from PIL import Image

from runtime import image, video
from runtime.invocation import VERSION
from runtime.model.options import StylizeOptions, open_stylizer, provenance_on
from runtime.model.stylizer import together
from runtime.provenance import SOURCE_TYPE, carriers, provenance_of, xmp

MADE = provenance_of([("starry.onnx", "ab" * 32)])
IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
DC = "{http://purl.org/dc/elements/1.1/}"
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
# A photograph's packet: the statement as an element, the owner's words, a prefix of their own.
OWNERS = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="' + RDF[1:-1].encode() + b'">'
    b'<r:Description r:about="" xmlns:ext="' + IPTC[1:-1].encode() + b'"'
    b' xmlns:dc="' + DC[1:-1].encode() + b'">'
    b"<ext:DigitalSourceType>http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    b"</ext:DigitalSourceType><dc:creator><r:Seq><r:li>Anna &amp; Bo</r:li></r:Seq></dc:creator>"
    b"</r:Description></r:RDF></x:xmpmeta><?xpacket end='w'?>"
)


def properties(packet: bytes) -> dict[str, list[str]]:
    """Each property of a packet and all its values, by ElementTree."""
    found: dict[str, list[str]] = {}
    for element in ElementTree.fromstring(packet).iter():
        if element.tag != f"{RDF}Description":
            continue
        for name, value in element.attrib.items():
            found.setdefault(name, []).append(value)
        for child in element:
            found.setdefault(child.tag, []).append("".join(child.itertext()))
    return found


def check(packet: bytes, model: str) -> None:
    found = properties(packet)
    assert found[f"{IPTC}DigitalSourceType"] == [SOURCE_TYPE]
    assert found[f"{IPTC}AISystemUsed"] == [f"Impasto ({model})"]
    (version,) = found[f"{IPTC}AISystemVersionUsed"]
    assert re.fullmatch(rf"{re.escape(VERSION)}, sha256 [0-9a-f]{{12}}", version)


def test_a_packet_of_our_own():
    check(xmp.state(MADE), "starry.onnx")
    assert xmp.state(MADE) == xmp.state(MADE)


def test_the_owners_words_stay_and_the_camera_no_longer_made_it():
    once = xmp.state(MADE, OWNERS)
    check(once, "starry.onnx")
    assert properties(once)[f"{DC}creator"] == ["Anna & Bo"]
    assert once.startswith(b"<?xpacket") and once.endswith(b"?>")


def test_painted_twice_is_said_once():
    once = xmp.state(provenance_of([("udnie.onnx", "cd" * 32)]), OWNERS)
    twice = xmp.state(MADE, once)
    check(twice, "starry.onnx")
    assert twice == xmp.state(MADE, xmp.state(MADE, twice)) and b"udnie" not in twice


@pytest.mark.parametrize(
    "packet",
    [
        b"no XML",
        b"<x:xmpmeta/>",
        b"<a>&",
        b"\xff\xfe\x00",
        b"<a/>",
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_what_is_no_xmp_comes_back(packet):
    assert xmp.state(MADE, packet) == packet


def test_several_models_and_one_without_a_checksum():
    two = provenance_of([("a.onnx:0.5+b.onnx:0.5", "1" * 64 + "+" + "2" * 64), ("c.onnx", "")])
    assert two.system == "Impasto (a.onnx:0.5+b.onnx:0.5, c.onnx)"
    assert two.version == f"{VERSION}, sha256 {'1' * 12}+{'2' * 12}"


def still(path, **more) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(pixels).save(path, **more)


def paint(command, model, source, target, *flags: str) -> None:
    words = ["--model", str(model), "--device", "cpu", "--quiet", str(source), str(target), *flags]
    assert command.main(words) == 0


def pillow_xmp(path) -> bytes:
    with Image.open(path) as opened:
        opened.load()
        packet = opened.info.get("xmp", b"")
    return packet.encode() if isinstance(packet, str) else packet


def png_xmp(data: bytes) -> bytes:
    """The iTXt chunk of XMP, by the PNG specification; checks every checksum on the way."""
    import zlib

    at, packet = 8, b""
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        body = data[at + 4 : at + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(data[at + 8 + length : at + 12 + length], "big")
        if body.startswith(b"iTXtXML:com.adobe.xmp\0"):
            assert not packet
            packet = body[4 + 22 :]
        at += 12 + length
    return packet


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".avif"])
def test_pictures_say_it(tmp_path, invert_model, suffix):
    source, target = tmp_path / "in.jpg", tmp_path / f"out{suffix}"
    still(source, xmp=OWNERS)
    paint(image, invert_model, source, target)
    packet = png_xmp(target.read_bytes()) if suffix == ".png" else pillow_xmp(target)
    check(packet, invert_model.name)
    assert properties(packet)[f"{DC}creator"] == ["Anna & Bo"]
    again = tmp_path / f"again{suffix}"
    paint(image, invert_model, source, again)
    assert again.read_bytes() == target.read_bytes()


@pytest.mark.parametrize("flags", [("--no-provenance",), ("--strength", "0")])
def test_not_said_where_it_is_unwanted_or_untrue(tmp_path, invert_model, flags):
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    still(source, xmp=OWNERS)
    paint(image, invert_model, source, target, *flags)
    assert pillow_xmp(target) == OWNERS


def test_strip_takes_the_owners_words_only(tmp_path, invert_model):
    source, target = tmp_path / "in.jpg", tmp_path / "out.jpg"
    still(source, xmp=OWNERS)
    paint(image, invert_model, source, target, "--strip")
    check(pillow_xmp(target), invert_model.name)
    assert f"{DC}creator" not in properties(pillow_xmp(target))


def gif_xmp(data: bytes) -> bytes:
    at = data.index(b"\x21\xff\x0bXMP DataXMP") + 14
    return data[at : data.index(b"\x01\xff\xfe\xfd", at)]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_say_it(tmp_path, invert_model, suffix):
    source, target = tmp_path / "in.webp", tmp_path / f"out{suffix}"
    frames = [Image.fromarray(np.full((16, 16, 3), 40 * k, np.uint8)) for k in range(4)]
    frames[0].save(source, save_all=True, append_images=frames[1:], duration=80, xmp=OWNERS)
    paint(image, invert_model, source, target)
    data = target.read_bytes()
    readers = {".gif": gif_xmp, ".png": png_xmp, ".webp": lambda _: pillow_xmp(target)}
    packet = readers[suffix](data)
    check(packet, invert_model.name)
    assert properties(packet)[f"{DC}creator"] == ["Anna & Bo"]
    with Image.open(io.BytesIO(data)) as opened:
        assert opened.n_frames == 4


def ffprobe(path, *flags: str) -> dict[str, str]:
    """Tags of the container, by FFmpeg."""
    if shutil.which("ffprobe") is None:
        options = {"export_xmp": "1"} if flags else {}
        with av.open(str(path), options=options) as container:
            return {key.lower(): value for key, value in container.metadata.items()}
    line = ["ffprobe", "-v", "error", *flags, "-show_entries", "format_tags", "-of"]
    told = subprocess.run(
        [*line, "json", str(path)], check=True, capture_output=True, text=True
    ).stdout
    import json

    return {k.lower(): v for k, v in json.loads(told)["format"].get("tags", {}).items()}


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_clips_say_it_in_xmp(tmp_path, make_clip, identity_model, suffix):
    source, target = make_clip("in.mp4", frames=6), tmp_path / f"out{suffix}"
    carriers.append(source, ".mp4", OWNERS)
    paint(video, identity_model, source, target, "--stabilizer", "off")
    packet = ffprobe(target, "-export_xmp", "1")["xmp"].encode()
    check(packet, identity_model.name)
    assert properties(packet)[f"{DC}creator"] == ["Anna & Bo"]
    assert carriers.read_mp4(target) == packet
    bare = tmp_path / f"bare{suffix}"
    paint(video, identity_model, source, bare, "--stabilizer", "off", "--no-provenance")
    assert carriers.read_mp4(bare) == OWNERS
    assert target.read_bytes().startswith(bare.read_bytes().removesuffix(OWNERS)[:-24])


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_matroska_says_it_in_tags(tmp_path, make_clip, identity_model, suffix):
    source, target = make_clip("in.mp4", frames=6), tmp_path / f"out{suffix}"
    paint(video, identity_model, source, target, "--stabilizer", "off")
    tags = ffprobe(target)
    assert tags["digital_source_type"] == SOURCE_TYPE
    assert tags["ai_system_used"] == f"Impasto ({identity_model.name})"
    assert tags["ai_system_version_used"].startswith(f"{VERSION}, sha256 ")
    bare = tmp_path / f"bare{suffix}"
    paint(video, identity_model, source, bare, "--stabilizer", "off", "--no-provenance")
    assert "digital_source_type" not in ffprobe(bare)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".apng"])
def test_animated_clips_say_it(tmp_path, make_clip, identity_model, suffix):
    source, target = make_clip("in.mp4", frames=6), tmp_path / f"out{suffix}"
    paint(video, identity_model, source, target, "--stabilizer", "off")
    readers = {".gif": gif_xmp, ".apng": png_xmp, ".webp": lambda _: pillow_xmp(target)}
    check(readers[suffix](target.read_bytes()), identity_model.name)
    with Image.open(target) as opened:
        assert opened.n_frames == 6


def test_numbered_pictures_say_it(tmp_path, make_clip, identity_model):
    source = make_clip("in.mp4", frames=3)
    paint(video, identity_model, source, tmp_path / "f" / "%03d.png", "--stabilizer", "off")
    for number in range(3):
        data = (tmp_path / "f" / f"{number:03}.png").read_bytes()
        check(png_xmp(data), identity_model.name)


@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0\0\x01uuid", b"\0\0\0\x02moov" * 9, b"\xff" * 40, b"\0\0\0\x01" + b"\xff" * 36],
)
def test_damaged_boxes_hold_no_xmp(tmp_path, damage):
    path = tmp_path / "broken.mp4"
    path.write_bytes(damage)
    assert carriers.read_mp4(path) == b""


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_machines_that_only_join_say_the_same(identity_model, invert_model, strength):
    """`impasto batch` joins clips where no model is open."""
    options = StylizeOptions(
        [(str(identity_model), 1.0), (str(invert_model), 3.0)], device="cpu", strength=strength
    )
    with open_stylizer(options) as stylizer:
        opened = together([stylizer])
    assert provenance_on([options]) == opened
    assert (opened is None) == (strength == 0)
    if opened is not None:
        assert opened.system == "Impasto (identity.onnx:0.25+invert.onnx:0.75)"
