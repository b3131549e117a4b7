"""The page in a real browser: headless Chromium, a fake camera, tiny styles of its own.

Skipped, with the reason, without Chromium, Node.js, or npm's package.
"""

import base64
import io
import shutil
import threading
import time

import numpy as np
import onnx
import PIL.Image
import pytest
from headless import Browser, chromium, wait_for

import export.artifact as flow
from export.__main__ import main
from export.targets import web
from export.verify.parity import psnr
from runtime.model.session import open_session
from runtime.serve_site import open_server

FAKE_CAMERA = ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")
# A software GPU, for WebGPU without one.
FAKE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)
SIZE = (97, 65)  # odd on purpose: the page pads and crops
# Loading an engine of 14 MB on a busy machine.
START_S = 120


@pytest.fixture(scope="module")
def site(new_checkpoint, web_dist, tmp_path_factory):
    """A page of two tiny styles: (its folder, the model files)."""
    folder = tmp_path_factory.mktemp("web")
    models = [folder / "toy.onnx", folder / "second.onnx"]
    source = new_checkpoint(folder / "toy.safetensors", width=8, blocks=1, margin=8)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "SIZES", ((96, 64),))
        patch.setattr(web, "SIZES", ((96, 64), (65, 51)))
        patch.setenv("IMPASTO_CACHE", str(web_dist.parents[3]))
        words = ["--checkpoint", source, "--output", models[0], "--quiet"]
        assert main([str(word) for word in words]) == 0
        write_another(*models)
        words = ["--target", "web", "--output", folder / "site", "--quiet"]
        words += [word for model in models for word in ("--model", model)]
        assert main([str(word) for word in words]) == 0
    return folder / "site", models


def write_another(model, other):
    """The same graph with another head: exporting a second network takes ten times as long."""
    graph = onnx.load(model)
    convolutions = [node for node in graph.graph.node if node.op_type == "Conv"]
    (head,) = (t for t in graph.graph.initializer if t.name == convolutions[-1].input[1])
    head.CopyFrom(onnx.numpy_helper.from_array(-onnx.numpy_helper.to_array(head), head.name))
    onnx.save(graph, other)


class Page:
    """The page, open in a browser of its own, and what a user does with it."""

    def __init__(self, folder, profile, *flags, query=""):
        self.server = open_server(folder, "127.0.0.1:0")
        self.url = self.server.url
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        self.browser = Browser(
            chromium(), profile, "--window-size=1200,800", *(flags or ("--disable-gpu",))
        )
        self.browser.watch()
        self.open(query)

    def open(self, query=""):
        self.browser.call("Page.navigate", url=self.url + query)
        wait_for(self.started, START_S)

    def started(self):
        ready = "document.body?.dataset.ready === 'true' && 'offline' in document.body.dataset"
        return self.browser.value(ready) or (self.message() if self.is_bad() else "")

    def stop_server(self):
        self.server.shutdown()
        self.server.server_close()

    def close(self):
        self.browser.close()
        self.stop_server()

    def message(self):
        return self.browser.value("document.getElementById('message').textContent")

    def is_bad(self):
        return self.browser.value("document.getElementById('message')?.classList.contains('bad')")

    def frames(self):
        return int(self.browser.value("document.getElementById('view').dataset.frames"))

    def click(self, action):
        found = self.browser.value(
            f"(() => {{ const b = document.querySelector('#actions [data-action={action}]');"
            "if (b.disabled) return false; b.click(); return true; })()"
        )
        assert found, f"the button {action} cannot be clicked"

    def after(self, action):
        """Do something, and wait for the next painted picture."""
        before = self.frames()
        action()
        wait_for(lambda: self.frames() > before, 60)

    def pixels(self):
        """The picture as shown, (H, W, 3)."""
        address = self.browser.value("document.getElementById('view').toDataURL('image/png')")
        return decode(base64.b64decode(address.partition(",")[2]))

    def show(self, file, act=None):
        """Choose a picture, or do `act`, and wait until it is painted."""
        self.browser.value("delete document.getElementById('view').dataset.shows")
        if act is None:
            self.browser.choose("#file", file)
        else:
            act()
        shown = "document.getElementById('view').dataset.shows"
        wait_for(lambda: self.browser.value(shown) == file.name, 60)


def decode(data):
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


def level_psnr(a, b):
    assert a.shape == b.shape
    return psnr(a / np.float32(255), b / np.float32(255))


@pytest.fixture(scope="module")
def page(site, tmp_path_factory):
    profile = tmp_path_factory.mktemp("profile")
    opened = Page(site[0], profile, *FAKE_CAMERA, "--disable-gpu")
    downloads = tmp_path_factory.mktemp("downloads")
    opened.browser.call(
        "Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads)
    )
    opened.downloads = downloads
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def nothing_went_wrong_unseen(request):
    """After every test: no complaint on the console, no request to anywhere else."""
    yield
    if "page" in request.fixturenames:
        opened = request.getfixturevalue("page")
        assert opened.browser.complaints() == []
        foreign = [url for url in opened.browser.requests() if not url.startswith(opened.url)]
        assert [url for url in foreign if not url.startswith(("blob:", "data:"))] == []


@pytest.fixture(scope="module")
def photo():
    from skimage import data

    return np.ascontiguousarray(data.chelsea()[100 : 100 + SIZE[1], 120 : 120 + SIZE[0]])


@pytest.fixture(scope="module")
def photo_file(photo, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "cat.png"
    PIL.Image.fromarray(photo).save(path)
    return path


@pytest.fixture(scope="module")
def expected(site, photo):
    """What the Python runtime paints, per style."""
    found = []
    for model in site[1]:
        with open_session(model, threads=1) as session:
            found.append(session.stylize(photo))
    assert level_psnr(*found) < 30, "the two styles must differ"
    return found


def test_it_says_what_runs_and_is_isolated(page):
    assert page.message() == "Ready."
    assert page.browser.value("document.getElementById('engine').textContent").startswith("CPU")
    assert page.browser.value("crossOriginIsolated") is True
    names = "[...document.querySelectorAll('#styles img')].every(i => i.naturalWidth === 480)"
    wait_for(lambda: page.browser.value(names))


def test_a_picture_is_painted_as_in_python(page, photo_file, expected):
    page.show(photo_file)
    assert level_psnr(page.pixels(), expected[0]) >= 45
    assert page.message() == "cat.png"


def test_keys_change_strength_split_and_style(page, photo_file, photo, expected):
    page.show(photo_file)
    for _ in range(3):
        page.browser.press("-")
    blend = 0.3 * photo.astype(np.float32) + 0.7 * expected[0]
    assert page.browser.value("document.getElementById('strength').value") == "70"
    assert level_psnr(page.pixels(), blend) >= 42  # the canvas rounds each step
    for _ in range(3):
        page.browser.press("+")
    page.browser.press("v")
    shown = page.pixels()
    middle = round(SIZE[0] / 2)
    assert np.array_equal(shown[:, : middle - 1], photo[:, : middle - 1])
    assert level_psnr(shown[:, middle + 1 :], expected[0][:, middle + 1 :]) >= 45
    page.browser.press("v")
    page.after(lambda: page.browser.press("n"))
    assert level_psnr(page.pixels(), expected[1]) >= 45
    assert page.browser.value("document.querySelectorAll('#styles input')[1].checked")
    page.after(lambda: page.browser.press("1"))
    assert level_psnr(page.pixels(), expected[0]) >= 45
    page.browser.press("m")
    assert level_psnr(page.pixels()[:, ::-1], expected[0]) >= 45
    page.browser.press("m")
    page.browser.press("h")
    assert page.browser.value("document.getElementById('about').open")
    page.browser.value("document.getElementById('about').close()")


def test_keys_can_be_switched_off_and_do_not_disturb_controls(page, photo_file):
    page.show(photo_file)
    page.browser.value("document.getElementById('keys-on').click()")
    page.browser.press("v")
    pressed = "document.querySelector('#actions [data-action=split]').getAttribute('aria-pressed')"
    assert page.browser.value(pressed) == "false"
    page.browser.value("document.getElementById('keys-on').click()")
    page.browser.value("document.getElementById('detail').focus()")
    page.browser.press("v")
    assert page.browser.value(pressed) == "false"
    page.browser.value("document.activeElement.blur()")


def test_everything_that_can_be_used_has_a_name(page):
    """Names as a screen reader gets them, from the browser's own accessibility tree."""
    page.browser.call("Accessibility.enable")
    nodes = page.browser.call("Accessibility.getFullAXTree")["nodes"]
    page.browser.call("Accessibility.disable")
    usable = {"button", "slider", "radio", "combobox", "checkbox", "image", "img", "link"}
    nameless = [
        (node["role"]["value"], node["backendDOMNodeId"])
        for node in nodes
        if not node["ignored"]
        and node["role"]["value"] in usable
        and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    roles = [node["role"]["value"] for node in nodes if not node["ignored"]]
    assert roles.count("radio") == 2 and roles.count("button") > 8


def test_the_camera_moves_and_can_be_held(page):
    page.click("camera")
    wait_for(lambda: page.browser.value("document.body.dataset.source") == "camera", 60)
    seen = set()

    def moved():
        seen.add(page.pixels().tobytes())
        return len(seen) >= 3

    wait_for(moved, 60)
    mirror = "document.querySelector('#actions [data-action=mirror]').getAttribute('aria-pressed')"
    assert page.browser.value(mirror) == "true"
    page.browser.press(" ")
    wait_for(lambda: page.message() == "The picture is held.")
    time.sleep(0.5)  # what was in work is shown still
    held = page.pixels()
    time.sleep(0.5)
    assert np.array_equal(page.pixels(), held)
    # Another style paints the held picture.
    page.after(lambda: page.browser.press("2"))
    assert not np.array_equal(page.pixels(), held)
    page.after(lambda: page.browser.press("1"))
    # What is saved is the held frame at the camera's size, not at the size it is shown in.
    small = page.pixels()
    page.browser.press("c")
    path = saved(page, "png")
    wait_for(lambda: path.stat().st_size > 0)
    wait_for(lambda: page.message().startswith("Saved "), 60)
    whole = decode(path.read_bytes())
    path.unlink()
    assert whole.shape == (720, 1280, 3)  # what the page asks cameras for
    assert small.shape[0] < 720
    # Flat parts are the same; the network's strokes are of another scale.
    alike = np.asarray(PIL.Image.fromarray(whole).resize(small.shape[1::-1], PIL.Image.BOX))
    assert np.abs(alike.astype(float) - small).mean() < 20
    page.after(lambda: page.browser.press(" "))


def saved(page, extension):
    """The finished download."""
    return wait_for(lambda: next(iter(page.downloads.glob(f"*.{extension}")), None), 60)


def test_a_snapshot_is_what_is_seen(page, photo_file):
    page.show(photo_file)
    page.browser.press("c")
    path = saved(page, "png")
    assert path.name.startswith("impasto-toy-2")
    wait_for(lambda: path.stat().st_size > 0)
    assert np.array_equal(decode(path.read_bytes()), page.pixels())
    wait_for(lambda: page.message() == f"Saved {path.name}.")


def record(page):
    """Record some frames; the finished file."""
    for old in page.downloads.iterdir():
        old.unlink()
    page.click("record")
    start = page.frames()
    wait_for(lambda: page.frames() > start + 8, 60)
    page.click("record")
    kinds = (".mp4", ".webm")
    path = wait_for(lambda: next((p for p in page.downloads.iterdir() if p.suffix in kinds), 0), 60)
    wait_for(lambda: page.message() == f"Saved {path.name}.")
    return path


def test_a_recording_plays(page):
    import av

    page.click("camera")
    wait_for(lambda: page.browser.value("document.body.dataset.source") == "camera", 60)
    before = page.frames()
    wait_for(lambda: page.frames() > before + 2, 60)
    with av.open(str(record(page))) as clip:
        frames = [frame.to_ndarray(format="rgb24") for frame in clip.decode(video=0)]
    assert len(frames) >= 3
    assert any(not np.array_equal(frames[0], frame) for frame in frames[1:])
    page.click("camera")
    assert page.message() == "The camera is off."


def write_clip(path):
    """Three seconds at 96x64: a growing bar, and a tone."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("libvpx", rate=10, options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        sound = out.add_stream("libopus", rate=48000, layout="mono")
        for number in range(30):
            picture = np.full((64, 96, 3), 8 * number, np.uint8)
            picture[:, : 3 * number] = (255, 120, 0)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        tone = (8000 * np.sin(np.arange(3 * 48000) * 0.06)).astype(np.int16)
        for start in range(0, len(tone), 960):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 960], "s16", "mono")
            frame.sample_rate, frame.pts = 48000, start
            out.mux(sound.encode(frame))
        out.mux(stream.encode())
        out.mux(sound.encode())


def test_a_clip_is_played_searched_and_recorded_with_its_sound(page, tmp_path):
    import av

    path = tmp_path / "clip.webm"
    write_clip(path)
    before = page.frames()
    page.browser.choose("#file", path)
    wait_for(lambda: page.frames() > before + 4, 60)
    assert page.browser.value("document.getElementById('position-row').hidden") is False
    page.browser.press(" ")
    page.browser.value(
        "(() => { const p = document.getElementById('position'); p.value = 0.5;"
        "p.dispatchEvent(new Event('input')); })()"
    )
    wait_for(lambda: page.browser.value("document.getElementById('position-text').textContent"))
    page.browser.press(" ")
    before = page.frames()
    wait_for(lambda: page.frames() > before + 2, 60)
    path = record(page)
    with av.open(str(path)) as clip:
        tone = [frame.to_ndarray() for frame in clip.decode(audio=0)]
    assert max(np.abs(part.astype(float)).max() for part in tone) > 0.05


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("notes.txt", b"words", '"notes.txt" is neither a picture nor a clip.'),
        ("broken.png", b"no picture", '"broken.png" is a picture this browser cannot read.'),
        ("broken.mp4", b"no clip", '"broken.mp4" is a clip this browser cannot play.'),
    ],
)
def test_files_that_cannot_be_shown_are_named(page, tmp_path, name, data, says):
    (tmp_path / name).write_bytes(data)
    page.browser.choose("#file", tmp_path / name)
    wait_for(lambda: page.message().startswith(says))
    assert page.is_bad()


def test_dropping_a_file(page, photo_file, expected):
    """As the browser delivers a drop: an event with files."""
    data = base64.b64encode(photo_file.read_bytes()).decode()
    page.show(
        photo_file,
        lambda: page.browser.value(
            f"(() => {{ const bytes = Uint8Array.from(atob('{data}'), c => c.charCodeAt(0));"
            "const held = new DataTransfer();"
            "held.items.add(new File([bytes], 'cat.png', { type: 'image/png' }));"
            "document.dispatchEvent(new DragEvent('drop', { dataTransfer: held })); })()"
        ),
    )
    assert level_psnr(page.pixels(), expected[0]) >= 45


def test_the_page_fits_a_phone(page, photo_file):
    page.show(photo_file)
    size = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    page.browser.call("Emulation.setDeviceMetricsOverride", **size)
    try:
        wait_for(lambda: page.browser.value("innerWidth") == 360)
        assert page.browser.value("document.documentElement.scrollWidth") <= 360
        boxes = page.browser.value(
            "[...document.querySelectorAll('#actions button')].filter(b => b.offsetParent)"
            ".map(b => { const r = b.getBoundingClientRect();"
            "return [r.left, r.right, r.bottom, r.width, r.height]; })"
        )
        assert len(boxes) >= 7
        for left, right, bottom, width, height in boxes:
            assert left >= 0 and right <= 360 and bottom <= 740
            assert width >= 40 and height >= 44  # large enough for a thumb
        wide = page.browser.value("document.getElementById('view').getBoundingClientRect().width")
        assert wide >= 300
    finally:
        page.browser.call("Emulation.clearDeviceMetricsOverride")


def test_offline_it_opens_and_paints_with_threads(site, photo_file, expected, tmp_path):
    """After the first visit the server is gone."""
    opened = Page(site[0], tmp_path)
    try:
        said = "document.getElementById('offline').textContent"
        assert opened.browser.value(said) == "Works offline from now on."
        opened.stop_server()
        # The second visit as on a machine with four cores: with threads.
        opened.browser.call("Emulation.setHardwareConcurrencyOverride", hardwareConcurrency=4)
        opened.browser.call("Page.reload")
        wait_for(lambda: not opened.browser.value("document.body?.dataset.ready"))
        wait_for(opened.started, START_S)
        assert opened.message() == "Ready."
        engine = opened.browser.value("document.getElementById('engine').textContent")
        assert engine == "CPU · WebAssembly, 3 threads"
        for style in (0, 1):
            opened.show(photo_file)
            if style:
                opened.after(lambda: opened.browser.press("2"))
            assert level_psnr(opened.pixels(), expected[style]) >= 45
        assert opened.browser.complaints() == []
    finally:
        opened.browser.close()


def test_failures_are_said_in_one_line(site, tmp_path):
    """A camera that is denied, one that is absent, a damaged model, a missing one."""
    folder = tmp_path / "site"
    shutil.copytree(site[0], folder)
    model = folder / "models" / "second.onnx"
    data = bytearray(model.read_bytes())
    data[-500] ^= 1
    model.write_bytes(data)
    opened = Page(folder, tmp_path / "profile", FAKE_CAMERA[1], "--disable-gpu")
    try:
        opened.browser.call(
            "Browser.setPermission", permission={"name": "camera"}, setting="denied"
        )
        opened.click("camera")
        wait_for(lambda: opened.message().startswith("The camera was not allowed."))
        opened.browser.press("2")
        wait_for(lambda: opened.message().endswith("second.onnx is damaged"))
        assert opened.browser.value("document.querySelector('#styles input').checked")
        model.unlink()
        opened.browser.press("2")
        wait_for(lambda: "second.onnx is missing on the server (404)" in opened.message())
        assert opened.is_bad()
        (folder / "models" / "toy.onnx").unlink()
    finally:
        opened.close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("runtime.serve_site.check_site", lambda folder: {})
        opened = Page(folder, tmp_path / "another")
    try:
        assert "toy.onnx is missing on the server (404)" in opened.message()
        assert opened.browser.value("document.getElementById('engine').textContent") == (
            "not running"
        )
        opened.click("camera")
        wait_for(lambda: opened.message().startswith("No camera was found."))
    finally:
        opened.close()


def test_an_engine_that_paints_wrong_is_passed_over(site, tmp_path):
    """The picture each browser is tried with decides; nothing is painted wrong in silence."""
    folder = tmp_path / "site"
    shutil.copytree(site[0], folder)
    trial = folder / "models" / "toy.check"
    data = np.frombuffer(trial.read_bytes(), np.uint8).copy()
    data[len(data) // 2 :] ^= 16
    trial.write_bytes(data.tobytes())
    opened = Page(folder, tmp_path / "profile")
    try:
        assert "it paints wrong here" in opened.message()
        assert opened.browser.value("document.body.dataset.ready") == "false"
    finally:
        opened.close()


def test_a_gpu_paints_as_in_python(site, photo_file, expected, tmp_path):
    opened = Page(site[0], tmp_path, *FAKE_GPU, query="?engine=gpu")
    try:
        if (
            opened.browser.value("navigator.gpu?.requestAdapter().then(a => !a)", wait=True)
            is not False
        ):
            pytest.skip("this Chromium has no software WebGPU")
        engine = opened.browser.value("document.getElementById('engine').textContent")
        assert engine == "GPU · WebGPU", opened.message()
        opened.show(photo_file)
        assert level_psnr(opened.pixels(), expected[0]) >= 45
        # On to the other engine while the picture is on the page.
        opened.after(
            lambda: opened.browser.value(
                "(() => { const w = document.getElementById('wish'); w.value = 'cpu';"
                "w.dispatchEvent(new Event('change')); })()"
            )
        )
        engine = opened.browser.value("document.getElementById('engine').textContent")
        assert engine.startswith("CPU · WebAssembly")
        assert level_psnr(opened.pixels(), expected[0]) >= 45
        assert opened.browser.complaints() == []
    finally:
        opened.close()
