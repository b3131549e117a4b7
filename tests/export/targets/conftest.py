"""One exported page of two tiny styles, and one browser that shows it, for all tests of it."""

import numpy as np
import onnx
import PIL.Image
import pytest
from webpage import FAKE_CAMERA, Page, level_psnr

import export.artifact as flow
from export.__main__ import main
from export.targets import web
from runtime.model.session import open_session

SIZE = (97, 65)  # odd on purpose: the page pads and crops


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
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


@pytest.fixture(scope="session")
def photo():
    from skimage import data

    return np.ascontiguousarray(data.chelsea()[100 : 100 + SIZE[1], 120 : 120 + SIZE[0]])


@pytest.fixture(scope="session")
def photo_file(photo, tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "cat.png"
    PIL.Image.fromarray(photo).save(path)
    return path


@pytest.fixture(scope="session")
def expected(site, photo):
    """What the Python runtime paints, per style."""
    found = []
    for model in site[1]:
        with open_session(model, threads=1) as session:
            found.append(session.stylize(photo))
    assert level_psnr(*found) < 30, "the two styles must differ"
    return found
