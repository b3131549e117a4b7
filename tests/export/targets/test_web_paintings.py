"""Paintings in the page: those that `many` knows, mixed, and one that is dropped for `adain`."""

import PIL.Image
import pytest
from waiting import wait_for
from webpage import Page, level_psnr

from export.targets import web
from runtime.model import store
from runtime.model.session import open_session


@pytest.fixture(scope="module")
def gallery(web_dist, tmp_path_factory):
    """The page of the bundled `many` and `adain`, in a browser of its own."""
    folder = tmp_path_factory.mktemp("gallery")
    models = [store.resolve(name) for name in ("many", "adain")]
    web.write_page(models, folder / "site", web_dist, compressed=False)
    opened = Page(folder / "site", tmp_path_factory.mktemp("gallery_profile"), "--disable-gpu")
    opened.browser.press("e")  # noise of the page is not that of Python
    assert opened.message().startswith("No strokes grow")
    yield opened
    opened.close()


def test_a_painting_is_mixed_with_a_chosen_one(gallery, photo_file, photo):
    gallery.show(photo_file)
    titles = gallery.browser.value(
        "[...document.querySelectorAll('#styles .card')].map((card) => card.title)"
    )
    assert len(titles) == 17 and titles[-1] == "Your painting"
    gallery.after(lambda: gallery.set("mix-with", "many-starry_night", "change"))
    gallery.after(lambda: gallery.set("mix", 40))
    with open_session(store.resolve("many"), threads=1) as session:
        names = next(port.names for port in session.card.inputs if port.role == "code")
        code = [0.0] * len(names)
        code[0], code[names.index("starry_night")] = 0.6, 0.4
        assert level_psnr(gallery.pixels(), session.stylize(photo, code=code)) >= 45
    gallery.after(lambda: gallery.browser.press("."))
    assert gallery.browser.value("document.getElementById('mix-text').textContent") == "50 %"
    gallery.after(lambda: gallery.set("mix", 0))


def test_a_dropped_painting_is_painted_after(gallery, photo_file, photo, tmp_path):
    from skimage import data

    painting = tmp_path / "coffee_cup.png"
    PIL.Image.fromarray(data.coffee()[:200, :240]).save(painting)
    gallery.show(photo_file)
    x, y = gallery.browser.value(
        "(() => { const r = document.querySelector('#styles .card').getBoundingClientRect();"
        "return [r.left + 9, r.top + 9]; })()"
    )
    gallery.drag(painting, x, y)
    wait_for(lambda: gallery.message() == "Painting after coffee_cup.png.", 120)
    before = gallery.frames()
    with open_session(store.resolve("adain"), threads=1) as session:
        wanted = session.stylize(photo, style=str(painting))
    wait_for(lambda: gallery.frames() > before or level_psnr(gallery.pixels(), wanted) >= 45, 60)
    assert level_psnr(gallery.pixels(), wanted) >= 45
    title = "[...document.querySelectorAll('#styles .card')].at(-1).title"
    assert gallery.browser.value(title) == "coffee cup"
    assert gallery.browser.complaints() == []
