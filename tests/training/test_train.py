"""The trainer as a user meets it: resume, recipes, checkpoints, and every kind of bad input."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from runtime.errors import StyleError, UsageError
from training import networks
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.config import find_data, load_recipe, recipe_names, with_painting
from training.engine import Engine
from training.methods import Assets
from training.methods.perceptual import Perceptual, learning_rate, ramp
from training.train import main

TINY = [
    "network={name = 'lean', width = 8, blocks = 1}",
    "backbone.style_layers=['relu1_1', 'relu2_1']",
    "backbone.content_layers=['relu2_1']",
    "data.short_side=80",
    "data.crop=64",
    "style.size=48",
    "batch=1",
    "options.ramp_start=0",
    "options.ramp_end=0.1",
    "sheet_every=100",
]


def arguments(output, photo_folder, painting, weights, *more):
    common = ["--recipe", "starry", "--quiet", "--threads", "1", "--device", "cpu"]
    files = ["--content", photo_folder, "--style", painting, "--weights", weights]
    settings = [part for setting in TINY for part in ("--set", setting)]
    return [str(a) for a in [*common, *files, "--output", output, *settings, *more]]


def tiny(photo_folder, painting, weights, *settings):
    recipe = with_painting(load_recipe("starry", [*TINY, *settings]), "starry", painting)
    return Perceptual(recipe, Assets(painting, photo_folder, weights))


def test_another_painting_does_not_take_the_name_of_the_recipes_own(tmp_path):
    recipe = load_recipe("starry", ["style.artist='Ada'"])
    mine = with_painting(recipe, "starry", tmp_path / "mine.jpg").style
    assert (mine.image, mine.title, mine.artist, mine.source) == ("mine.jpg", "mine", "Ada", "")
    assert (
        with_painting(recipe, "starry", tmp_path / "my_own-work.jpg").style.title == "my own work"
    )
    assert with_painting(recipe, "starry", tmp_path / "starry_night.jpg") is recipe


@pytest.mark.parametrize("ccpl", [0.0, 5.0], ids=["fixed terms", "a term that learns"])
def test_resume_equals_an_unbroken_run_bit_for_bit(
    tmp_path, photo_folder, painting, random_weights, ccpl
):
    settings = ["steps=8", f"objective.ccpl={ccpl}"]
    flags = [flag for setting in settings for flag in ("--set", setting)]
    whole = arguments(tmp_path / "whole", photo_folder, painting, random_weights)
    assert main([*whole, *flags]) == 0
    # A run that dies after step 5, then goes on from its checkpoint in a new process' state.
    method = tiny(photo_folder, painting, random_weights, *settings)
    Engine(method, tmp_path / "broken", quiet=True).run(stop=5)
    torch.manual_seed(123)
    broken = arguments(tmp_path / "broken", photo_folder, painting, random_weights)
    assert main([*broken, *flags, "--resume"]) == 0
    one = load_checkpoint(tmp_path / "whole" / "last.safetensors")
    two = load_checkpoint(tmp_path / "broken" / "last.safetensors")
    assert one.step == two.step == 8
    assert one.tensors.keys() == two.tensors.keys()
    assert any(key.startswith("optimizer.generator") for key in one.tensors)
    assert any(key.startswith("optimizer.terms") for key in one.tensors) == bool(ccpl)
    for key, tensor in one.tensors.items():
        assert torch.equal(tensor, two.tensors[key]), key
    assert one.state == two.state


def test_training_improves_and_writes_its_log(tmp_path, photo_folder, painting, random_weights):
    run = arguments(tmp_path / "run", photo_folder, painting, random_weights)
    assert main([*run, "--set", "steps=100", "--set", "seeds=0"]) == 0
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").open()]
    assert [line["step"] for line in lines] == [50, 100]
    assert {"total", "style", "content", "tv", "periodicity", "motion", "steps_per_s"} <= set(
        lines[0]
    )
    assert lines[1]["total"] < lines[0]["total"]
    assert (tmp_path / "run" / "sheet_000100.png").is_file()


def test_ctrl_c_saves(tmp_path, photo_folder, painting, random_weights):
    method = tiny(photo_folder, painting, random_weights, "steps=50")
    step = method.step

    def interrupt(number):
        if number == 3:
            raise KeyboardInterrupt
        return step(number)

    method.step = interrupt
    with pytest.raises(KeyboardInterrupt):
        Engine(method, tmp_path, quiet=True).run()
    assert load_checkpoint(tmp_path / "last.safetensors").step == 3


def test_a_loss_that_is_not_finite_names_step_and_term(
    tmp_path, photo_folder, painting, random_weights
):
    method = tiny(photo_folder, painting, random_weights)
    method.step = lambda number: {"style": math.nan, "total": math.nan}
    with pytest.raises(StyleError, match=r'step 0: the term "style" is nan'):
        Engine(method, tmp_path, quiet=True).run()


def test_a_run_is_not_overwritten_unasked(tmp_path, photo_folder, painting, random_weights, capsys):
    run = arguments(tmp_path, photo_folder, painting, random_weights, "--set", "steps=1")
    assert main(run) == 0
    assert main(run) == 2
    assert "--resume" in capsys.readouterr().err
    assert main([*run, "--overwrite"]) == 0
    log = (tmp_path / "log.jsonl").read_text()
    assert log.count("\n") == 1  # of this run alone


def test_a_run_that_never_begins_leaves_the_one_before(
    tmp_path, photo_folder, painting, random_weights
):
    """Its log stays, which belongs to the checkpoint that stays."""
    log = tmp_path / "log.jsonl"
    log.write_text("before\n")
    method = tiny(photo_folder, painting, random_weights)
    method.step = lambda number: {"total": math.nan}
    with pytest.raises(StyleError):
        Engine(method, tmp_path, quiet=True).run()
    assert log.read_text() == "before\n"


def test_resume_refuses_another_recipe(tmp_path, photo_folder, painting, random_weights, capsys):
    run = arguments(tmp_path, photo_folder, painting, random_weights)
    assert main([*run, "--set", "steps=1"]) == 0
    assert main([*run, "--set", "steps=1", "--set", "batch=2", "--resume"]) == 2
    assert '"batch" = 1, this run has 2' in capsys.readouterr().err


def test_resume_needs_nothing_but_the_folder(
    tmp_path, photo_folder, painting, random_weights, capsys
):
    """Recipe and painting come from the run; a finished run goes on with --steps."""
    output = tmp_path / "starry"
    run = arguments(output, photo_folder, painting, random_weights, "--title", "Stripes")
    assert main([*run, "--set", "steps=1"]) == 0
    assert (output / painting.name).read_bytes() == painting.read_bytes()
    files = ["--content", str(photo_folder), "--weights", str(random_weights)]
    again = ["--output", str(output), "--resume", "--device", "cpu", "--threads", "1", *files]
    assert main(again) == 0
    err = capsys.readouterr().err
    assert "finished after 1 steps; --steps N goes on" in err
    assert f"--checkpoint {output} --target onnx --output build/my-starry.onnx" in err
    assert main([*again, "--steps", "3"]) == 0
    found = load_checkpoint(output)
    assert found.step == 3 and found.recipe["steps"] == 3
    assert found.recipe["style"]["title"] == "Stripes"
    other = tmp_path / "other.png"
    other.write_bytes(painting.read_bytes())
    assert main([*again, "--style", str(other)]) == 2
    assert main([*again, "--recipe", "wheat"]) == 2
    err = capsys.readouterr().err
    assert 'with the painting "stripes.png", not with "other.png"' in err
    assert 'a run of the recipe "starry", not of "wheat"' in err
    assert main(["--output", str(tmp_path / "none")]) == 2
    assert "--recipe starry, or the run" in capsys.readouterr().err


def test_a_painting_of_the_run_is_found_before_any_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.png").touch()
    run = tmp_path / "run"
    run.mkdir()
    assert find_data("a.png", "style", run) == Path("a.png")
    (run / "a.png").touch()
    assert find_data("a.png", "style", run) == run / "a.png"
    assert find_data("../a.png", "style", run) == run / "a.png"


def test_unreadable_photos_are_skipped_and_counted(tmp_path, photo_folder, painting, capsys):
    from training.data.images import Photos

    for source in photo_folder.iterdir():
        (tmp_path / source.name).write_bytes(source.read_bytes())
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff no photo")
    (tmp_path / "empty.png").touch()
    photos = Photos(tmp_path, 64)
    assert len(photos.images) == 6
    assert {p.name for p in photos.skipped} == {"broken.jpg", "empty.png"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--recipe", "stary"], 'Did you mean "starry"?'),
        (["--set", "stesp=5"], 'Did you mean "steps"?'),
        (["--set", "objective.styel=5"], 'Did you mean "style"?'),
        (["--set", "network.widht=5"], 'Did you mean "width"?'),
        (["--set", "options.motion_evry=5"], 'Did you mean "motion_every"?'),
        (["--set", "steps=many"], '"steps" must be int'),
        (["--set", "steps"], "key=value"),
        (["--content", "nowhere"], 'no folder of photos "nowhere"'),
        (["--style", "nothing.jpg"], 'no picture "nothing.jpg"'),
        (["--device", "tpu"], "allowed are auto, cpu, cuda"),
    ],
)
def test_bad_input_is_one_line(
    tmp_path, photo_folder, painting, random_weights, capsys, change, message
):
    run = arguments(tmp_path / "run", photo_folder, painting, random_weights)
    assert main([*run, *change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_no_photos_and_no_picture(tmp_path, photo_folder, painting, random_weights, capsys):
    (tmp_path / "notes.txt").write_text("no photo")
    run = arguments(tmp_path / "run", tmp_path, painting, random_weights)
    assert main(run) == 2
    assert "no readable photo" in capsys.readouterr().err
    run = arguments(tmp_path / "run", photo_folder, tmp_path / "notes.txt", random_weights)
    assert main(run) == 2
    assert "is not a picture" in capsys.readouterr().err


def test_cuda_that_is_not_there_exits_3(tmp_path, photo_folder, painting, random_weights):
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    run = arguments(tmp_path / "run", photo_folder, painting, random_weights)
    assert main([*run, "--device", "cuda"]) == 3


def test_dry_run_prints_the_resolved_recipe(capsys):
    assert main(["--recipe", "starry", "--set", "crop=128", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["data"]["crop"] == 128


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("options.featre_matching=10", 'Did you mean "feature_matching"'),
        ("options.r1=-1", '"r1" is -1.0, allowed is'),
        ("network.widht=3", 'Did you mean "width"'),
        ("network={name='layers'}", 'no "layers" in networks. Available: adain'),
    ],
)
def test_dry_run_finds_what_the_run_would_refuse(capsys, setting, message):
    assert main(["--recipe", "pix2pix", "--set", setting, "--dry-run"]) == 2
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1 and not said.out


@pytest.mark.parametrize("name", recipe_names())
def test_bundled_recipes_have_settings_that_are_known(name, capsys):
    assert main(["--recipe", name, "--dry-run"]) == 0


@pytest.mark.parametrize("name", recipe_names())
def test_bundled_recipes_load(name):
    recipe = load_recipe(name)
    settings = dict(recipe.network)
    networks.build(settings.pop("name"), **settings)


def test_checkpoints_refuse_pickles_and_strangers(tmp_path):
    pickle = tmp_path / "model.pth"
    torch.save({"a": torch.zeros(1)}, pickle)
    with pytest.raises(UsageError, match="not a safetensors checkpoint"):
        load_checkpoint(pickle)
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "strange.safetensors")
    with pytest.raises(UsageError, match="no impasto header"):
        load_checkpoint(tmp_path / "strange.safetensors")
    with pytest.raises(UsageError, match="no checkpoint"):
        load_checkpoint(tmp_path / "missing.safetensors")


def test_half_of_the_squares_are_enlarged_and_smooth(tmp_path):
    from PIL import Image

    from training.data.images import Photos

    noise = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "noise.png")

    def roughness(enlarge):
        squares = Photos(tmp_path, 96, enlarge=enlarge).batch(
            0, 64, 32, 1.0, np.random.default_rng(1)
        )
        assert squares.shape == (64, 3, 32, 32)
        return squares.diff(dim=3).abs().mean((1, 2, 3))

    plain, mixed = roughness(1.0), roughness(6.0)
    assert plain.min() > 0.8 * plain.max()
    smooth = (mixed < 0.75 * plain.min()).float().mean()
    assert 0.25 < smooth < 0.6


def test_a_square_of_one_color_is_drawn_again():
    from training.data.images import random_square

    rng = np.random.default_rng(0)
    # One part in sixteen is more than white paper: eight tries miss it in half of the draws.
    image = np.full((64, 64, 3), 255, np.uint8)
    image[:16, :16] = rng.integers(0, 256, (16, 16, 3))
    flat = [image[random_square(image, 8, rng)].std() == 0 for _ in range(400)]
    assert 0.35 < np.mean(flat) < 0.7
    blank = np.full((64, 48, 3), 7, np.uint8)
    assert blank[random_square(blank, 99, rng)].shape == (48, 48, 3)  # and does not hang


def test_a_square_of_one_color_is_what_instance_normalization_cannot_learn_from():
    """Why: the gradient of eleven normalizations in a row, of a flat square and of a varied one."""
    generator = networks.build("lean", width=16, blocks=5, padding="replicate", margin=0)
    norms = []
    for square in (torch.full((1, 3, 32, 32), 0.5), torch.rand(1, 3, 32, 32)):
        generator.zero_grad()
        generator(square).square().mean().backward()
        norms.append(max(float(p.grad.norm()) for p in generator.parameters()))
    assert norms[0] > 1e3 * norms[1]


def test_checkpoint_round_trip_prefers_averaged_weights(tmp_path):
    generator = networks.build("lean", width=4, blocks=1)
    weights = generator.state_dict()
    tensors = {f"generator.{k}": torch.zeros_like(v) for k, v in weights.items()}
    tensors |= {f"ema.{k}": v for k, v in weights.items()}
    network = {"name": "lean", **generator.config}
    save_checkpoint(Checkpoint(network, {}, 3, tensors), tmp_path / "a.safetensors")
    again = load_checkpoint(tmp_path / "a.safetensors").build_generator()
    for key, value in weights.items():
        assert torch.equal(again.state_dict()[key], value)
    assert not list(tmp_path.glob(".*"))


def test_a_network_fine_tuned_for_bytes_ends_where_they_do(tmp_path):
    generator = networks.build("lean", width=4, blocks=1)
    tensors = {f"ema.{k}": v for k, v in generator.state_dict().items()}
    names = ("stem", "block0.conv1", "block0.conv2", "block0.conv2.sum")
    tensors |= {f"extra.range.{name}": torch.tensor([0.0, 0.25]) for name in names}
    network = {"name": "lean", **generator.config}
    save_checkpoint(Checkpoint(network, {}, 3, tensors), tmp_path / "a.safetensors")
    found = load_checkpoint(tmp_path / "a.safetensors")
    bounded, free = found.build_generator(), found.build_generator(clipping=False)
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert bounded.stem_clip(torch.tensor([9.0, -9.0])).tolist() == [0.25, 0.0]
        assert torch.equal(free(picture), generator(picture))
        assert not torch.allclose(bounded(picture), free(picture))
    found.tensors["extra.range.block7.conv1"] = torch.tensor([0.0, 1.0])
    with pytest.raises(UsageError, match="block7"):
        found.build_generator()


def test_checkpoint_of_another_network_is_refused(tmp_path):
    generator = networks.build("lean", width=4, blocks=1)
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    network = {"name": "lean", **generator.config, "width": 8}
    save_checkpoint(Checkpoint(network, {}, 3, tensors), tmp_path / "a.safetensors")
    with pytest.raises(UsageError, match="does not fit"):
        load_checkpoint(tmp_path / "a.safetensors").build_generator()


def test_schedules_by_hand():
    config = load_recipe("starry").optimizer
    assert learning_rate(config, 0, 1000) == pytest.approx(config.lr / config.warmup)
    assert learning_rate(config, 1000, 1000) == pytest.approx(config.lr * config.end)
    half = learning_rate(config, 500, 1000)
    assert half == pytest.approx(config.lr * (config.end + (1 - config.end) / 2))
    found = [ramp(s, 100, 0.1, 0.3) for s in (0, 10, 20, 30, 99)]
    assert found == pytest.approx([0, 0, 0.5, 1, 1])
