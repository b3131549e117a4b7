import copy
import json

import numpy as np
import pytest
import torch

import export.artifact as flow
from export.__main__ import main as export_main
from export.finetune import finetuning_recipe, first_ranges, main
from export.int8.lean_layers import take_apart
from export.int8.whole_frame import calibrated
from export.source import load_source
from export.verify.photos import load_photos
from runtime.errors import UsageError
from runtime.model.session import open_session
from training.checkpoint import load_checkpoint, save_checkpoint
from training.config import Recipe
from training.methods import Assets
from training.methods.quantized import Quantized, night_exponents
from training.quantization.fake import QuantizedLean, Ranges


@pytest.fixture(autouse=True)
def small_photos(monkeypatch):
    monkeypatch.setattr("export.int8.calibrate.SIZE", (96, 64))


@pytest.fixture(params=[{}, {"padding": "replicate", "margin": 0}], ids=["zeros", "replicate"])
def surroundings(request):
    """What the picture is surrounded with inside the network."""
    return request.param


@pytest.fixture
def trained(checkpoint, photos_folder, tmp_path):
    return with_photos(load_checkpoint(checkpoint), photos_folder, tmp_path)


def with_photos(loaded, photos_folder, tmp_path):
    """The checkpoint as of a training on these photos."""
    table = Recipe(name="toy", ema=0.0).to_dict()
    table["data"] |= {"content": str(photos_folder), "short_side": 96, "crop": 48, "zoom": 1.2}
    loaded.recipe.clear()
    loaded.recipe.update(json.loads(json.dumps(table)))
    path = tmp_path / "trained" / "last.safetensors"
    save_checkpoint(loaded, path)
    return path


def finetune(trained, output, *more):
    given = ["--checkpoint", str(trained.parent), "--output", str(output), "--device", "cpu"]
    return main([*given, "--quiet", "--set", "data.crop=48", *more])


def error(path, original, photos):
    """Mean squared difference of a checkpoint's pictures in bytes and the original's in floats."""
    network = load_checkpoint(path).build_generator()
    exact = load_checkpoint(original).build_generator()
    coarse = QuantizedLean(network, Ranges(take_apart(network).clipping_ranges()))
    with torch.no_grad():
        pairs = [(coarse(x), exact(x)) for x in photos]
    return np.mean([float((a - b).square().mean()) for a, b in pairs])


def tensors(photos_folder):
    return [
        torch.from_numpy(p[:96, :128].transpose(2, 0, 1).copy())[None] / 255
        for p in load_photos(photos_folder)
    ]


def test_fine_tuning_brings_bytes_nearer_to_what_was_trained(trained, photos_folder, tmp_path):
    sets = ["data.crop=88", "optimizer.lr=1e-3", "options.night=0.0", "batch=2", "data.noise=0.0"]
    words = [word for setting in sets for word in ("--set", setting)]
    assert finetune(trained, tmp_path / "few", "--steps", "1", *words) == 0
    assert finetune(trained, tmp_path / "many", "--steps", "80", *words) == 0
    photos = tensors(photos_folder)
    few, many = (
        error(tmp_path / name / "last.safetensors", trained, photos) for name in ("few", "many")
    )
    assert many < 0.9 * few


def test_the_file_paints_what_was_trained(
    checkpoint, surroundings, photos_folder, tmp_path, monkeypatch
):
    """The fake-quantized network and the exported graph give the same bytes."""
    loaded = load_checkpoint(checkpoint)
    loaded.network.update(surroundings)
    trained = with_photos(loaded, photos_folder, tmp_path)
    monkeypatch.setattr(flow, "SIZES", ((96, 64),))
    assert finetune(trained, tmp_path / "run", "--steps", "3") == 0
    last, path = tmp_path / "run/last.safetensors", tmp_path / "toy.onnx"
    given = ["--checkpoint", str(last), "--output", str(path), "--precision", "int8"]
    assert export_main([*given, "--photos", str(photos_folder), "--quiet"]) == 0
    report = json.loads(path.with_suffix(".json").read_text())
    assert any("learned by fine-tuning" in step for step in report["steps"])
    source = load_source(last, "toy")
    ends = take_apart(source.generator).clipping_ranges()
    assert ends["stem"][0] == 0 and ends["block0.conv2"][0] < 0
    _, calibration = calibrated(source, load_photos(photos_folder))
    coarse = QuantizedLean(source.generator, Ranges(calibration.whole_ranges()))
    with open_session(path) as session:
        for photo in load_photos(photos_folder):
            photo = np.ascontiguousarray(photo[:96, :128])
            session.reset()
            styled = session.stylize(photo).astype(int)
            with torch.no_grad():
                x = torch.from_numpy(photo.transpose(2, 0, 1).copy())[None] / 255
                expected = (coarse(x).clamp(0, 1) * 255).round()[0].permute(1, 2, 0).numpy()
            # The file's biases are rounded to integers, which turns one rounding in a hundred over.
            assert np.mean(np.abs(styled - expected) <= 1) > 0.95
            assert np.abs(styled - expected).mean() < 0.3


def test_floats_end_where_bytes_do(trained, photos_folder, tmp_path):
    """A fine-tuned network's floats differ from its bytes by rounding, not by what is cut."""
    last = tmp_path / "run/last.safetensors"
    assert finetune(trained, last.parent, "--steps", "1") == 0
    network = load_checkpoint(last).build_generator()
    narrow = {
        n: (low / 3, high / 3) for n, (low, high) in take_apart(network).clipping_ranges().items()
    }
    free = copy.deepcopy(network)
    free.clip({name: (-99.0, 99.0) for name in narrow})
    network.clip(narrow)
    coarse = QuantizedLean(network, Ranges(narrow))
    for photo in tensors(photos_folder):
        with torch.no_grad():
            shown, near, far = (net(photo).clamp(0, 1) for net in (coarse, network, free))
        assert (shown - near).square().mean() < 0.25 * (shown - far).square().mean()


def test_resume_equals_an_unbroken_run(trained, tmp_path):
    from training.engine import Engine

    assert finetune(trained, tmp_path / "whole", "--steps", "6") == 0
    table = load_checkpoint(tmp_path / "whole/last.safetensors").recipe

    def built():
        from training.config import recipe_from_dict

        method = Quantized(recipe_from_dict(json.loads(json.dumps(table))), Assets())
        return Engine(method, tmp_path / "parts", quiet=True)

    built().run(stop=3)
    again = built()
    again.resume()
    again.run()
    whole, parts = (
        load_checkpoint(tmp_path / name / "last.safetensors") for name in ("whole", "parts")
    )
    for group in ("generator", "extra"):
        ours, theirs = whole.group(group), parts.group(group)
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[key], theirs[key]) for key in ours), group


def test_the_command_resumes_and_overwrites_nothing(trained, tmp_path, capsys):
    assert finetune(trained, tmp_path / "run", "--steps", "2") == 0
    assert finetune(trained, tmp_path / "run", "--steps", "2") == 2
    assert "--resume" in capsys.readouterr().err
    assert finetune(trained, tmp_path / "run", "--resume") == 0


def test_the_recipe_is_the_checkpoints_own(trained):
    checkpoint = load_checkpoint(trained)
    table = {**checkpoint.recipe, "options": {"teacher": "x", "start": "y", "motion_every": 3}}
    recipe = finetuning_recipe(
        table, checkpoint.network, trained, 9, {"stem": [0.0, 1.0]}, ["options.night=0.5"]
    )
    assert (recipe.name, recipe.method, recipe.steps) == ("toy-int8", "quantized", 9)
    assert recipe.data.short_side == 96 and recipe.network == checkpoint.network
    assert recipe.options == {
        "original": str(trained), "ranges": {"stem": [0.0, 1.0]}, "night": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("normalization", "settings", "rate"),
    [("instance", [], 1e-3), ("none", [], 1e-4), ("none", ["lr=2e-3"], 2e-3)],
)
def test_networks_without_normalization_take_small_steps(trained, normalization, settings, rate):
    checkpoint = load_checkpoint(trained)
    network = {**checkpoint.network, "normalization": normalization}
    recipe = finetuning_recipe(checkpoint.recipe, network, trained, 1, {}, settings)
    assert recipe.optimizer.lr == rate


def test_other_networks_are_refused(new_checkpoint, trained, photos_folder, tmp_path, capsys):
    other = new_checkpoint(tmp_path / "johnson.safetensors", "johnson", width=4, blocks=1)
    given = ["--checkpoint", str(other), "--content", str(photos_folder), "--quiet"]
    assert main([*given, "--output", str(tmp_path / "run")]) == 2
    message = capsys.readouterr().err
    assert '"lean"' in message and message.count("\n") == 1
    recipe = finetuning_recipe(load_checkpoint(trained).recipe, {"name": "lean"}, other, 1, {}, [])
    with pytest.raises(UsageError, match="lean"):
        Quantized(recipe, Assets())


def test_nights_are_darker():
    rng = np.random.default_rng(0)
    assert (night_exponents(8, 0.0, 4.0, rng) == 1).all()
    dark = night_exponents(8, 1.0, 4.0, rng)
    assert dark.shape == (8, 1, 1, 1) and (dark > 1).all() and (dark <= 4).all()
    assert 0 < (night_exponents(1000, 0.3, 4.0, rng) > 1).float().mean() < 0.4


def test_a_second_run_starts_with_the_ranges_of_the_first(trained, tmp_path):
    assert finetune(trained, tmp_path / "run", "--steps", "1") == 0
    again = load_checkpoint(tmp_path / "run/last.safetensors")
    stored = {k: v.tolist() for k, v in again.group("extra.range").items()}
    assert first_ranges(again, tmp_path / "no photos") == stored


@pytest.mark.parametrize("normalization", ["instance", "none"])
def test_one_style_of_several_is_taught(normalization, new_checkpoint, photos_folder, tmp_path):
    """As a lean network of its own, which begins with what the whole network paints of it."""
    shape = {"styles": 2, "names": ["ink", "monet"], "normalization": normalization}
    made = new_checkpoint(tmp_path / "two.safetensors", "cin", width=16, blocks=1, **shape)
    trained = with_photos(load_checkpoint(made), photos_folder, tmp_path)
    run = tmp_path / "run"
    assert finetune(trained, run, "--steps", "1", "--set", "style=monet", "--set", "lr=1e-9") == 0
    taught = load_checkpoint(run)
    assert taught.network["name"] == "lean"
    (photo,) = tensors(photos_folder)[:1]
    with torch.no_grad():
        whole = load_checkpoint(trained).build_generator()
        wanted = whole(photo, torch.tensor([[0.0, 1.0]]))
        found = taught.build_generator(clipping=False)(photo)
    assert float((found - wanted).abs().max()) < 1e-3


@pytest.mark.parametrize(
    ("name", "style", "words"),
    [
        ("cin", "hue", "allowed are ink, monet"),
        ("lean", "ink", 'the network is "lean"; only "cin" networks know several styles'),
    ],
)
def test_a_style_that_is_not_there(name, style, words, new_checkpoint, tmp_path, capsys):
    shape = {"styles": 2, "names": ["ink", "monet"]} if name == "cin" else {}
    made = new_checkpoint(tmp_path / "two.safetensors", name, width=16, blocks=1, **shape)
    given = ["--checkpoint", str(made), "--output", str(tmp_path / "run")]
    assert main([*given, "--set", f"style={style}"]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
