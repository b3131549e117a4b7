"""The page's pure functions, run by Node.js: they do what the Python runtime does."""

import json
import shutil
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

import export
import runtime
from export.site import folded
from runtime.card import Port
from runtime.input_noise.flat import flatness
from runtime.live.upscale import upscale
from runtime.model import arrays
from runtime.model.folding import FoldedLayer, Folding
from runtime.pictures.reading import read_rgb

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
        "const { enlarge } = await import(base + '/enlarge.js');"
        "const { Steadier } = await import(base + '/steady.js');"
        "const codes = await import(base + '/codes.js');"
        "const scene = await import(base + '/scene.js');"
        "const noise = await import(base + '/input_noise.js');"
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
        " wished: sizes.stillSize(451, 300, 150), full: sizes.stillSize(4000, 3000, sizes.FULL) });"
    )
    assert got["live"] == [428, 240]
    assert got["small"] == [160, 120]
    assert got["least"] == [1008, 32]
    assert got["tall"] == [144, 256]
    assert got["still"] == [1600, 1200]
    assert got["own"] == [451, 300]
    assert got["wished"] == [226, 150]
    assert got["full"] == [4000, 3000]


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
    assert shorts[0] == 720 and shorts[-1] == 240
    assert all(ms <= 66 or short == 240 for short, ms, _ in rest)
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


def rgba(image):
    return np.dstack([image, np.full(image.shape[:2], 255, np.uint8)]).ravel().tolist()


PICTURE = (
    "const picture = (data, [height, width]) =>"
    " ({ data: Uint8ClampedArray.from(data), width, height });"
)


def test_what_is_enlarged_is_what_the_live_window_shows():
    photo = read_rgb(Path(runtime.__file__).parent / "photographs" / "coffee.jpg")[:120, :160]
    seen = cv2.resize(photo, (64, 48), interpolation=cv2.INTER_AREA)
    painted = cv2.addWeighted(seen[..., ::-1], 0.8, np.full_like(seen, 40), 1, 0)
    got = node(
        PICTURE + "const [painted, seen, camera, small, large] = given;"
        "out([...enlarge(picture(painted, small), picture(seen, small), picture(camera, large))]);",
        *(rgba(image) for image in (painted, seen, photo)),
        seen.shape[:2],
        photo.shape[:2],
    )
    got = np.reshape(got, (120, 160, 4))
    assert (got[..., 3] == 255).all()
    # Luma is rounded in between there and not here.
    difference = np.abs(got[..., :3] - upscale(painted, photo).astype(int))
    assert difference.mean() < 0.6 and difference.max() <= 6


def steadied(frames, key="one"):
    """The frames through the page's steadier, the network being the picture itself."""
    height, width = frames[0].shape[:2]
    got = node(
        "const [frames, width, height, keys] = given, steadier = new Steadier();"
        "out(frames.map((data, k) => {"
        " const pixels = Uint8ClampedArray.from(data);"
        " steadier.before(pixels, width, height, keys[k]);"
        " const painted = Uint8ClampedArray.from(pixels);"
        " steadier.after(painted);"
        " return [...painted]; }));",
        [rgba(frame) for frame in frames],
        width,
        height,
        [key] * len(frames) if isinstance(key, str) else key,
    )
    return [np.reshape(one, (height, width, 4))[..., :3].astype(np.uint8) for one in got]


def test_still_places_come_to_rest_and_what_moves_is_new_at_once():
    random = np.random.default_rng(0)
    scene = cv2.GaussianBlur(random.integers(0, 256, (64, 96, 3)).astype(np.float32), (0, 0), 4)
    scene = (scene - scene.mean()) * 4 + 128
    frames = [scene + random.normal(0, 3, scene.shape) for _ in range(24)]
    for k, frame in enumerate(frames):
        frame[8:24, 3 * k : 3 * k + 16] = 230
    frames = [np.clip(frame, 0, 255).astype(np.uint8) for frame in frames]
    shown = steadied(frames)
    still = (slice(40, 64), slice(None))
    flicker = [cv2.absdiff(a[-1][still], a[-2][still]).mean() for a in (frames, shown)]
    assert flicker[1] < 0.25 * flicker[0]
    square = (slice(10, 22), slice(3 * 23 + 2, 3 * 23 + 14))
    assert shown[-1][square].mean() > 225  # the newest place of it
    behind = (slice(10, 22), slice(10, 40))
    assert cv2.absdiff(shown[-1][behind], frames[-1][behind]).mean() < 6  # nothing left behind


def test_another_style_and_another_scene_are_there_at_once():
    dark, light = np.full((16, 16, 3), 20, np.uint8), np.full((16, 16, 3), 24, np.uint8)
    assert (steadied([dark, light], ["one", "two"])[1] == 24).all()
    assert (steadied([dark, light])[1] < 22).all()
    assert (steadied([dark, light + 200])[1] == 224).all()


def test_paintings_of_one_model_mix_with_the_next_one():
    styles = [
        {"name": "lone", "model": "lone", "codes": {}},
        {"name": "a", "model": "many", "code": {"mixes": True}, "codes": {"code": [1, 0]}},
        {"name": "own", "model": "adain", "code": {"mixes": False}, "codes": {"code": [3]}},
        {"name": "b", "model": "many", "code": {"mixes": True}, "codes": {"code": [0, 1]}},
    ]
    got = node(
        "const [styles] = given;"
        "const partners = styles.map((_, k) => codes.partner(styles, k)?.name ?? null);"
        "const halves = codes.mixed(styles[1], styles[3], 0.25);"
        "out([partners, halves, codes.mixed(styles[2], null, 1)]);",
        styles,
    )
    assert got == [[None, "b", None, "a"], {"code": [0.75, 0.25]}, {"code": [3]}]


def test_a_painting_mixes_with_any_other_of_its_model():
    styles = [
        {"name": name, "model": "many", "code": {"mixes": True}, "codes": {}} for name in "abc"
    ]
    got = node(
        "const [styles] = given;"
        "out(['c', 'b', 'a', 'gone'].map((name) => codes.partner(styles, 0, name).name));",
        styles,
    )
    assert got == ["c", "b", "b", "b"]  # not with itself: the next one then


LAYER = FoldedLayer(
    name="conv",
    input_scale=0.02,
    weight_scale=np.array([0.01, 0.03], np.float32),
    gamma=np.array([2.0, 0.5], np.float32),
    beta=np.array([0.25, -1.0], np.float32),
    epsilon=1e-5,
)


@pytest.mark.parametrize("variance", [(4.0, 0.25), (0.0, 1e-9), (1e6, 1.0)])
def test_a_scene_is_folded_as_python_folds_it(variance):
    found = {"mean": [3.0, -1.0], "variance": list(variance)}
    layers = folded.figures(Folding((LAYER,), b""))
    got = node(
        "out(Object.entries(scene.fold(...given)).map(([n, v]) => [n, [...v]]));", layers, found
    )
    expected = LAYER.fold(np.array(found["mean"]), np.array(variance))
    for name, values in got:
        assert values == pytest.approx(expected[name].tolist(), rel=1e-6)


def test_a_live_scene_is_measured_when_it_begins_and_when_it_drifted():
    """Colors stay, drift, stay, are others: measured three times; between, in small steps."""
    still, drifted, other = ([level] * 3 + [40.0] * 3 for level in (100.0, 110.0, 200.0))
    seen = [still] * 5 + [drifted] * 90 + [other]
    layers = folded.figures(Folding((LAYER,), b""))
    got = node(
        "const [layers, seen] = given, one = new scene.Scene(layers), found = []; let count = 0;"
        "for (const colors of seen) {"
        " const measure = async () => (count++, { mean: [colors[0], 0], variance: [1, 1] });"
        " const inputs = await one.next(colors, 'size', measure);"
        " found.push([count, inputs['conv.bias'][0]]); }"
        "out(found);",
        layers,
        seen,
    )
    counts, biases = (list(column) for column in zip(*got, strict=True))
    assert (counts[0], counts[28], counts[30], counts[-2], counts[-1]) == (1, 1, 2, 2, 3)
    shown = np.array(biases[:-1], float)
    goal = LAYER.fold(np.array([110.0, 0.0]), np.ones(2))["conv.bias"][0]
    assert np.abs(np.diff(shown)).max() < 0.5 * abs(shown[-1] - shown[0])
    assert shown[-1] == pytest.approx(goal, rel=1e-3)
    first = LAYER.fold(np.array([200.0, 0.0]), np.ones(2))["conv.bias"][0]
    assert biases[-1] == pytest.approx(first, abs=1)


@pytest.mark.parametrize("size", [(64, 96), (50, 71), (1, 5)])
def test_flat_places_are_those_that_python_finds(size):
    photo = read_rgb(Path(runtime.__file__).parent / "photographs" / "coffee.jpg")
    photo = np.ascontiguousarray(photo[40 : 40 + size[0], 60 : 60 + size[1]])
    found = node(
        "const [data, [h, w]] = given;"
        "out([...noise.flatness(Uint8ClampedArray.from(data), w, h)]);",
        rgba(photo),
        size,
    )
    expected = flatness(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY))
    # Grays are rounded alike but for ties.
    assert np.allclose(np.reshape(found, expected.shape), expected, atol=0.02)


def test_cells_of_noise_are_enlarged_as_opencv_does():
    cells = np.random.default_rng(5).standard_normal((3, 5, 3)).astype(np.float32)
    found = node(
        "const [cells] = given, found = [];"
        "noise.enlarged(Float32Array.from(cells), 75, 40, (y, row) => found.push([...row]));"
        "out(found);",
        cells.ravel().tolist(),
    )
    expected = cv2.resize(cells, (80, 48), interpolation=cv2.INTER_CUBIC)[:40, :75]
    assert np.allclose(np.reshape(found, expected.shape), expected, atol=1e-5)


def test_noise_is_normal_and_the_same_each_time():
    first, second = node("out([[...noise.normals(20000)], [...noise.normals(20000)]]);")
    assert first == second
    values = np.array(first)
    assert abs(values.mean()) < 0.03 and values.std() == pytest.approx(1, abs=0.02)
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03
    assert (np.abs(values) > 1.96).mean() == pytest.approx(0.05, abs=0.006)


def test_noise_is_added_where_a_picture_is_flat():
    picture = np.full((96, 96, 3), 128, np.uint8)
    picture[:, 48:] = np.random.default_rng(6).integers(0, 256, (96, 48, 3))
    found = node(
        "const [data, amount] = given, pixels = Uint8ClampedArray.from(data);"
        "noise.addNoise(pixels, 96, 96, amount); out([...pixels]);",
        rgba(picture),
        0.15,
    )
    added = np.reshape(found, (96, 96, 4))[..., :3] - picture.astype(float)
    flat, busy = added[:, :32], added[:, 64:]
    # A deviation of 0.15 * 0.2 * 255 = 7.65 in the cells; interpolation takes a fifth of it.
    assert 4 < flat.std() < 9
    assert np.abs(busy).max() <= 1
