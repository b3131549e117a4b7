"""Models of several graphs: written, checked, opened by the runtime with a style or a code."""

import json

import numpy as np
import pytest
import torch

from export.__main__ import main
from runtime.checksum import sha256
from runtime.errors import UsageError
from runtime.model.session import open_session
from training import networks
from training.checkpoint import Checkpoint, save_checkpoint
from training.feature_statistics import channel_moments

SMALL = {
    "adain": {"level": 2},
    "microast": {"width": 8, "blocks": 1, "encoder_width": 4, "hidden": 8},
    "cin": {"width": 8, "blocks": 1, "styles": 3},
}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Network name -> (generator, path of its frame graph), exported once."""
    pytest.importorskip("onnxscript")
    folder, made = tmp_path_factory.mktemp("several"), {}

    def export(name):
        if name not in made:
            torch.manual_seed(0)
            generator = networks.build(name, **SMALL[name]).eval()
            if name in ("cin", "microast"):
                last = generator.table if name == "cin" else generator.write.weight
                torch.nn.init.normal_(last, 0.3, 0.3)
            tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
            checkpoint = folder / f"{name}.safetensors"
            network = {"name": name, **generator.config}
            recipe = {"method": "adain", "style": {"title": "T"}}
            save_checkpoint(Checkpoint(network, recipe, 7, tensors), checkpoint)
            path = folder / f"{name}.onnx"
            words = ["--checkpoint", checkpoint, "--output", path, "--quiet"]
            assert main([str(word) for word in words]) == 0
            made[name] = generator, path
        return made[name]

    return export


@pytest.fixture(scope="module")
def pictures():
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(3)]


def tensor(image):
    return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255


@pytest.mark.parametrize("name", ["adain", "microast"])
def test_a_style_picture_goes_through_the_companion(name, exported, pictures):
    generator, path = exported(name)
    photo, style, other = pictures
    companion = path.with_name(f"{name}.style.onnx")
    report = json.loads(path.with_suffix(".json").read_text())
    assert report["verdict"] == "passed"
    assert report["companions"] == {companion.name: sha256(companion)}
    with torch.no_grad():
        codes = generator.encode(tensor(style))
        codes = codes if isinstance(codes, list) else [codes]
        expected = generator(tensor(photo), *codes).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    with open_session(path) as session:
        found = session.stylize(photo, style=style)
        assert np.abs(found / 255 - expected).max() < 0.6 / 255
        assert (session.stylize(photo, style=other) != found).any()
        mix = session.stylize(photo, style=[(style, 1.0), (other, 1.0)])
        assert mix.shape == photo.shape
        with pytest.raises(UsageError, match="add --style"):
            session.stylize(photo)


def test_a_code_mixes_styles(exported, pictures):
    generator, path = exported("cin")
    photo = pictures[0]
    with open_session(path) as session:
        mean = session.stylize(photo)
        for code in ([0.0, 1.0, 0.0], [0.5, 0.0, 0.5], [1 / 3] * 3):
            with torch.no_grad():
                expected = generator(tensor(photo), torch.tensor([code])).clamp(0, 1)
            found = session.stylize(photo, code=code)
            assert np.abs(found / 255 - expected[0].permute(1, 2, 0).numpy()).max() < 0.6 / 255
        assert np.array_equal(mean, found)


def test_alpha_is_a_knob(exported, pictures):
    generator, path = exported("adain")
    photo, style, _ = pictures
    with torch.no_grad():
        features = generator.encoder(tensor(photo))
        own = torch.cat(channel_moments(features), 1)
        expected = generator(tensor(photo), own).clamp(0, 1)[0].permute(1, 2, 0).numpy()
    with open_session(path) as session:
        found = session.stylize(photo, style=style, alpha=0.0)
    assert np.abs(found / 255 - expected).max() < 0.6 / 255


def test_precisions_and_sizes_are_refused(exported, tmp_path, capsys):
    _, path = exported("cin")
    checkpoint = path.with_suffix(".safetensors")
    words = ["--checkpoint", str(checkpoint), "--output", str(tmp_path / "x.onnx"), "--quiet"]
    assert main([*words, "--size", "64x64"]) == 2
    assert "several graphs" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_wct_with_its_real_weights(shared_data, tmp_path):
    """Random features whiten badly (their deviation is a rounding error of their mean)."""
    generator = networks.build("wct", levels=(3, 2, 1)).eval()
    generator.load_pretrained(shared_data / "weights")
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    network = {"name": "wct", **generator.config}
    save_checkpoint(Checkpoint(network, {"method": "wct"}, 0, tensors), tmp_path / "w.safetensors")
    words = ["--checkpoint", tmp_path / "w.safetensors", "--output", tmp_path / "w.onnx", "--quiet"]
    assert main([str(word) for word in words]) == 0
    report = json.loads((tmp_path / "w.json").read_text())
    assert all(size["psnr_db"] > 90 for size in report["parity"]["sizes"])
