"""Pictures that models in bytes paint in tiles: to the last bit those they paint in one piece."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage import data

from export.int8 import whole_frame
from export.source import load_source
from export.targets import Options
from export.verify.photos import load_photos
from runtime.errors import StyleError
from runtime.model.session import open_session
from runtime.model.stylizer import Effects, Stylizer
from runtime.onnxfile import OnnxFile
from runtime.pictures.reading import Picture
from runtime.stills import folded_tiles, memory_need
from runtime.stills.painter import OVERHEAD, StillPainter
from runtime.stills.painter import Options as StillOptions

NETWORKS = {
    "replicate": {"padding": "replicate", "margin": 0},
    "margin": {"padding": "zeros", "margin": 16},
    "both": {"padding": "replicate", "margin": 8},
}


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, new_checkpoint, photos_folder, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = new_checkpoint(
        folder / "toy.safetensors", width=16, blocks=2, **NETWORKS[request.param]
    )
    options = Options("int8", None, 18, load_photos(photos_folder), {}, print)
    whole_frame.write(load_source(checkpoint, "toy"), folder / "toy.onnx", options)
    return folder / "toy.onnx"


@pytest.fixture(scope="module")
def session(model):
    with open_session(model, threads=1) as session:
        yield session


def paint(session, pixels, **options):
    session.reset()
    stylizer = Stylizer([(session, 1.0)], Effects())
    return StillPainter(stylizer, StillOptions(quiet=True, **options), print).paint(Picture(pixels))


@settings(max_examples=6, deadline=None)
@given(
    height=st.integers(40, 180),
    width=st.integers(40, 180),
    tile=st.sampled_from([32, 48, 100, 208]),
    left=st.integers(0, 200),
    deep=st.booleans(),
)
def test_tiles_are_the_whole_picture(session, height, width, tile, left, deep):
    pixels = np.ascontiguousarray(data.astronaut()[100 : 100 + height, left : left + width])
    if deep:
        pixels = pixels.astype(np.uint16) * 257
    whole = paint(session, pixels, tile="off").pixels
    tiled = paint(session, pixels, tile=tile).pixels
    np.testing.assert_array_equal(tiled, whole)


def test_the_statistics_are_those_of_the_whole_picture_not_of_a_tile(session):
    """Without them it would not be equal: the test above can fail."""
    pixels = np.ascontiguousarray(data.astronaut()[:192, :256])
    whole = paint(session, pixels, tile="off").pixels
    session.reset()
    alone = session.stylize(np.ascontiguousarray(pixels[:96, :96]))
    assert np.abs(alone[:32, :32].astype(int) - whole[:32, :32]).max() > 1


def test_the_estimate_of_memory_knows_the_graph_that_measures(session):
    feeds = session.feeds(np.zeros((128, 128, 3), np.uint8), {})
    needs = [
        memory_need.bytes_per_pixel(session, OnnxFile.parse(graph), feeds)
        for graph in session.graphs()
    ]
    assert len(needs) == 2
    painter = StillPainter(Stylizer([(session, 1.0)], Effects()), StillOptions(), print)
    assert painter._per_pixel() == OVERHEAD * max(needs)


def test_a_file_of_an_older_export_says_so(session, monkeypatch):
    monkeypatch.setattr(folded_tiles, "ROW_FIGURES", ("no_such_figure",))
    with pytest.raises(StyleError, match="export it again"):
        folded_tiles.prepare(session)
