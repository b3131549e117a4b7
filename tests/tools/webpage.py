"""The exported page, open in a headless Chromium, and what a visitor does with it."""

import base64
import io
import threading
from contextlib import contextmanager

import numpy as np
import PIL.Image
from headless import Browser, chromium
from waiting import wait_for

from export.verify.parity import psnr
from runtime.serve_site import open_server

# Two cameras, which nobody is asked for.
FAKE_CAMERA = (
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream=device-count=2",
)
# Loading an engine of 14 MB on a busy machine.
START_S = 120


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

    def camera(self):
        """Switch the camera on; wait for its first pictures."""
        self.click("camera")
        wait_for(lambda: self.browser.value("document.body.dataset.source") == "camera", 60)
        before = self.frames()
        wait_for(lambda: self.frames() > before + 1, 60)

    def set(self, name, value, event="input"):
        """Move a slider, or choose from a list."""
        self.browser.value(
            f"(() => {{ const e = document.getElementById('{name}'); e.value = '{value}';"
            f"e.dispatchEvent(new Event('{event}')); }})()"
        )

    def reload(self):
        """Visit the page again."""
        self.browser.call("Page.reload")
        wait_for(lambda: not self.browser.value("document.body?.dataset.ready"))
        wait_for(self.started, START_S)

    def drag(self, file, x, y):
        """Drag a file over the page and let it go, as the browser delivers it."""
        data = {"items": [], "files": [str(file)], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "dragOver"):
            self.browser.call("Input.dispatchDragEvent", type=kind, x=x, y=y, data=data)
            assert self.browser.value("!document.getElementById('drop').hidden"), kind
        self.browser.call("Input.dispatchDragEvent", type="drop", x=x, y=y, data=data)

    @contextmanager
    def screen(self, width, height):
        """A phone of this size, in CSS px."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": True}
        self.browser.call("Emulation.setDeviceMetricsOverride", **size)
        try:
            wait_for(lambda: self.browser.value("innerWidth") == width)
            yield
        finally:
            self.browser.call("Emulation.clearDeviceMetricsOverride")


def decode(data):
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


def level_psnr(a, b):
    assert a.shape == b.shape
    return psnr(a / np.float32(255), b / np.float32(255))
