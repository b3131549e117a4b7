"""Which engine reads which file: declared by the engines, known without importing them."""

import subprocess
import sys
from pathlib import Path

import pytest

from runtime import engines, plugins
from runtime.card import ModelCard, Port, beside
from runtime.errors import CardMismatch, ModelNotFound, UsageError
from runtime.model import formats, store, variants
from runtime.model.session import open_session
from runtime.model.zoo import read_card

KINDS = {".onnx": ("onnxruntime", "second"), ".xml": ("second",), ".part.param": ("third",)}
CARD = ModelCard("a", "perceptual", (Port("image"),), (Port("styled"),))


@pytest.fixture
def more_kinds(monkeypatch):
    monkeypatch.setattr(formats, "readers", lambda: KINDS)
    monkeypatch.setattr(formats, "companions", lambda: {".xml": ".bin", ".part.param": ".part.bin"})


def test_what_is_declared_is_what_the_plugins_say():
    for name in plugins.names(engines):
        plugin = plugins.load(engines, name)
        assert plugin.label and plugin.module and plugin.install
        for key in ("suffixes", "beside", "devices", "hints"):
            assert plugins.constants(engines, key)[name] == getattr(plugin, key)
        for suffix in plugin.suffixes:
            assert name in formats.readers()[suffix]
    assert formats.suffixes()[:2] == (".onnx", ".ort")
    assert formats.readers()[".onnx"][0] == formats.DEFAULT == "onnxruntime"


def test_resolving_a_name_imports_no_engine(tmp_path):
    (tmp_path / "a.onnx").write_text("")
    script = (
        "import sys; from runtime.model import store; store.resolve('a')\n"
        "found = [m for m in sys.modules if m.startswith('runtime.engines.')]\n"
        "raise SystemExit(', '.join(found) or 0)"
    )
    root = Path(__file__).resolve().parents[3]
    run = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(root)!r})\n{script}"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr


def test_the_suffix_chooses_the_engine(more_kinds):
    assert formats.choose(Path("a.xml")) == "second"
    assert formats.choose(Path("a.onnx")) == "onnxruntime"
    assert formats.choose(Path("a.strange")) == "onnxruntime"
    with pytest.raises(
        UsageError, match=r'onnxruntime reads \.onnx or \.ort, not "a\.xml".*second'
    ):
        formats.choose(Path("a.xml"), "onnxruntime")


def test_bare_names_find_every_kind(more_kinds, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.part.param").write_text("")
    with pytest.raises(ModelNotFound):
        store.resolve("a")  # its second file is missing, so it is no model
    (tmp_path / "a.part.bin").write_text("")
    assert store.resolve("a").name == "a.part.param"
    assert "a.part.param" in store.available()
    (tmp_path / "page.xml").write_text("<html/>")
    assert "page.xml" not in store.available()
    with pytest.raises(CardMismatch, match=r'needs "page\.bin" beside it'):
        (tmp_path / "page.xml").write_text("x")
        open_session("page.xml")


def test_the_same_style_in_two_formats_is_one_style(more_kinds, tmp_path):
    for name in ("a.xml", "a.bin", "b.xml", "b.bin", "a-fast.xml", "a-fast.bin", "a.part.param"):
        (tmp_path / name).write_text("<x/>")
        beside(tmp_path / name).write_text(CARD.to_json())
    assert read_card(tmp_path / "a.xml") == CARD
    styles = variants.styles_in(tmp_path, ".xml")
    names = {style: [one.path.name for one in files] for style, files in styles.items()}
    assert names == {"a": ["a.xml", "a-fast.xml"], "b": ["b.xml"]}
    found = variants.find(tmp_path / "a")
    assert [one.path.name for one in found] == ["a.xml", "a-fast.xml"]


def test_hints_are_refused_by_engines_without_them(invert_model):
    with pytest.raises(UsageError, match="computes as the file says"):
        open_session(invert_model, precision_hint="bf16")
