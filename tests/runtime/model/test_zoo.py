"""Cards read without loading models; styles and variants told apart by name and card."""

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.card import KEY, ModelCard, Port
from runtime.errors import CardMismatch
from runtime.model.zoo import is_style, read_card

STARRY = {"title": "The Starry Night"}


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


def test_styles_are_pictures_in_pictures_out():
    assert not is_style(None)
    assert not is_style(ModelCard("c", "adain", (Port("image"),), (Port("code", "code"),)))
    assert not is_style(
        ModelCard("a", "adain", (Port("image"), Port("s", "style")), (Port("styled"),))
    )
    assert is_style(
        ModelCard("k", "perceptual", (Port("image"), Port("k", "scalar")), (Port("styled"),))
    )


def test_half_characters_are_damage():
    """JSON can hold them, and neither a file nor a page: writing the title failed."""
    card = ModelCard("x", "y", (Port("image"),), (Port("styled"),), style={"title": "Tram"})
    with pytest.raises(CardMismatch, match="is not JSON"):
        ModelCard.from_json(card.to_json().replace("Tram", "\\ud800"))
