"""The page's pure functions, run by Node.js: they do what the Python runtime does."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import export
from runtime.card import Port
from runtime.model import arrays

SCRIPTS = Path(export.__file__).parent / "site" / "web" / "js"


def node(script, *arguments):
    """Run a module; gives what it passes to `out`."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("no Node.js here (nodejs.org, or Debian: apt-get install nodejs)")
    head = (
        f"const base = {json.dumps(SCRIPTS.as_uri())};"
        "const tensors = await import(base + '/tensors.js');"
        "const sizes = await import(base + '/sizes.js');"
        "const engines = await import(base + '/engines.js');"
        f"const given = {json.dumps(arguments)};"
        "const out = (value) => process.stdout.write(JSON.stringify(value));"
    )
    run = subprocess.run(
        [program, "--input-type=module"],
        input=head + script,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


PORTS = [
    Port("x", shape=(1, 3, "h", "w")),
    Port("x", shape=(1, 3, "h", "w"), colors="BGR", low=-1.0, high=1.0),
    Port("x", shape=(1, "h", "w", 3), layout="NHWC", low=0.0, high=255.0),
    Port("x", shape=(1, "h", "w", 3), layout="NHWC", dtype="uint8", high=255.0),
]


@pytest.mark.parametrize("port", PORTS, ids=lambda p: f"{p.layout} {p.dtype} {p.colors} {p.low}")
@pytest.mark.parametrize("size", [(5, 7), (1, 3), (8, 8)])
def test_pictures_become_the_tensors_python_makes(port, size):
    image = np.random.default_rng(3).integers(0, 256, (*size, 3), np.uint8)
    padded = arrays.padded_size(*size, 4, 8)
    want = arrays.to_tensor(arrays.pad_to(image, *padded), port)
    rgba = np.dstack([image, np.full(size, 9, np.uint8)])
    facts = {key: getattr(port, key) for key in ("layout", "dtype", "colors", "low", "high")}
    got = node(
        "const [pixels, width, height, port] = given;"
        "const padded = tensors.paddedSize(width, height, 4, 8);"
        "const { data, dims } = tensors.toTensor(pixels, width, height, padded, port);"
        "out({ data: [...data], dims, padded });",
        rgba.ravel().tolist(),
        size[1],
        size[0],
        facts,
    )
    assert got["padded"] == [padded[1], padded[0]]
    assert got["dims"] == list(want.shape)
    assert np.allclose(np.reshape(got["data"], want.shape), want, atol=2e-7 * port.high)


@pytest.mark.parametrize("port", PORTS, ids=lambda p: f"{p.layout} {p.dtype} {p.colors} {p.low}")
def test_tensors_become_the_pictures_python_makes(port):
    # Beyond the range on both sides; where levels are the tensor's own unit also exact halves.
    levels = np.random.default_rng(4).uniform(-20, 275, (6, 8, 3)).astype(np.float32)
    if port.high == 255 and port.dtype == "float32":
        levels[0] = np.arange(24).reshape(8, 3) + np.float32(0.5)
    if port.dtype == "uint8":
        tensor = np.clip(levels, 0, 255).astype(np.uint8)[None]
    else:
        scaled = levels / 255 * (port.high - port.low) + port.low
        scaled = scaled if port.colors == "RGB" else scaled[..., ::-1]
        tensor = (scaled.transpose(2, 0, 1) if port.layout == "NCHW" else scaled)[None]
    want = arrays.to_image(np.ascontiguousarray(tensor), port)[:5, :7]
    facts = {key: getattr(port, key) for key in ("layout", "dtype", "colors", "low", "high")}
    got = node(
        "const [data, port] = given;out([...tensors.toPixels(data, [8, 6], 7, 5, port)]);",
        tensor.ravel().tolist(),
        facts,
    )
    got = np.reshape(got, (5, 7, 4))
    assert (got[..., 3] == 255).all()
    assert np.array_equal(got[..., :3], want)


def test_likeness_in_decibels():
    script = (
        "const a = new Uint8ClampedArray(400).fill(100), b = a.map((v) => v + 2);"
        "out([tensors.psnr(a, a), tensors.psnr(a, b)]);"
    )
    same, two_levels = node(script)
    assert same == 200
    assert two_levels == pytest.approx(10 * np.log10(255**2 / 4))


def test_sizes():
    got = node(
        "out({"
        " live: sizes.liveSize(1280, 720, 240, 4, 4), small: sizes.liveSize(160, 120, 240, 4, 4),"
        " least: sizes.liveSize(1000, 10, 240, 16, 32), tall: sizes.liveSize(720, 1280, 144, 4, 4),"
        " still: sizes.stillSize(4000, 3000, 0), own: sizes.stillSize(451, 300, 0),"
        " wished: sizes.stillSize(451, 300, 150) });"
    )
    assert got["live"] == [428, 240]
    assert got["small"] == [160, 120]
    assert got["least"] == [1008, 32]
    assert got["tall"] == [144, 256]
    assert got["still"] == [1600, 1200]
    assert got["own"] == [451, 300]
    assert got["wished"] == [226, 150]


def test_the_size_follows_the_machine():
    """A machine of any speed comes to rest, within the budget or at the smallest size."""
    rest = node(
        "const ends = [];"
        "for (const perPixel of given[0]) {"
        " let short = sizes.FIRST, before = 0, turns = 0;"
        " while (short !== before && turns++ < 20) {"
        "  before = short; short = sizes.nextShort(short, perPixel * short * short * 16 / 9);"
        " }"
        " ends.push([short, perPixel * short * short * 16 / 9, turns]);"
        "} out(ends);",
        [1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 1e-1],
    )
    shorts = [short for short, _, _ in rest]
    assert shorts == sorted(shorts, reverse=True)
    assert shorts[0] == 720 and shorts[-1] == 144
    assert all(ms <= 66 or short == 144 for short, ms, _ in rest)
    assert all(turns < 12 for _, _, turns in rest)


def test_engines_by_what_the_browser_has():
    listed = [
        {"name": "jspi", "needs": ["gpu", "jspi"]},
        {"name": "gpu", "needs": ["gpu"]},
        {"name": "wasm", "needs": ["wasm"]},
    ]
    cases = {
        "full": ("auto", {"gpu": True, "fast": True, "jspi": True, "wasm": True}),
        "software": ("auto", {"gpu": True, "fast": False, "jspi": True, "wasm": True}),
        "forced": ("gpu", {"gpu": True, "fast": False, "jspi": False, "wasm": True}),
        "cpu": ("cpu", {"gpu": True, "fast": True, "jspi": True, "wasm": True}),
        "old": ("auto", {"gpu": False, "fast": False, "jspi": False, "wasm": False}),
    }
    got = node(
        "out(Object.fromEntries(Object.entries(given[1]).map(([name, [wish, has]]) =>"
        " [name, engines.candidates(given[0], wish, has).map((e) => e.name)])));",
        listed,
        cases,
    )
    assert got == {
        "full": ["jspi", "gpu", "wasm"],
        "software": ["wasm"],
        "forced": ["gpu", "wasm"],
        "cpu": ["wasm"],
        "old": [],
    }
    assert node(
        "out([[true, 2], [true, 8], [true, 1], [false, 8]].map((a) => engines.threadCount(...a)));"
    ) == [1, 4, 1, 1]
