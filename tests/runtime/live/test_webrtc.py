"""The picture by WebRTC, with aiortc as the browser; needs aiortc."""

import asyncio
import json
import queue
import re
import threading
import time
import urllib.error
import urllib.request

import numpy as np
import pytest
from headless import Browser, chromium
from waiting import wait_for

from runtime.live.controls import Settings
from runtime.live.overlay import Stats
from runtime.live.web import webrtc
from runtime.live.web.preview import Preview

aiortc = pytest.importorskip("aiortc", reason="needs aiortc (pip install aiortc)")
PATIENCE_S = 30.0


def post(preview, body, **headers):
    request = urllib.request.Request(
        preview.url.rstrip("/") + "/webrtc",
        data=body.encode(),
        headers={"X-Impasto": "1", **headers},
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return answer.read().decode()


@pytest.fixture
def preview():
    with Preview("127.0.0.1:0", queue.SimpleQueue()) as made:
        yield made


async def watch(preview):
    """Connect as a browser does; the color of the first picture, and the offer's answer."""
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    tracks = asyncio.get_running_loop().create_future()
    peer.on("track", tracks.set_result)
    await peer.setLocalDescription(await peer.createOffer())
    local = peer.localDescription
    offer = json.dumps({"sdp": local.sdp, "type": local.type})
    answer = json.loads(await asyncio.to_thread(post, preview, offer))
    await peer.setRemoteDescription(aiortc.RTCSessionDescription(**answer))
    frame = await (await tracks).recv()
    color = frame.to_ndarray(format="rgb24").mean((0, 1))
    await peer.close()
    return color, answer


def test_a_peer_gets_the_picture(preview):
    picture, stop = np.full((48, 64, 3), (200, 100, 50), np.uint8), threading.Event()

    def show():
        while not stop.is_set():
            preview.offer(picture)
            time.sleep(0.02)

    thread = threading.Thread(target=show)
    thread.start()
    try:
        color, answer = asyncio.run(asyncio.wait_for(watch(preview), PATIENCE_S))
    finally:
        stop.set()
        thread.join()
    assert np.abs(color - (200, 100, 50)).max() < 12
    assert "stun" not in json.dumps(answer)
    assert preview.state()["webrtc"] is True


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", '{"sdp": "", "type": "offer"}', '{"sdp": 1, "type": 2}']
)
def test_what_is_no_offer_is_refused(preview, body):
    with pytest.raises(urllib.error.HTTPError) as raised:
        post(preview, body)
    assert raised.value.code == 400


async def offered():
    peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
    peer.addTransceiver("video", direction="recvonly")
    await peer.setLocalDescription(await peer.createOffer())
    sdp = peer.localDescription.sdp
    await peer.close()
    return sdp


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("", "", "answer"),
        ("", "", "rollback"),
        ("m=video", "m=audio", "offer"),
        ("a=rtpmap", "a=x", "offer"),
        ("a=setup:actpass", "a=setup:nonsense", "offer"),
    ],
)
def test_damaged_offers_get_an_answer(preview, old, new, kind):
    """Some errors of aiortc's closed the connection without one."""
    sdp = asyncio.run(offered()).replace(old or "\0", new)
    with pytest.raises(urllib.error.HTTPError) as raised:
        post(preview, json.dumps({"sdp": sdp, "type": kind}))
    assert raised.value.code == 400 and b"no offer of a WebRTC peer" in raised.value.read()


def test_peers_that_do_not_come_keep_nobody_out(preview, monkeypatch, capfd):
    """They held their places for ever, and one without a fingerprint left a traceback."""
    monkeypatch.setattr(webrtc, "CONNECT_S", 0.5)
    sdp = asyncio.run(offered())
    post(preview, json.dumps({"sdp": re.sub("a=fingerprint.*", "a=x", sdp), "type": "offer"}))
    for _ in range(webrtc.MOST_PEERS - 1):
        post(preview, json.dumps({"sdp": sdp, "type": "offer"}))
    with pytest.raises(urllib.error.HTTPError):
        post(preview, json.dumps({"sdp": sdp, "type": "offer"}))
    wait_for(lambda: not preview._peers.count, PATIENCE_S)
    post(preview, json.dumps({"sdp": sdp, "type": "offer"}))
    assert "Traceback" not in capfd.readouterr().err


def test_only_our_own_page_may_ask(preview):
    with pytest.raises(urllib.error.HTTPError) as raised:
        post(preview, "{}", Origin="http://elsewhere.example")
    assert raised.value.code == 403


def test_in_a_browser_the_desk_shows_the_video(preview, tmp_path):
    browser = Browser(chromium(), tmp_path / "profile")
    picture = np.full((48, 64, 3), (200, 100, 50), np.uint8)

    def until(script):
        def live():
            preview.offer(picture)
            preview.publish(Stats(size=(64, 48), working=(64, 48)), Settings(), ["invert"])
            return browser.value(script)

        wait_for(live, 3 * PATIENCE_S)

    try:
        browser.watch()
        browser.call("Page.navigate", url=preview.url)
        until("document.getElementById('webrtc')?.hidden === false")
        browser.value("document.getElementById('webrtc').click()")
        until(
            "document.getElementById('view').hidden && document.getElementById('video').currentTime"
        )
        assert browser.value("document.getElementById('video').videoWidth") == 64
        browser.value("document.getElementById('webrtc').click()")
        until("document.getElementById('view').naturalWidth === 64")
        assert [line for line in browser.complaints() if "cards/" not in line] == []
    finally:
        browser.close()
