"""What goes into a page, what is refused, and what happens where Node.js or npm are absent."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import export.artifact as flow
from export.__main__ import main
from export.site import engine_files, folded, packed, page
from export.site.node_engine import web_session
from export.targets import Options, web
from runtime.card import KEY, ModelCard, Port
from runtime.checksum import sha256
from runtime.engines.onnxruntime import OnnxRuntimeEngine
from runtime.errors import EngineUnavailable, ParityError, StyleError, UsageError
from runtime.model import zoo
from runtime.model.folding import KEY as FOLDING
from runtime.model.folding import Folding
from runtime.model.session import open_session

MODELS = Path(__file__).resolve().parents[3] / "models"
FREE = (1, 3, "height", "width")
CARD = ModelCard("toy", "perceptual", (Port("image", shape=FREE),), (Port("styled", shape=FREE),))


def write_model(path: Path, card: ModelCard | None = CARD, gain: float = 0.5, **metadata) -> Path:
    """A graph that darkens: enough where only the file matters."""
    shape = [1, 3, "height", "width"]
    graph = helper.make_graph(
        [helper.make_node("Mul", ["image", "gain"], ["styled"])],
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
        [helper.make_tensor("gain", TensorProto.FLOAT, [], [gain])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    keys = metadata | ({KEY: card.to_json()} if card else {})
    helper.set_model_props(model, keys)
    onnx.save(model, path)
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A cache folder with a package of the right release whose files are small."""
    dist = tmp_path / "cache" / "web" / "node_modules" / engine_files.PACKAGE / "dist"
    dist.mkdir(parents=True)
    (dist.parent / "package.json").write_text(json.dumps({"version": engine_files.VERSION}))
    digests = {}
    for name in engine_files.SHA256:
        (dist / name).write_text(f"// {name}")
        digests[name] = hashlib.sha256(f"// {name}".encode()).hexdigest()
    monkeypatch.setattr(engine_files, "SHA256", digests)
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    return dist


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """An empty PATH to put programs on."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def add(name, script="exit 0"):
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    return add


def test_without_node_or_npm_it_is_said_and_exits_3(tmp_path, programs, monkeypatch, capsys):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "empty"))
    model = write_model(tmp_path / "toy.onnx")
    words = ["--target", "web", "--model", str(model), "--output", str(tmp_path / "site")]
    assert main([*words, "--quiet"]) == 3
    assert "Node.js" in capsys.readouterr().err
    programs("node")
    assert main([*words, "--quiet"]) == 3
    assert "needs npm" in capsys.readouterr().err
    programs("npm", "echo npm error network unreachable >&2; exit 1")
    assert main([*words, "--quiet"]) == 3
    said = capsys.readouterr().err
    assert "network unreachable" in said and "npm install --prefix" in said
    assert not (tmp_path / "site").exists()


def test_npm_is_asked_once_and_runs_no_scripts(tmp_path, programs, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_files, "SHA256", {"a.mjs": hashlib.sha256(b"a").hexdigest()})
    programs("node")
    inside = f"{tmp_path}/cache/web/node_modules/{engine_files.PACKAGE}"
    programs(
        "npm",
        f'echo "$@" >> {tmp_path}/asked; PATH=/usr/bin:/bin; mkdir -p {inside}/dist; '
        f"printf a > {inside}/dist/a.mjs; "
        f'printf \'{{"version": "{engine_files.VERSION}"}}\' > {inside}/package.json',
    )
    for _ in range(2):
        assert engine_files.dist_folder() == Path(inside) / "dist"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert len(asked) == 1
    assert "--ignore-scripts" in asked[0] and "--prefer-offline" in asked[0]
    assert asked[0].endswith(f"{engine_files.PACKAGE}@{engine_files.VERSION}")


def test_the_cache_is_enough_and_damage_is_noticed(package, programs):
    programs("node")
    assert engine_files.dist_folder() == package
    (package / "ort.wasm.min.mjs").write_text("something else")
    with pytest.raises(EngineUnavailable, match="is not the file of onnxruntime-web"):
        engine_files.dist_folder()
    (package / "ort.wasm.min.mjs").unlink()
    with pytest.raises(EngineUnavailable):
        engine_files.dist_folder()


FIXED = Port("image", shape=(1, 3, 64, 64))


@pytest.mark.parametrize(
    ("card", "says"),
    [
        (replace(CARD, inputs=(FIXED,)), "--size free"),
        (replace(CARD, precision="fp16"), "fp32 file"),
        (replace(CARD, inputs=(*CARD.inputs, Port("c", "code", (1, 8)))), "more than a picture"),
        (replace(CARD, inputs=(*CARD.inputs, Port("m", "state", FREE))), "state"),
        (replace(CARD, outputs=(Port("c", "code", (1, 8)),)), "no picture comes out"),
    ],
)
def test_models_that_no_page_can_run(tmp_path, card, says):
    with pytest.raises(UsageError, match=says):
        page.read_style(write_model(tmp_path / "toy.onnx", card))


def test_foldable_int8_files_and_files_without_a_card_are_refused(tmp_path):
    with pytest.raises(UsageError, match="normalization need the runtime"):
        page.read_style(write_model(tmp_path / "toy.onnx", **{FOLDING: "{}"}))
    with pytest.raises(UsageError, match="no card"):
        page.read_style(write_model(tmp_path / "toy.onnx", None))
    other = tmp_path / "toy.ort"
    write_model(tmp_path / "toy.onnx").rename(other)
    with pytest.raises(UsageError, match=r"\.onnx files"):
        page.read_style(other)


def test_the_float_file_beside_a_folded_one_is_taken(tmp_path, package):
    style = replace(CARD, style={"title": "Two"})
    folded = write_model(tmp_path / "toy.onnx", style, **{FOLDING: "{}"})
    assert [one.path for one in page.for_browsers([folded])] == [folded]
    other = write_model(tmp_path / "toy-fp32.onnx", replace(style, style={"title": "Another"}))
    assert [one.path for one in page.for_browsers([folded])] == [folded]
    write_model(other, style, gain=0.25)
    assert [one.path for one in page.for_browsers([folded, other])] == [other, other]
    assert page.for_browsers([folded])[0].light == folded


def test_a_folded_network_is_packed_as_a_browser_runs_it(tmp_path, package):
    """Its graph takes the vectors of a scene as inputs, and paints what the runtime paints."""
    path = MODELS / "starry-fast.onnx"
    written = web.write_page([path], tmp_path, package)
    assert any("starry-fast-fp32.onnx taken for starry-fast.onnx" in step for step in written.steps)
    listing = json.loads((tmp_path / "site.json").read_text("utf-8"))
    (style,) = listing["styles"]
    light = style["light"]
    assert sha256(tmp_path / "models" / "starry-fast.onnx") == style["sha256"]
    graph = tmp_path / light["file"].partition("?")[0]
    measuring = tmp_path / light["folding"]["file"].partition("?")[0]
    assert (sha256(graph), sha256(measuring)) == (light["sha256"], light["folding"]["sha256"])
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    found = OnnxRuntimeEngine.open(measuring, "cpu", 1).run({"image": picture[None]})
    folding = Folding.from_metadata(zoo.read_metadata(path))
    assert folding is not None
    assert light["folding"]["layers"] == folded.figures(folding)
    vectors = folding.initializers(np.stack([found["mean"][0], found["variance"][0]]))
    taken = {key: value for key, value in vectors.items() if not key.endswith("bias_scale")}
    painted = OnnxRuntimeEngine.open(graph, "cpu", 1).run({"image": picture[None], **taken})
    with open_session(path, threads=1) as session:
        assert np.array_equal(painted[light["output"]["name"]][0], session.stylize(picture))


def test_bytes_and_half_floats_give_way_to_floats(tmp_path):
    """Bytes stay where all are bytes; beside floats, and for halves, the float file is taken."""
    paths = {
        name: write_model(tmp_path / f"{name}.onnx", replace(CARD, precision=precision))
        for name, precision in (
            ("one", "int8"), ("one-fp32", "fp32"), ("half-fp16", "fp16"), ("half-fp32", "fp32"),
            ("lone", "int8"), ("plain", "fp32"),
        )
    }  # fmt: skip

    def taken(*names):
        found = page.for_browsers([paths[name] for name in names])
        return [(one.path.stem, bool(one.why)) for one in found]

    assert taken("one", "lone") == [("one", False), ("lone", False)]
    assert taken("one", "plain") == [("one-fp32", True), ("plain", False)]
    assert taken("half-fp16") == [("half-fp32", True)]
    # Without a float file nothing is swapped; what cannot be is refused where the page is made.
    assert taken("lone", "plain") == [("lone", False), ("plain", False)]


@pytest.mark.parametrize("suffix", packed.SUFFIXES)
def test_compressed_copies_hold_what_lies_beside_them(tmp_path, suffix):
    if suffix not in [coding.suffix for coding in packed.codings()]:
        pytest.skip("no brotli here (Node.js, or pip install brotli)")
    (tmp_path / "js").mkdir()
    (tmp_path / "js" / "long.js").write_text("const one = 1;\n" * 500)
    (tmp_path / "short.js").write_text("1")
    (tmp_path / "noise.onnx").write_bytes(np.random.default_rng(0).bytes(5000))
    before, after = packed.pack(tmp_path)
    assert (before, after < 500) == (7500, True)
    assert [path.name for path in tmp_path.rglob(f"*{suffix}")] == [f"long.js{suffix}"]
    assert packed.wrong(tmp_path) == []
    copy = tmp_path / "js" / f"long.js{suffix}"
    first = copy.read_bytes()
    packed.pack(tmp_path)
    assert copy.read_bytes() == first
    (tmp_path / "js" / "long.js").write_text("const two = 2;")
    assert f"js/long.js{suffix}" in packed.wrong(tmp_path)
    (tmp_path / "js" / "long.js").write_text("const one = 1;\n" * 500)
    copy.write_bytes(first[: len(first) // 2])
    assert packed.wrong(tmp_path) == [f"js/long.js{suffix}"]


def test_what_a_page_holds(tmp_path, package):
    scalar = Port("depth", "scalar", (1,), default=0.25)
    one = write_model(tmp_path / "one.onnx")
    two = tmp_path / "a b.onnx"
    card = replace(CARD, inputs=(*CARD.inputs, scalar), style={"title": "Two", "artist": "Nobody"})
    write_model(two, card)
    folder = tmp_path / "site"
    with open_session(one) as session:
        models = [("one", one, CARD, session), ("a b", two, card, session)]
        photo = np.full((96, 128, 3), 200, np.uint8)
        listing = page.write_site(models, photo, package, folder)
    assert json.loads((folder / "site.json").read_text("utf-8")) == listing
    first, second = listing["styles"]
    assert first["title"] == "one" and second["title"] == "Two"
    with open_session(one) as session:
        models = [("x", two, card, session), ("y", two, card, session)]
        again = page.write_site(models, photo, package, tmp_path / "again")
    assert [style["title"] for style in again["styles"]] == ["Two, x", "Two, y"]
    assert second["file"].startswith("models/a%20b.onnx?v=")
    assert second["scalars"] == {"depth": {"value": 0.25, "dims": [1]}}
    assert first["input"] == {
        **{"name": "image", "dtype": "float32", "layout": "NCHW", "colors": "RGB"},
        **{"low": 0.0, "high": 1.0},
    }
    trial = np.frombuffer((folder / "models" / "one.check").read_bytes(), np.uint8)
    before, after = np.split(trial, 2)
    assert (before == 200).all() and (after == 100).all()
    for name in listing["page"]:
        assert (folder / (name if name != "./" else "index.html")).is_file()
    assert "sw.js" not in listing["page"]
    actions = {key["action"] for key in listing["keys"]}
    assert {"next", "snapshot", "record", "split"} <= actions and "quit" not in actions
    web._check_files(folder)
    (folder / "style.css").write_text("@import url(https://fonts.example/a.css);")
    with pytest.raises(ParityError, match=r"https://fonts\.example/a\.css"):
        web._check_files(folder)


def test_a_model_that_is_not_its_receipts_is_refused(tmp_path, package, programs, capsys):
    programs("node")
    model = write_model(tmp_path / "toy.onnx")
    report = {"sha256": hashlib.sha256(b"another").hexdigest(), "verdict": "passed"}
    (tmp_path / "toy.json").write_text(json.dumps(report))
    words = ["--target", "web", "--model", str(model), "--output", str(tmp_path / "site")]
    assert main([*words, "--quiet"]) == 4
    assert "report" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


def test_two_models_of_one_name(tmp_path, package):
    (tmp_path / "other").mkdir()
    models = [write_model(tmp_path / "toy.onnx"), write_model(tmp_path / "other" / "toy.onnx")]
    with pytest.raises(UsageError, match='called "toy"'):
        web.write_page(models, tmp_path / "site", package)


def test_int8_styles_get_a_page_without_gpu_engines(
    tmp_path, new_checkpoint, photos_folder, web_dist, monkeypatch
):
    """A network without normalization as bytes: written, and the same in the browser's engine."""
    monkeypatch.setenv("IMPASTO_CACHE", str(web_dist.parents[3]))
    monkeypatch.setattr(flow, "SIZES", ((96, 64),))
    monkeypatch.setattr(web, "SIZES", ((96, 64), (65, 51)))
    source = new_checkpoint(
        tmp_path / "toy.safetensors", width=8, blocks=1, margin=8, normalization="none"
    )
    model = tmp_path / "toy.onnx"
    words = ["--checkpoint", source, "--precision", "int8", "--output", model]
    assert main([str(word) for word in [*words, "--photos", photos_folder, "--quiet"]]) == 0
    words = ["--target", "web", "--model", model, "--output", tmp_path / "site", "--quiet"]
    assert main([str(word) for word in words]) == 0
    listing = json.loads((tmp_path / "site" / "site.json").read_text("utf-8"))
    assert [engine["name"] for engine in listing["engines"]] == ["WebAssembly"]
    assert listing["styles"][0]["input"]["dtype"] == "uint8"
    engine = [
        path for path in (tmp_path / "site" / "ort").iterdir() if path.suffix not in packed.SUFFIXES
    ]
    assert len(engine) == 3
    assert (tmp_path / "site" / "ort" / "ort-wasm-simd-threaded.wasm.gz").is_file()
    report = json.loads((tmp_path / "site.json").read_text("utf-8"))
    assert report["verdict"] == "passed"
    assert all(entry["psnr_db"] > 45 for entry in report["parity"]["sizes"])
    listed = {entry["file"]: entry["sha256"] for entry in report["files"]}
    there = [path for path in (tmp_path / "site").rglob("*") if path.is_file()]
    assert listed == {path.relative_to(tmp_path).as_posix(): sha256(path) for path in there}
    with pytest.raises(UsageError, match="a page of each kind"):
        page.engines_for([replace(CARD, precision="int8"), CARD])


def test_a_page_from_a_checkpoint(tmp_path, checkpoint, photos_folder, web_dist, monkeypatch):
    """The model is made, and proven against PyTorch, on the way."""
    monkeypatch.setenv("IMPASTO_CACHE", str(web_dist.parents[3]))
    monkeypatch.setattr(flow, "SIZES", ((96, 64),))
    monkeypatch.setattr(web, "SIZES", ((65, 51),))
    words = ["--target", "web", "--checkpoint", checkpoint, "--output", tmp_path / "page"]
    words += ["--photos", photos_folder, "--quiet"]
    assert main([str(word) for word in words]) == 0
    assert (tmp_path / "page" / "models" / "page.onnx").is_file()
    assert main([str(word) for word in words]) == 2  # nothing is overwritten unasked


def test_another_picture_in_the_browsers_engine_is_refused(tmp_path, web_dist):
    """The gate: what is packed is not what was given."""
    ours = write_model(tmp_path / "toy.onnx")
    folder = tmp_path / "site"
    web.write_page([ours], folder, web_dist)
    model = folder / "models" / "toy.onnx"
    write_model(model, gain=0.51)
    listing = json.loads((folder / "site.json").read_text("utf-8"))
    listing["styles"][0]["file"] = page.address(folder, "models/toy.onnx")
    (folder / "site.json").write_text(json.dumps(listing))
    for suffix in packed.SUFFIXES:
        (folder / f"site.json{suffix}").unlink(missing_ok=True)
    with pytest.raises(ParityError, match="in onnxruntime-web does not match"):
        web.PLUGIN.check([ours], folder, Options())


def test_the_browsers_engine_under_the_engines_contract(tmp_path, web_dist):
    model = write_model(tmp_path / "toy.onnx")
    picture = np.random.default_rng(1).random((9, 7, 3), np.float32)
    session = web_session(model, CARD, web_dist)
    with session, open_session(model) as ours:
        assert np.array_equal(session.stylize_float(picture), ours.stylize_float(picture))
        with pytest.raises(StyleError, match="onnxruntime-web"):
            session._engine.run({"image": np.zeros((1, 3), np.float32)})
    session.close()
    with pytest.raises(ValueError, match="closed"):
        session._engine.run({"image": np.zeros((1, 3, 4, 4), np.float32)})
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(StyleError, match="onnxruntime-web"):
        web_session(tmp_path / "broken.onnx", CARD, web_dist)
    assert os.path.exists(model)


def test_all_means_each_style_that_comes_with_the_program(monkeypatch, tmp_path):
    from argparse import Namespace

    from export.__main__ import _check_start

    for name in ("one", "two", "one-fp32"):
        write_model(tmp_path / f"{name}.onnx", replace(CARD, style={"title": name[:3]}))
    code = (*CARD.inputs, Port("c", "code", (1, 8)))
    write_model(tmp_path / "any.onnx", replace(CARD, inputs=code))
    named = (*CARD.inputs, Port("c", "code", (1, 2), names=("sea", "sky")))
    write_model(tmp_path / "many.onnx", replace(CARD, inputs=named))
    monkeypatch.setattr("runtime.model.store.BUNDLED", tmp_path)
    asked = Namespace(model=["all"], checkpoint=None, target="web")
    found = _check_start(asked, web.PLUGIN)
    assert [path.name for path in found] == ["one.onnx", "two.onnx", "many.onnx"]
