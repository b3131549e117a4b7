"""The page in a real browser: headless Chromium, a fake camera, tiny styles of its own.

Skipped, with the reason, without Chromium, Node.js, or npm's package.
"""

import json
import shutil
import time

import numpy as np
import PIL.Image
import pytest
from waiting import wait_for
from webpage import FAKE_CAMERA, START_S, Page, decode, level_psnr

from runtime.model.session import open_session

# A software GPU, for WebGPU without one.
FAKE_GPU = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)
SIZE = (97, 65)  # of the photo


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


def test_skies_of_pictures_are_painted_unless_e_says_no(site, tmp_path):
    folder = shutil.copytree(
        site[0], tmp_path / "site", ignore=shutil.ignore_patterns("*.gz", "*.br")
    )
    listing = json.loads((folder / "site.json").read_text())
    listing["styles"][0]["noise"] = 0.5
    (folder / "site.json").write_text(json.dumps(listing))
    sky = np.full((SIZE[1], SIZE[0], 3), 128, np.uint8)
    PIL.Image.fromarray(sky).save(tmp_path / "sky.png")
    with open_session(site[1][0], threads=1) as session:
        expected = session.stylize(sky)
    opened = Page(folder, tmp_path, "--disable-gpu")
    try:
        opened.show(tmp_path / "sky.png")
        assert level_psnr(opened.pixels(), expected) < 40
        opened.after(lambda: opened.browser.press("e"))
        assert level_psnr(opened.pixels(), expected) >= 45
        opened.reload()  # and it is remembered
        opened.show(tmp_path / "sky.png")
        assert level_psnr(opened.pixels(), expected) >= 45
    finally:
        opened.close()


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
    assert {frame.shape for frame in frames} == {(720, 1280, 3)}  # the camera's own size
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
