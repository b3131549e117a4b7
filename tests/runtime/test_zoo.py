"""Cards read without loading models; styles and variants told apart by name and card."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import helper

from runtime.card import KEY, ModelCard, Port
from runtime.zoo import is_style, neighbors_of, read_card, variants_of

STARRY = {"title": "The Starry Night"}
WAVE = {"title": "The Great Wave"}


@pytest.fixture
def put(tmp_path, build_model):
    """Writes an identity model of this name, style and kind."""

    def write(stem, style=None, roles=("image",), card=True):
        inputs = tuple(Port(f"in{k}" if k else "image", role) for k, role in enumerate(roles))
        facts = ModelCard(stem, "perceptual", inputs, (Port("styled"),), style=style or {})
        shape = [1, 3, "H", "W"]
        ports = [helper.make_tensor_value_info(p.name, 1, shape) for p in inputs]
        return build_model(
            tmp_path / f"{stem}.onnx",
            [helper.make_node("Identity", ["image"], ["styled"])],
            ports,
            [helper.make_tensor_value_info("styled", 1, shape)],
            card=facts if card else None,
        )

    return write


def test_the_card_read_is_the_card_written(put):
    path = put("starry", STARRY)
    (text,) = [p.value for p in onnx.load(path).metadata_props if p.key == KEY]
    assert read_card(path) == ModelCard.from_json(text)


def test_a_card_among_other_metadata_and_large_weights(put):
    path = put("starry", STARRY)
    model = onnx.load(path)
    model.graph.initializer.append(
        onnx.TensorProto(name="w", data_type=1, dims=[50000], raw_data=bytes(200000))
    )
    model.metadata_props.insert(0, onnx.StringStringEntryProto(key="zzz", value="ü" * 300))
    onnx.save(model, path)
    card = read_card(path)
    assert card is not None
    assert card.style == STARRY


def test_files_without_a_card_and_other_files_have_none(put, tmp_path):
    assert read_card(put("bare", card=False)) is None
    assert read_card(tmp_path / "missing.onnx") is None
    text = tmp_path / "notes.onnx"
    text.write_text("no model at all, only words")
    assert read_card(text) is None
    text.write_bytes(b"")
    assert read_card(text) is None


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "any.onnx"
    path.write_bytes(data)
    assert read_card(path) is None


def test_every_truncation_is_survived(put):
    path = put("starry", STARRY)
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        read_card(path)


def test_variants_share_name_and_style(put, tmp_path):
    starry = put("starry", STARRY)
    fast, int8 = put("starry-fast", STARRY), put("starry-int8", STARRY)
    put("starry-wave", WAVE)
    wave = put("wave", WAVE)
    put("starry2", STARRY)
    assert variants_of(starry) == [fast, int8]
    assert variants_of(wave) == []
    (tmp_path / "notes.txt").write_text("x")
    assert neighbors_of(starry) == [tmp_path / "starry2.onnx", wave]
    assert neighbors_of(int8) == [tmp_path / "starry2.onnx", wave]


def test_models_that_need_a_style_picture_or_give_none_are_no_neighbors(put):
    starry = put("starry", STARRY)
    put("any", roles=("image", "style"))
    knob = put("knob", roles=("image", "scalar"))
    assert neighbors_of(starry) == [knob]
    assert not is_style(None)
    assert not is_style(ModelCard("c", "adain", (Port("image"),), (Port("code", "code"),)))
