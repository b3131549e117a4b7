import pytest

from export.source import load_source
from runtime.errors import UsageError
from training import networks
from training.checkpoint import Checkpoint, save_checkpoint


@pytest.fixture
def checkpoint(tmp_path):
    generator = networks.build("lean", width=4, blocks=1)
    tensors = {f"generator.{key}": value for key, value in generator.state_dict().items()}
    path = tmp_path / "a.safetensors"
    save_checkpoint(Checkpoint({"name": "lean", **generator.config}, {}, 1, tensors), path)
    return path


def test_a_setting_without_weights_can_change(checkpoint):
    source = load_source(checkpoint, "a", ["margin=32"])
    assert source.generator.margin == 32
    assert source.card.network["margin"] == 32


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("margin", "key=value"),
        ("margni=32", 'Did you mean "margin"'),
        ("width=8", "does not fit"),
        ("margin=30", "multiple of scale"),
    ],
)
def test_others_are_refused(checkpoint, setting, message):
    with pytest.raises(UsageError, match=message):
        load_source(checkpoint, "a", [setting])
