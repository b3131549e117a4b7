"""A visit to the page: dropping, cameras, choices that are kept, keys alone, phones, being read."""

import numpy as np
import PIL.Image
import pytest
from waiting import wait_for
from webpage import decode, level_psnr

# Contrast of text that WCAG 2.2 asks for at level AA (1.4.3), of usual and of large letters, and
# from how many CSS px on letters are large (18.66 bold, 24 otherwise).
CONTRAST, LARGE_CONTRAST, LARGE_PX = 4.5, 3.0, 24
# Boxes, colors and sizes of all letters that can be read, what is disabled excepted.
TEXTS = """(() => {
  const found = [], walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node; (node = walk.nextNode()); ) {
    const host = node.parentElement, range = document.createRange();
    if (!node.data.trim() || host.closest('script, noscript, option, :disabled')) continue;
    if (!host.checkVisibility({ visibilityProperty: true })) continue;
    range.selectNodeContents(node);
    const style = getComputedStyle(host), size = parseFloat(style.fontSize);
    const color = style.color.match(/[\\d.]+/g).slice(0, 3).map(Number);
    for (const r of range.getClientRects()) {
      const there = document.elementsFromPoint(r.left + r.width / 2, r.top + r.height / 2);
      if (r.width && there.includes(host))
        found.push([node.data.trim(), r.left, r.top, r.right, r.bottom, color, size]);
    }
  }
  return found;
})()"""
# All pictures white, which is the worst for white letters; the letters themselves not drawn.
WHITE = """(() => {
  for (const picture of document.querySelectorAll('#styles img')) {
    picture.style.visibility = 'hidden';
    picture.parentElement.style.background = '#fff';
  }
  const welcome = document.getElementById('welcome');
  welcome.style.backgroundImage = 'none';
  welcome.style.backgroundColor = '#fff';
})()"""
BARE = "* { color: transparent !important; text-shadow: none !important; }"
PRESSED = "document.querySelector('#actions [data-action={}]').getAttribute('aria-pressed')"
FOCUSED = """(() => {
  const e = document.activeElement, seen = (e.closest('.card') ?? e);
  return [e.id || e.dataset.action || e.name || e.tagName, getComputedStyle(seen).outlineStyle];
})()"""


def test_a_dropped_picture_is_painted(page, photo_file, expected):
    page.show(photo_file, lambda: page.drag(photo_file, 300, 300))
    assert level_psnr(page.pixels(), expected[0]) >= 45
    assert page.browser.value("document.getElementById('drop').hidden")


def test_a_camera_can_be_chosen_and_be_lost(page):
    page.camera()
    wait_for(lambda: page.browser.value("!document.getElementById('cameras-row').hidden"))
    labels = page.browser.value(
        "[...document.getElementById('cameras').options].map((option) => option.label)"
    )
    assert labels == ["fake_device_0", "fake_device_1"]
    # Neither says where it looks: there is nothing to flip.
    assert page.browser.value("document.getElementById('flip').hidden")
    second = page.browser.value("document.getElementById('cameras').options[1].value")
    before = page.frames()
    page.set("cameras", second, "change")
    wait_for(lambda: page.frames() > before + 2, 60)
    wait_for(lambda: page.browser.value("document.getElementById('cameras').value") == second)
    # The visitor takes the permission back: the browser ends the camera, as it does unplugged.
    denied = {"permission": {"name": "camera"}, "origin": page.url}
    page.browser.call("Browser.setPermission", setting="denied", **denied)
    try:
        wait_for(lambda: page.message().startswith("The camera is gone."))
        assert page.is_bad()
        assert page.browser.value("document.body.dataset.source") == ""
    finally:
        page.browser.call("Browser.setPermission", setting="granted", **denied)
    page.browser.value("localStorage.clear()")
    page.camera()
    page.click("camera")


def test_what_was_chosen_is_there_after_a_reload(page, photo_file, expected):
    kept = (
        "['strength', 'split-at', 'detail', 'wish'].map((id) => document.getElementById(id).value)"
    )
    try:
        page.set("strength", 60)
        page.set("split-at", 25)
        page.set("detail", 144, "change")
        page.set("wish", "cpu", "change")
        wait_for(lambda: page.message() == "Ready.", 60)
        page.browser.press("s")
        page.browser.press("2")
        wait_for(lambda: page.message().startswith("Style: "))
        page.reload()
        assert page.browser.value(kept) == ["60", "25", "144", "cpu"]
        assert page.browser.value("document.querySelectorAll('#styles input')[1].checked")
        assert page.browser.value(
            "document.querySelector('[data-action=stabilizer]').getAttribute('aria-pressed')"
        ) == ("false")
        page.set("strength", 100)
        page.show(photo_file)
        assert level_psnr(page.pixels(), expected[1]) >= 45
        # A style that the site lost since, and what anybody wrote there.
        page.browser.value(
            "localStorage.setItem('impasto /', JSON.stringify({ style: 'gone', strength: 'x' }))"
        )
        page.reload()
        assert page.browser.value(kept) == ["100", "50", "0", "auto"]
        assert page.browser.value("document.querySelectorAll('#styles input')[0].checked")
        page.browser.value("localStorage.setItem('impasto /', '{')")
        page.reload()
        assert page.browser.value(kept) == ["100", "50", "0", "auto"]
    finally:
        page.browser.value("localStorage.clear()")
        page.reload()


def test_keys_alone_reach_everything(page, photo_file):
    page.show(photo_file)
    page.browser.value("document.activeElement.blur()")
    seen = []
    while not seen or seen[-1][0] != "BODY":
        page.browser.tap("Tab")
        seen.append(page.browser.value(FOCUSED))
        assert len(seen) < 40, "the focus never comes around"
    usable = ["help", "camera", "open", "snapshot", "record", "split", "mirror", "fullscreen"]
    usable += ["style", "strength", "stabilizer", "noise", "detail", "wish"]
    assert [name for name, _ in seen[:-1]] == usable
    assert {outline for _, outline in seen[:-1]} == {"solid"}  # and it is seen where one is
    # Buttons, cards and sliders do what they do when they are clicked.
    page.browser.value("document.querySelector('#actions [data-action=split]').focus()")
    page.browser.tap("Enter")
    assert page.browser.value(PRESSED.format("split")) == "true"
    page.browser.tap(" ")
    assert page.browser.value(PRESSED.format("split")) == "false"
    page.browser.value("document.querySelector('#styles input').focus()")
    page.after(lambda: page.browser.tap("ArrowRight"))
    assert page.browser.value("document.querySelectorAll('#styles input')[1].checked")
    page.after(lambda: page.browser.tap("ArrowLeft"))
    page.browser.value("document.getElementById('strength').focus()")
    page.browser.tap("ArrowLeft")
    assert page.browser.value("document.getElementById('strength').value") == "99"
    page.browser.tap("ArrowRight")
    # The dialog takes the focus at its beginning, and gives it back.
    page.browser.value("document.getElementById('help').focus()")
    page.browser.tap("Enter")
    assert page.browser.value("document.activeElement.id") == "about-title"
    page.browser.tap("Escape")
    assert page.browser.value("document.activeElement.id") == "help"
    page.browser.value("document.activeElement.blur()")


def test_what_is_painted_smaller_is_said_and_can_be_had_whole(page, tmp_path):
    wide = tmp_path / "wide.png"
    PIL.Image.effect_noise((1700, 40), 60).convert("RGB").save(wide)
    page.show(wide)
    assert page.pixels().shape == (38, 1600, 3)
    page.browser.press("c")
    wait_for(lambda: "1600×38 of its 1700×40 pixels" in page.message())
    try:
        page.after(lambda: page.set("detail", 65535, "change"))
        assert page.pixels().shape == (40, 1700, 3)
        page.browser.press("c")
        wait_for(lambda: page.message().endswith(".png."))
        # Not for the next visit: its picture may be beyond the memory.
        assert '"detail":0' in page.browser.value("localStorage.getItem('impasto /')")
    finally:
        page.set("detail", 0, "change")
        for file in page.downloads.glob("*.png"):
            file.unlink()


@pytest.mark.parametrize("size", [(375, 812), (360, 740), (812, 375)])
def test_the_page_fits_a_phone(page, photo_file, size):
    page.show(photo_file)
    with page.screen(*size):
        assert page.browser.value("document.documentElement.scrollWidth") <= size[0]
        boxes = page.browser.value(
            "[...document.querySelectorAll('#actions button')].filter(b => b.offsetParent)"
            ".map(b => { const r = b.getBoundingClientRect();"
            "return [r.left, r.right, r.bottom, r.width, r.height]; })"
        )
        assert len(boxes) >= 7
        for left, right, bottom, width, height in boxes:
            assert left >= 0 and right <= size[0] and bottom <= size[1]
            assert width >= 40 and height >= 40  # large enough for a thumb
        left, top, right, bottom = page.browser.value(
            "(() => { const r = document.getElementById('view').getBoundingClientRect();"
            "return [r.left, r.top, r.right, r.bottom]; })()"
        )
        assert top >= 0 and bottom <= size[1] and min(right - left, bottom - top) >= 180


def test_a_finger_moves_the_divider(page, photo_file):
    page.show(photo_file)
    page.browser.press("v")
    with page.screen(375, 812):
        # What lies over the picture takes no finger: figures reach over the divider's upper end.
        wait_for(lambda: page.browser.value("!document.getElementById('figures').hidden"))
        left, top, width = page.browser.value(
            "(() => { const r = document.getElementById('view').getBoundingClientRect();"
            "return [r.left, r.top, r.width]; })()"
        )
        touch = {"y": top + 20}
        points = [left + width * share for share in (0.5, 0.4, 0.3, 0.2)]
        kinds = ["touchStart", *["touchMove"] * 3]
        for kind, x in zip(kinds, points, strict=True):
            page.browser.call(
                "Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, **touch}]
            )
        page.browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
    assert page.browser.value("document.getElementById('split-at').value") == "20"
    page.set("split-at", 50)
    page.browser.press("v")


def luminance(colors):
    """Relative luminance of sRGB levels, as WCAG defines it."""
    part = np.asarray(colors, float) / 255
    linear = np.where(part <= 0.04045, part / 12.92, ((part + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("wide", [True, False])
def test_letters_stand_out_on_any_picture(page, wide):
    """The worst case of every text, measured on the page as it is drawn."""
    page.reload()
    page.browser.value(WHITE)
    size = (1200, 800) if wide else (375, 812)
    with page.screen(*size):
        texts = page.browser.value(TEXTS)
        page.browser.value(
            "(() => { const sheet = new CSSStyleSheet(); sheet.replaceSync("
            f"'{BARE}'); document.adoptedStyleSheets = [sheet]; }})()"
        )
        drawn = decode(page.browser.screenshot())
    page.reload()
    names = {text.partition(",")[0] for text, *_ in texts}
    assert names >= {"Toy", "Ready.", "Your camera", "Strength", "Camera"}
    weak = []
    for text, left, top, right, bottom, color, letters in texts:
        behind = drawn[round(top) : round(bottom), round(left) : round(right)].reshape(-1, 3)
        if not len(behind):
            continue  # beyond the screen
        ours, theirs = luminance(color) + 0.05, luminance(behind) + 0.05
        contrast = float(np.minimum(np.maximum(ours / theirs, theirs / ours), 21).min())
        if contrast < (LARGE_CONTRAST if letters >= LARGE_PX else CONTRAST):
            weak.append((text, round(contrast, 2)))
    assert weak == []


def test_it_can_be_installed(page):
    found = page.browser.call("Page.getAppManifest")
    assert found["errors"] == []
    assert page.browser.call("Page.getInstallabilityErrors")["installabilityErrors"] == []
