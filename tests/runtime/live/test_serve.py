"""The browser page: stream, state, commands, who may see and steer; and in a real browser."""

import http.client
import json
import queue
import socket
import threading
import time
import urllib.request

import cv2
import numpy as np
import pytest
from headless import Browser, chromium
from waiting import PATIENCE_S, wait_for

from runtime.errors import UsageError
from runtime.live.controls import Settings, apply
from runtime.live.overlay import Stats
from runtime.live.web import preview as serve
from runtime.live.web import server as servers
from runtime.live.web.preview import Preview
from runtime.live.web.server import is_loopback, own_names, parse_address

STATS = Stats(fps=29.0, target_fps=30.0, stages_ms={"style": 20.0}, size=(64, 48), working=(64, 48))


@pytest.fixture
def preview():
    with Preview("127.0.0.1:0", queue.SimpleQueue()) as running:
        yield running


def picture(level):
    return np.full((48, 64, 3), level, np.uint8)


def ask(preview, path="/", method="GET", body=None, host=None, **headers):
    """(status, headers, body) of one request."""
    address = preview._server.server_address
    connection = http.client.HTTPConnection(*address[:2], timeout=PATIENCE_S)
    connection.putrequest(method, path, skip_host=True)
    connection.putheader("Host", host or f"127.0.0.1:{address[1]}")
    for name, value in headers.items():
        connection.putheader(name.replace("_", "-"), value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body.encode() if body is not None else None)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def press(preview, action, **headers):
    return ask(preview, "/action", "POST", action, **{"X_Impasto": "1", **headers})[0]


def test_the_page_names_the_keys_and_needs_nothing_from_elsewhere(preview):
    status, headers, body = ask(preview)
    assert status == 200
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    text = body.decode()
    assert '"action": "split"' in text
    assert "http://" not in text
    assert "https://" not in text


def test_one_picture_and_the_state(preview):
    assert ask(preview, "/frame.jpg")[0] == 503
    preview.offer(picture(90))
    preview.publish(STATS, Settings(strength=0.4), ["starry", "wave"])
    status, headers, body = ask(preview, "/frame.jpg")
    assert (status, headers["Content-Type"]) == (200, "image/jpeg")
    decoded = cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR)
    assert abs(int(decoded.mean()) - 90) <= 2
    state = json.loads(ask(preview, "/state")[2])
    assert state["fps"] == 29.0
    assert state["bottleneck"] == "style"
    assert state["settings"]["strength"] == 0.4
    assert state["styles"] == ["starry", "wave"]


def test_the_stream_brings_each_new_picture(preview):
    preview.offer(picture(10))
    url = preview.url + "stream"
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as stream:
        assert "multipart/x-mixed-replace" in stream.headers["Content-Type"]
        levels = [read_part(stream)]
        for level in (120, 240):
            preview.offer(picture(level))
            while (seen := read_part(stream)) == levels[-1]:
                pass  # the last one again: nothing new came in time
            levels.append(seen)
        assert preview.watchers == 1
    assert np.abs(np.array(levels) - [10, 120, 240]).max() <= 2


def read_part(stream):
    """Mean level of the next picture."""
    length = 0
    while (line := stream.readline().strip()) or not length:
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    data = stream.read(length)
    return int(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR).mean())


def test_no_watcher_no_compression(preview, monkeypatch):
    def refuse(*_):
        raise AssertionError("compressed for nobody")

    monkeypatch.setattr(serve.cv2, "imencode", refuse)
    for level in range(20):
        preview.offer(picture(level))
    assert preview._jpeg == (0, b"")


def test_commands_are_keys_or_actions(preview):
    assert press(preview, "n") == 204
    assert press(preview, "style 2") == 204
    assert press(preview, "space") == 204
    assert [preview.actions.get(timeout=1) for _ in range(3)] == ["next", "style 2", "freeze"]
    assert press(preview, "explode") == 400
    assert press(preview, "quit") == 403
    assert ask(preview, "/action", "POST", "x" * 300, X_Impasto="1")[0] == 400
    assert ask(preview, "/other", "POST", "n", X_Impasto="1")[0] == 404
    assert ask(preview, "/nowhere")[0] == 404
    assert preview.actions.empty()


def test_other_web_sites_cannot_steer_or_look(preview):
    port = preview._server.server_address[1]
    assert ask(preview, "/action", "POST", "n")[0] == 403  # a plain form
    assert press(preview, "n", Origin="http://evil.example") == 403
    assert press(preview, "n", Origin=f"http://127.0.0.1:{port}") == 204
    # A name of theirs that resolves to 127.0.0.1.
    assert ask(preview, "/frame.jpg", host=f"evil.example:{port}")[0] == 403
    assert ask(preview, "/", host=f"localhost:{port}")[0] == 200


def test_beyond_this_machine_a_token_is_needed():
    with Preview("0.0.0.0:0", queue.SimpleQueue()) as preview:
        assert len(preview.token) > 16
        assert f"token={preview.token}" in preview.url
        for path in ("/", "/stream", "/frame.jpg", "/state", "/?token=wrong"):
            assert ask(preview, path)[0] == 401
        assert press(preview, "n") == 401
        status, headers, _ = ask(preview, f"/?token={preview.token}")
        assert status == 200
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert ask(preview, "/state", Cookie=cookie.split(";")[0])[0] == 200
    with Preview("127.0.0.1:0", queue.SimpleQueue(), token="secret") as preview:
        assert ask(preview, "/state")[0] == 401
        assert ask(preview, "/state?token=secret")[0] == 200


def test_addresses():
    assert parse_address("127.0.0.1:8080") == ("127.0.0.1", 8080)
    assert parse_address("localhost:0") == ("127.0.0.1", 0)
    assert parse_address("[::1]:80") == ("::1", 80)
    assert parse_address("8080") == ("127.0.0.1", 8080)
    for bad in ("here", "127.0.0.1:", "1.2.3.4:99999", ""):
        with pytest.raises(UsageError, match="HOST:PORT"):
            parse_address(bad)
    assert is_loopback("::1")
    assert not is_loopback("0.0.0.0")
    assert not is_loopback("example.org")


def test_a_taken_port_is_said_in_one_line(preview):
    port = preview._server.server_address[1]
    with pytest.raises(UsageError, match="another port"):
        Preview(f"127.0.0.1:{port}", queue.SimpleQueue())


def test_closing_lets_watchers_go():
    preview = Preview("127.0.0.1:0", queue.SimpleQueue())
    preview.offer(picture(1))
    with urllib.request.urlopen(preview.url + "stream", timeout=PATIENCE_S) as stream:
        read_part(stream)
        preview.close()
        while stream.readline():
            pass
    preview.close()


@pytest.fixture
def browser(tmp_path):
    running = Browser(chromium(), tmp_path / "profile")
    yield running
    running.close()


def test_in_a_browser_the_picture_moves_and_buttons_and_keys_work(preview, browser):
    settings, styles = Settings(), ["starry", "wave", "scream"]
    level = 0

    def live(action=None):
        """One turn of a main thread: a new picture, the state, what the page asked for."""
        nonlocal settings, level
        level = (level + 40) % 250
        preview.offer(picture(level))
        preview.publish(STATS, settings, styles)
        while not preview.actions.empty():
            settings = apply(settings, preview.actions.get(), len(styles))
        return True

    def until(condition):
        wait_for(lambda: live() and condition())

    live()
    browser.call("Page.navigate", url=preview.url)
    until(lambda: browser.value("document.getElementById('view')?.naturalWidth") == 64)
    until(lambda: browser.value("document.getElementById('fps')?.textContent") == "29.0 of 30")
    pixel = (
        "(() => { const c = document.createElement('canvas'); c.width = c.height = 1;"
        "const x = c.getContext('2d'); x.drawImage(document.getElementById('view'), 0, 0, 1, 1);"
        "return x.getImageData(0, 0, 1, 1).data[0]; })()"
    )
    seen = set()
    until(lambda: seen.add(browser.value(pixel)) or len(seen) >= 3)

    names = "[...document.querySelectorAll('#styles .card')].map(b => b.textContent).join()"
    until(lambda: browser.value(names) == "starry,wave,scream")
    browser.value("document.querySelectorAll('#styles input')[1].click()")
    until(lambda: settings.style == 1)
    until(lambda: browser.value("document.querySelectorAll('#styles input')[1].checked"))
    browser.value("document.querySelector('[data-action=split]').click()")
    until(lambda: settings.split)
    for key, action in (("-", "weaker"), ("m", "mirror"), (" ", "freeze"), ("3", "style 3")):
        browser.press(key)
        assert action
    until(lambda: settings.mirror and settings.frozen and settings.style == 2)
    assert settings.strength == 0.9
    until(lambda: browser.value("document.getElementById('strength').value") == "90")
    # A blank on a button presses the button, as everywhere; it does not hold the picture as well.
    browser.value("document.querySelector('[data-action=split]').focus()")
    browser.press(" ")
    until(lambda: not settings.split)
    assert settings.frozen
    browser.value(
        "(() => { const s = document.getElementById('stability'); s.value = 30;"
        "s.dispatchEvent(new Event('input', { bubbles: true })); })()"
    )
    until(lambda: settings.stability == 0.3)


def test_half_a_request_holds_a_thread_only_so_long(preview, monkeypatch):
    """Many who send half a request and wait: turned away beyond a number, closed after a time."""
    monkeypatch.setattr(servers, "REQUEST_S", 0.3)
    monkeypatch.setattr(servers, "MOST", 4)
    address = preview._server.server_address[:2]
    idle = [socket.create_connection(address) for _ in range(12)]
    for connection in idle:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: ")
    wait_for(lambda: threading.active_count() < 12)
    answers = []
    for connection in idle:
        connection.settimeout(PATIENCE_S)
        try:
            answers.append(connection.recv(64))
        except ConnectionResetError:  # turned away before it had sent all
            answers.append(b"")
        connection.close()
    assert all(answer == b"" or b" 503 " in answer for answer in answers)
    started = time.monotonic()
    wait_for(lambda: ask(preview)[0] == 200)
    assert time.monotonic() - started < PATIENCE_S


def test_other_sites_get_no_pictures(preview):
    preview.offer(picture(90))
    for path in ("/", "/frame.jpg", "/stream"):
        assert ask(preview, path, Sec_Fetch_Site="cross-site")[0] == 403
    status, headers, _ = ask(preview, "/frame.jpg", Sec_Fetch_Site="same-origin")
    assert status == 200 and headers["Cross-Origin-Resource-Policy"] == "same-origin"


def test_port_80_is_left_out_by_browsers():
    assert {"localhost", "localhost:80"} <= own_names("127.0.0.1", 80)
    assert {"[::1]", "[::1]:443", "localhost"} <= own_names("::1", 443, "https")
    assert "localhost" not in own_names("127.0.0.1", 443)
    assert "localhost" not in own_names("127.0.0.1", 80, "https")
    assert "localhost" not in own_names("127.0.0.1", 8080)
