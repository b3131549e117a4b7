"""The control desk: its files, cards of styles, pictures painted and saved; in a real browser."""

import http.client
import queue

import cv2
import numpy as np
import pytest
from headless import Browser, chromium
from waiting import PATIENCE_S, wait_for

from runtime.errors import CardMismatch
from runtime.live.capture import Cameras
from runtime.live.controls import Settings, apply
from runtime.live.overlay import Stats
from runtime.live.styles import Entry, Styles
from runtime.live.web import pages
from runtime.live.web import preview as serving
from runtime.live.web.page_painter import CARD, PagePainter
from runtime.live.web.preview import Preview
from runtime.model.options import StylizeOptions, open_stylizer

STATS = Stats(fps=29.0, target_fps=30.0, stages_ms={"style": 20.0}, size=(64, 48), working=(64, 48))


@pytest.fixture
def painter(invert_model):
    """Of one style that inverts, and of one that cannot be opened."""

    def invert(_, threads):
        return open_stylizer(StylizeOptions([(str(invert_model), 1.0)], threads=threads))

    def damaged(*_):
        raise CardMismatch("damaged.onnx is damaged")

    return PagePainter(Styles([Entry("invert", invert), Entry("damaged", damaged)]))


@pytest.fixture
def preview(painter):
    with Preview("127.0.0.1:0", queue.SimpleQueue(), painter=painter) as running:
        yield running


def noise(height, width):
    return np.random.default_rng(5).integers(0, 256, (height, width, 3), np.uint8)


def encoded(picture, suffix=".png"):
    return cv2.imencode(suffix, picture[..., ::-1])[1].tobytes()


def decoded(data):
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


def ask(preview, path, method="GET", body=None, **headers):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection(*preview._server.server_address[:2], timeout=PATIENCE_S)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def paint(preview, data, **headers):
    """Status and body of a picture sent to be painted."""
    status, _, body = ask(preview, "/paint", "POST", data, **{"X_Impasto": "1", **headers})
    return status, body


def test_a_picture_is_painted_at_its_size_as_the_show_is(preview):
    picture = noise(37, 53)
    status, body = paint(preview, encoded(picture))
    assert status == 200
    np.testing.assert_allclose(decoded(body).astype(int), 255 - picture.astype(int), atol=1)
    preview.publish(STATS, Settings(strength=0.0), ["invert"])
    np.testing.assert_array_equal(decoded(paint(preview, encoded(picture))[1]), picture)
    status, body = paint(preview, encoded(picture, ".jpg"))
    assert (status, body[:2]) == (200, b"\xff\xd8")


def test_what_is_no_picture_is_refused_without_naming_places(preview):
    status, body = paint(preview, b"no picture at all")
    assert status == 400
    assert b"this file" in body
    assert b"impasto-" not in body
    assert paint(preview, b"")[0] == 400
    preview.publish(STATS, Settings(style=1), ["invert", "damaged"])
    assert paint(preview, encoded(noise(8, 8))) == (400, b"damaged.onnx is damaged\n")


def test_only_our_page_has_pictures_painted_one_at_a_time(preview, monkeypatch):
    data = encoded(noise(8, 8))
    assert paint(preview, data, X_Impasto="0")[0] == 403
    assert paint(preview, data, Origin="http://evil.example")[0] == 403
    assert paint(preview, data, Sec_Fetch_Site="cross-site")[0] == 403
    with preview.uploading:
        assert paint(preview, data)[0] == 503
    monkeypatch.setattr(serving, "MAX_PICTURE", len(data) - 1)
    assert paint(preview, data)[0] == 413
    monkeypatch.undo()
    assert paint(preview, data)[0] == 200


def test_a_picture_that_does_not_arrive_lets_the_next_one_in(preview, monkeypatch):
    data = encoded(noise(8, 8))
    monkeypatch.setattr(serving, "UPLOAD_S", 0.0)
    with pytest.raises(OSError):
        paint(preview, data)
    monkeypatch.undo()
    wait_for(lambda: not preview.uploading.locked())
    assert paint(preview, data)[0] == 200


def test_cards_show_each_style(preview):
    status, headers, body = ask(preview, "/cards/1.jpg")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    assert decoded(body).shape == (CARD[1], CARD[0], 3)
    assert ask(preview, "/cards/1.jpg")[2] == body
    assert ask(preview, "/cards/2.jpg")[0] == 404
    assert ask(preview, "/cards/3.jpg")[0] == 404
    assert ask(preview, "/cards/0.jpg")[0] == 404


def test_the_newest_picture_without_loss(preview):
    assert ask(preview, "/frame.png")[0] == 503
    picture = noise(48, 64)
    preview.offer(picture)
    np.testing.assert_array_equal(decoded(ask(preview, "/frame.png")[2]), picture)


def test_files_of_the_page_and_no_others(preview):
    for address, kind in (
        ("/style.css", "text/css; charset=utf-8"),
        ("/icon.svg", "image/svg+xml"),
        ("/js/desk.js", "text/javascript; charset=utf-8"),
        ("/js/keys.js", "text/javascript; charset=utf-8"),
    ):
        status, headers, body = ask(preview, address)
        assert (status, headers["Content-Type"]) == (200, kind)
        assert body == pages.FILES[address].read_bytes()
    for address in ("/js/../preview.py", "/preview.py", "/js/", "/index.html", "/js/%2e%2e/x.css"):
        assert ask(preview, address)[0] == 404
    with Preview("127.0.0.1:0", queue.SimpleQueue(), token="secret") as locked:
        for address in ("/js/desk.js", "/frame.png", "/cards/1.jpg"):
            assert ask(locked, address)[0] == 401


def test_in_a_browser_save_record_and_paint_give_files_to_this_device(preview, tmp_path):
    downloads = tmp_path / "downloads"
    downloads.mkdir()
    photo = tmp_path / "photo.png"
    photo.write_bytes(encoded(noise(30, 40)))
    settings, level, asked = Settings(), 0, []
    cameras = Cameras({0: "Built in", 2: "On the shelf"}, 0)
    browser = Browser(chromium(), tmp_path / "profile")

    def live():
        nonlocal settings, level
        level = (level + 1) % 200
        preview.offer(np.full((48, 64, 3), level, np.uint8))
        preview.publish(STATS, settings, ["invert"], cameras=cameras)
        while not preview.actions.empty():
            asked.append(preview.actions.get())
            settings = apply(settings, asked[-1], 1)
        return True

    def until(condition):
        wait_for(lambda: live() and condition(), 3 * PATIENCE_S)

    def clicks(action):
        browser.value(f"document.querySelector('[data-action={action}]').click()")

    try:
        browser.watch()
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        browser.call(
            "Emulation.setDeviceMetricsOverride",
            width=390, height=844, deviceScaleFactor=2, mobile=True,
        )  # fmt: skip
        live()
        browser.call("Page.navigate", url=preview.url)
        until(lambda: browser.value("document.getElementById('view')?.naturalWidth") == 64)
        until(lambda: browser.value("document.querySelectorAll('#styles input').length") == 1)
        # Nothing is wider than a phone, and every control has a name.
        assert browser.value("document.documentElement.scrollWidth") <= 390
        nameless = (
            "[...document.querySelectorAll('button, input:not([hidden]), select')].filter(e =>"
            "!(e.textContent.trim() || e.getAttribute('aria-label') || e.labels?.length)).length"
        )
        assert browser.value(nameless) == 0
        assert browser.value("document.getElementById('camera').value") == "0"
        browser.value(
            "{ const list = document.getElementById('camera'); list.value = '2';"
            " list.dispatchEvent(new Event('change')); }"
        )
        until(lambda: "camera 2" in asked)
        clicks("snapshot")
        until(lambda: list(downloads.glob("*.png")))
        clicks("record")
        until(lambda: browser.value("document.getElementById('clock').textContent") >= "0:01")
        clicks("record")
        until(
            lambda: list(downloads.glob("impasto-invert-*.mp4")) or list(downloads.glob("*.webm"))
        )
        browser.choose("#file", photo)
        until(lambda: browser.value("document.getElementById('painted').open"))
        title = "document.getElementById('painted-title').textContent"
        until(lambda: browser.value(title) == "Painted, 40×30")
        assert browser.complaints() == []
    finally:
        browser.close()
