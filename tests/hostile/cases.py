"""Hostile inputs by kind and number: case 17 of "cards" is the same on every machine and day."""

import json
import os
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from runtime import image, video, webcam

from .damage import absurd, damaged, damaged_json
from .seeds import Seeds, model

# A command, and the words that it is given.
Call = tuple[str, list[str]]
Maker = Callable[[Path, np.random.Generator, Seeds, int], Call]


def make(kind: str, number: int, folder: Path, seeds: Seeds) -> Call:
    """Put the files of a case into a folder; what to call on them."""
    rng = np.random.default_rng([zlib.crc32(kind.encode()), number])
    return KINDS[kind][1](folder, rng, seeds, number)


def _image(
    folder: Path, *words: object, model: str = "model.onnx", source: str = "photo.png"
) -> Call:
    given = [str(folder / source), str(folder / "painted.png"), "--model", str(folder / model)]
    return "image", [*given, *map(str, words)]


def _video(folder: Path, source: str, *words: object, output: str = "painted.mp4") -> Call:
    given = [str(folder / source), str(folder / output), "--model", str(folder / "model.onnx")]
    return "video", [*given, "--stabilizer", "off", "--preset", "ultrafast", *map(str, words)]


def _pick(rng: np.random.Generator, values):
    values = list(values)
    return values[int(rng.integers(len(values)))]


def pictures(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Damaged pictures; pictures under a wrong name; what is no picture at all; named pipes."""
    suffix = _pick(rng, seeds.pictures)
    data = seeds.pictures[suffix]
    way = rng.integers(12)
    name = f"hostile.{_pick(rng, seeds.pictures) if rng.random() < 0.2 else suffix}"
    path = folder / name
    if way == 0:
        heads = (b"%!PS-Adobe EPSF\n{} loop\n", b"%PDF-1.4\n", b"<svg/>", b"SIMPLE  =", b"icns")
        data = _pick(rng, heads) + rng.bytes(200)
    elif way == 1:  # sizes that nobody has memory for
        data = bytearray(seeds.pictures["png"])
        data[16:24] = int(rng.integers(2**31)).to_bytes(4, "big") * 2
        data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
        data, path = bytes(data), folder / "hostile.png"
    elif way == 2:
        data = b"" if rng.random() < 0.5 else rng.bytes(int(rng.integers(1, 300)))
    elif way == 3 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
        return _image(folder, source=path.name)
    else:
        data = damaged(data, rng)
    path.write_bytes(data)
    role = rng.integers(10)
    if role == 0:
        return _image(folder, "--mask", path)
    if role == 1:
        return _image(folder, "--style", path)
    return _image(folder, source=path.name)


def clips(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Damaged clips, in containers of all kinds, and playlists that lead elsewhere."""
    suffix = _pick(rng, seeds.clips)
    if rng.random() < 0.1:
        suffix = _pick(rng, ("m3u8", "concat", "sdp", "ffconcat", "txt", "mp4"))
        text = _pick(
            rng,
            (
                "#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n",
                "ffconcat version 1.0\nfile '/etc/passwd'\n",
                "ffconcat version 1.0\nfile 'http://127.0.0.1:9/x.mp4'\n",
                "v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
                "#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nconcat:/etc/passwd|/etc/passwd\n",
            ),
        )
        (folder / f"hostile.{suffix}").write_text(text)
    else:
        (folder / f"hostile.{suffix}").write_bytes(damaged(seeds.clips[suffix], rng))
    output = _pick(rng, ("painted.mp4", "painted.mkv", "painted.gif", "frames/%06d.png"))
    return _video(folder, f"hostile.{suffix}", *_pick(rng, ([], ["--strict"])), output=output)


def models(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Damaged ONNX files, with and without a card; files of other kinds under that name; pipes."""
    path = folder / "hostile.onnx"
    way = rng.integers(12)
    if way == 0:
        path.write_bytes(_pick(rng, (b"", b"\x80" * 4000, rng.bytes(300), b"\x08" * 50, b"<xml/>")))
    elif way == 1 and hasattr(os, "mkfifo"):
        os.mkfifo(path)
    elif way < 7:
        path.write_bytes(damaged(seeds.model, rng))
    else:
        path.write_bytes(damaged(model(json.dumps(seeds.card), seeds.model), rng))
    return _image(folder, model=path.name)


def cards(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Cards that say nonsense, in the file or beside it."""
    text = damaged_json(seeds.card, rng)
    path = folder / "hostile.onnx"
    if rng.random() < 0.25:
        path.write_bytes(seeds.model)
        data = text.encode("utf-8", "replace")
        (folder / "hostile.onnx.card.json").write_bytes(
            damaged(data, rng) if len(data) < 9 else data
        )
    else:
        path.write_bytes(model(text, seeds.model))
    return _image(folder, model=path.name)


def checkpoints(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Headers that say nonsense, tensors that do not fit, damaged files, pickles."""
    import torch
    from safetensors.torch import save_file

    tensors, header = dict(seeds.checkpoint[0]), seeds.checkpoint[1]
    path = folder / "hostile.safetensors"
    way = rng.integers(6)
    if way == 0:
        path.write_bytes(_pick(rng, (b"", rng.bytes(400), b"\x80\x02}q\x00.", b"\xff" * 16)))
        return "checkpoint", [str(path)]
    if way == 1:
        name = _pick(rng, tensors)
        tensors[name] = torch.zeros(int(rng.integers(0, 9)))
    elif way == 2:
        tensors.pop(_pick(rng, tensors))
    text = json.dumps(header) if way in (1, 2, 3) else damaged_json(header, rng)
    save_file(tensors, path, {"impasto.checkpoint": text.encode("utf-8", "replace").decode()})
    if way == 3:
        path.write_bytes(damaged(path.read_bytes(), rng))
    return "checkpoint", [str(path)]


def recipes(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Values outside of all reason, in TOML files and after --set."""
    recipe = seeds.checkpoint[1]["recipe"]
    path = folder / "hostile.toml"
    sections = [key for key, value in recipe.items() if isinstance(value, dict)]
    section = _pick(rng, ["", *sections])
    names = [key for key in (recipe[section] if section else recipe) if key not in sections]
    name = _pick(rng, [*names, "nonsense", "objective", "network"])
    text = _toml(absurd(rng))
    if rng.random() < 0.5:
        path.write_text('name = "x"\n')
        setting = f"{section}.{name}={text}" if section else f"{name}={text}"
        return "train", ["--recipe", str(path), "--set", setting.replace("\0", "?"), "--dry-run"]
    whole = f"[{section}]\n{name} = {text}\n" if section else f"{name} = {text}\n"
    data = whole.encode("utf-8", "replace")
    path.write_bytes(damaged(data, rng) if rng.random() < 0.2 else data)
    return "train", ["--recipe", str(path), "--dry-run"]


def _toml(value) -> str:
    """About what TOML has for it."""
    if value is None:
        return "none"
    if isinstance(value, dict):
        return "{ x = 1 }" if value else "{}"
    return json.dumps(value).replace("NaN", "nan").replace("Infinity", "inf")


def journals(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Journals and segments of a recording that was cut off, damaged in all ways."""
    lines, segments = seeds.journal
    parts = folder / "take.mp4.parts"
    parts.mkdir()
    for name, data in segments.items():
        (parts / name).write_bytes(damaged(data, rng) if rng.random() < 0.15 else data)
    index = int(rng.integers(len(lines)))
    changed = [*lines[:index], damaged_json(json.loads(lines[index]), rng), *lines[index + 1 :]]
    data = "\n".join([*changed, ""]).encode("utf-8", "replace")
    (parts / "journal.jsonl").write_bytes(damaged(data, rng) if rng.random() < 0.2 else data)
    if rng.random() < 0.5:
        return "video", ["--recover", str(folder / "take.mp4")]
    (folder / "clip.mp4").write_bytes(seeds.clips["mp4"])
    flag = _pick(rng, ("--resume", "--overwrite", "--skip-existing"))
    return _video(folder, "clip.mp4", flag, output="take.mp4")


NAMES = (
    "-.png", "--help.png", "a" * 300 + ".png", "é" * 130 + ".png", "\x1b[2J.png", "\n.png",
    " .png", "http:127.0.0.1:9?.mp4", "tcp:127.0.0.1:9.mp4", "pipe:0.mp4", "camera:0.mp4",
    "file:x.png", "concat:a|b.mp4", "%06d.png", "%n%s.png", "..png", ".png", "\u202egnp.exe.png",
    "CON.png", "a:0.5", "a.onnx:nan", "photo.png/x.png", "*.png", "[a-z].png", "~.png",
    "$HOME.png", "a\\b.png", "\\\\x", "\udcff.png", "frames/%0999999999d.png", "frames/%d%d.png",
    "null", "-", "synthetic:1e9", "x" * 5000,
)  # fmt: skip


def names(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Names of inputs, outputs and models that are addresses, patterns, flags, or too long."""
    name = _pick(rng, NAMES)
    if rng.random() < 0.3:
        name = name.replace("x", "") + "".join(chr(c) for c in rng.integers(1, 255, size=4))
        name = name.replace("/", "_")
    try:  # where such a name can be, there is such a file
        (folder / name).parent.mkdir(exist_ok=True)
        data = seeds.clips["mp4"] if name.endswith(".mp4") else seeds.pictures["png"]
        (folder / name).write_bytes(data)
    except (OSError, ValueError):
        pass
    path, good = f"{folder}/{name}", str(folder / "photo.png")
    trained = ["--model", str(folder / "model.onnx")]
    role = rng.integers(6)
    if role == 0:
        return "image", [path, str(folder / "painted.png"), *trained]
    if role == 1:
        return "image", [good, path, *trained, *_pick(rng, ([], ["--overwrite"]))]
    if role == 2:
        return "image", [good, str(folder / "painted.png"), "--model", path]
    if role == 3:
        return "video", [path, str(folder / "painted.mp4"), *trained, "--stabilizer", "off"]
    if role == 4:
        (folder / "clip.mp4").write_bytes(seeds.clips["mp4"])
        return "video", [str(folder / "clip.mp4"), path, *trained, "--stabilizer", "off"]
    return _image(folder, _pick(rng, ("--style", "--mask", "--style-encoder")), path)


VALUES = (
    "0", "-1", "1e300", "-1e300", "nan", "inf", "²", "１", "", " ", "x", "9" * 400, "1/0", "0x10",
    "999999x999999", "0x0", "1x1", "16x16@1/0:rgb24", "16x16@0:rgb24", "16x16@25:nonsense",
    "-1x-1", "1..0", "auto", "../..", "\x1b[31m", "a=b", "strength=nan", "1:2:3", "٣", "1_000",
    "9" * 11,
)  # fmt: skip


@cache
def grid() -> list[tuple[str, str, str]]:
    """(command, flag, value): every flag that takes a value, with every kind of nonsense."""
    parsers = {"image": image, "video": video, "webcam": webcam}
    return [
        (name, action.option_strings[-1], value)
        for name, module in parsers.items()
        for action in module.build_parser()._actions
        if action.option_strings and action.nargs != 0
        for value in (VALUES if name != "webcam" else VALUES[::3])
    ]


def flags(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Flags with values that are none."""
    command, flag, value = grid()[number]
    given = f"{flag}={value}"
    if command == "image":
        return _image(folder, given)
    if command == "webcam":
        words = ["--model", str(folder / "model.onnx"), "--source", "synthetic:48x36@30"]
        return "webcam", [
            *words,
            "--headless",
            "--frames",
            "3",
            "--seconds",
            "3",
            "--stabilizer",
            "off",
            given,
        ]
    (folder / "clip.mp4").write_bytes(seeds.clips["mp4"])
    output = _pick(rng, ("painted.mp4", "painted.gif", "frames/%06d.png", "null"))
    return _video(folder, "clip.mp4", given, output=output)


HOME = ("http://127.0.0.1:9/x", "http://192.0.2.1/x", "tcp://127.0.0.1:9", "udp://192.0.2.1:9")
HOME += ("rtp://192.0.2.1:9", "https://localhost/x", "ftp://127.0.0.1/x", "rtsp://127.0.0.1:9/x")
HOME += ("concat:http://127.0.0.1:9/a|http://127.0.0.1:9/b", "crypto:http://127.0.0.1:9/x")
HOME += ("cache:http://127.0.0.1:9/x", "async:tcp://127.0.0.1:9", "//192.0.2.1/share/x", "data:,x")
HOME += (
    "subfile,,start,0,end,9,,:http://127.0.0.1:9/x",
    "tls://127.0.0.1:9",
    "gopher://127.0.0.1/x",
)
# Texts that name an address, by what reads them.
TEXTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{}\n#EXT-X-ENDLIST\n",
    "m3u": '#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{}"\n#EXTINF:9,\na.ts\n',
    "ts": '#EXTM3U\n#EXT-X-MAP:URI="{}"\n#EXTINF:9,\na.mp4\n#EXT-X-ENDLIST\n',
    "mp4": "ffconcat version 1.0\nfile '{}'\n",
    "concat": "ffconcat version 1.0\nstream\nfile '{}'\noption safe 0\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'mediaPresentationDuration="PT9S"><Period><AdaptationSet mimeType="video/mp4"><Representation '
    'id="1" bandwidth="1"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "xml": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3">'
    "<Id>{}</Id></CompositionPlaylist>",
    "asx": '<asx version="3.0"><entry><ref href="{}"/></entry></asx>',
    "mov": "RTSPtext\r\n{}\r\n",
    "svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="{}" width="9" height="9"/></svg>',
    "eps": "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n({}) run\n",
    "idx": "# VobSub index file, v7\nid: en, index: 0\n# {}\n",
    "avi": "AVISYNTH {}\n",
}


def addresses(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Addresses in playlists, cards, tensors that lie elsewhere, and as names; all lead home."""
    address = _pick(rng, HOME)
    way = rng.integers(8)
    if way == 0:
        return _video(folder, "photo.png", "--style-encoder", address)
    if way == 1:
        return _image(folder, _pick(rng, ("--style", "--mask", "--style-encoder")), address)
    if way == 2:
        return "video", [address, str(folder / "out.mp4"), "--model", str(folder / "model.onnx")]
    if way == 3:
        card = {**seeds.card, "name": address, "inputs": [dict(seeds.card["inputs"][0])]}
        code = {**card["inputs"][0], "name": "code", "role": "code", "companion": address}
        card["inputs"].append(code)
        (folder / "hostile.onnx").write_bytes(model(json.dumps(card), seeds.model))
        return _image(folder, model="hostile.onnx")
    if way == 4:
        (folder / "hostile.onnx").write_bytes(_tensor_elsewhere(seeds.model, address))
        return _image(folder, model="hostile.onnx")
    suffix = _pick(rng, TEXTS)
    named = f"hostile.{_pick(rng, (suffix, suffix, *TEXTS))}"
    (folder / named).write_text(TEXTS[suffix].format(address), encoding="utf-8")
    if rng.random() < 0.25:
        return _image(folder, source=named)
    return _video(folder, named)


def _tensor_elsewhere(data: bytes, address: str) -> bytes:
    """The model with its first tensor at an address."""
    import onnx

    proto = onnx.load_from_string(data)
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in (("location", address), ("offset", "0"), ("length", "4")):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, value
    return proto.SerializeToString()


def networks(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Networks of other people's code: Torch7, and what is no safetensors file and no pickle."""
    data, suffix = seeds.torch7, "t7"
    if rng.integers(8) == 0:
        suffix = _pick(rng, ("pth", "pt", "safetensors"))
    if rng.random() < 0.1:
        data = _pick(
            rng, (b"", rng.bytes(300), b"\x04\0\0\0" * 3000, b"\x03\0\0\0\x01\0\0\0" * 900)
        )
    path = folder / f"hostile.{suffix}"
    path.write_bytes(damaged(data, rng))
    return "import", [str(path), "--output", str(folder / "run"), "--quiet"]


def animations(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Animated WebP, PNG and AVIF, damaged, as clips and as pictures."""
    suffix = _pick(rng, seeds.animations)
    name = f"hostile.{suffix}"
    (folder / name).write_bytes(damaged(seeds.animations[suffix], rng))
    if rng.random() < 0.25:
        return _image(folder, source=name)
    output = _pick(rng, ("painted.mp4", "painted.webp", "painted.apng", "frames/%06d.png"))
    return _video(folder, name, output=output)


def statements(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """XMP that the owner may have written, in pictures; names of models that XML does not know."""
    import io

    from PIL import Image

    if rng.random() < 0.3:
        name = "".join(chr(c) for c in rng.integers(1, 0x10FFFF, size=3)).replace("/", "<")
        try:
            (folder / f"{name}.onnx").write_bytes(seeds.model)
            return _image(folder, "--range", "0..1", model=f"{name}.onnx")
        except (OSError, ValueError):
            pass  # no file has such a name
    packet = _pick(rng, (seeds.packet, b"<a>" * 3000, seeds.packet.decode().encode("utf-16")))
    if rng.random() < 0.2:
        inner = _pick(rng, (b"<a>" * 5000 + b"</a>" * 5000, b"<a/>" * 5000, b"&x;", b"\x1b[2J"))
        packet = packet.replace(b"</rdf:RDF>", inner + b"</rdf:RDF>")
    packet = damaged(packet, rng)
    out = io.BytesIO()
    picture = Image.open(io.BytesIO(seeds.pictures["png"]))
    kind = _pick(rng, ("WEBP", "JPEG", "TIFF"))
    more = {"tiffinfo": {700: packet}} if kind == "TIFF" else {"xmp": packet[:60000]}
    picture.save(out, kind, **more)
    name = {"WEBP": "hostile.webp", "JPEG": "hostile.jpg", "TIFF": "hostile.tif"}[kind]
    (folder / name).write_bytes(out.getvalue())
    given = [str(folder / name), str(folder / f"painted{Path(name).suffix}")]
    return "image", [*given, "--model", str(folder / "model.onnx")]


def votes(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Answers of voters, and folders of pictures to vote on."""
    path = folder / "votes.json"
    if rng.random() < 0.7:
        vote = {"picture": "x", "left": "a", "right": "b", "preferred": "a"}
        good = {"format": 1, "seed": 0, "votes": [vote, {**vote, "preferred": ""}]}
        path.write_text(damaged_json(good, rng), encoding="utf-8", errors="replace")
        return "vote", ["--scores", str(path)]
    name = "".join(chr(c) for c in rng.integers(1, 0x2100, size=3)).replace("/", "<")
    name = _pick(rng, ("x.png", "__DATA__.png", "<!--.png", "\x1b[2J.png", f"{name}.png"))
    for each in ("ours", "<script>"):
        (folder / each).mkdir()
        data = seeds.pictures["png"]
        (folder / each / name).write_bytes(damaged(data, rng) if rng.random() < 0.3 else data)
    words = [str(folder / each) for each in ("ours", "<script>")]
    return "vote", [*words, "--output", str(folder / "painted.html")]


def samples(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Flags of training.sample with values that are none, on a checkpoint that samples nothing."""
    from safetensors.torch import save_file

    path = folder / "run.safetensors"
    save_file(seeds.checkpoint[0], path, {"impasto.checkpoint": json.dumps(seeds.checkpoint[1])})
    names = ("count", "seed", "walk", "frames", "mix", "with", "crossover", "truncation")
    flag = _pick(rng, (*names, "evaluations", "checkpoint", "output"))
    words = ["--checkpoint", str(path), "--output", str(folder / "painted")]
    return "sample", [*words, f"--{flag}={_pick(rng, VALUES)}"]


def teachers(folder: Path, rng: np.random.Generator, seeds: Seeds, number: int) -> Call:
    """Names that a shell would run, of teachers and of keyframes, in recipes and on the line; none
    is run: the file `ran` would be one too many."""
    ran = folder / "photo.png"  # which must stay as it is
    hostile = _pick(
        rng,
        (
            f"x; rm {ran}",
            f"$(rm {ran})",
            f"`rm {ran}`",
            f"x.png|rm {ran}",
            f"rm {ran} {{input}} {{output}}",
            "os:abort",
            "os.path:join",
            "{input} {output}",
            "{input}{output}",
            "../x:y",
            "-rf",
            "\x1b[2J {input} {output}",
            "'",
            "\0 {input} {output}",
            "http://127.0.0.1:9/x.onnx",
            "/dev/zero",
            "?",
            "x" * 5000,
        ),
    )
    if rng.random() < 0.5:
        path = folder / "theirs.toml"
        text = json.dumps([hostile, "training.pairs.effects:grade"][: int(rng.integers(1, 3))])
        path.write_text(f'name = "x"\nmethod = "filter"\n[options]\nteacher = {text}\n')
        words = ["--recipe", str(path)]
    elif rng.random() < 0.5:
        (folder / "clip.mp4").write_bytes(seeds.clips["mp4"])
        name = hostile.replace("/", "_").replace("\0", "_")[:99] + _pick(
            rng, ("", "0001.png", "9" * 99)
        )
        (folder / name).write_bytes(seeds.pictures["png"])
        words = ["--recipe", "keyframes", "--clip", str(folder / "clip.mp4")]
        words += [f"--keys={folder / name}"]
    else:
        words = ["--recipe", "filter", f"--teacher={hostile}".replace("\0", "?")]
        words = [word for word in words if "rm " not in word or "{input}" not in word] or ["-h"]
    words += ["--content", str(folder), "--weights", str(folder / "absent"), "--quiet"]
    return "train", [*words, "--output", str(folder / "run"), "--device", "cpu"]


# Kind -> how many cases of it there are, and what makes them.
KINDS: dict[str, tuple[int, Maker]] = {
    "pictures": (350, pictures),
    "clips": (200, clips),
    "models": (250, models),
    "cards": (300, cards),
    "checkpoints": (120, checkpoints),
    "recipes": (250, recipes),
    "journals": (200, journals),
    "names": (180, names),
    "flags": (len(grid()), flags),
    "addresses": (200, addresses),
    "networks": (150, networks),
    "animations": (120, animations),
    "statements": (120, statements),
    "votes": (100, votes),
    "samples": (60, samples),
    "teachers": (100, teachers),
}
