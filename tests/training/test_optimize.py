import json

import pytest
import torch
from PIL import Image

from runtime.plugins import names
from runtime.provenance import SOURCE_TYPE
from training import losses
from training.backbones import open_backbone
from training.data.images import load_image
from training.objective import Objective
from training.optimize import main, optimize_image


@pytest.fixture(scope="module")
def objective(random_weights, painting):
    backbone = open_backbone("vgg19_16x", random_weights)
    weights = {"style": 5.0, "content": 1.0, "tv": 0.1, "range": 2.0}
    layers = {"relu1_1": 1.0, "relu2_1": 1.0}
    return Objective(backbone, load_image(painting, 48), layers, ("relu2_1",), weights)


@pytest.mark.parametrize("optimizer", ["lbfgs", "adam"])
@pytest.mark.parametrize("init", ["content", "noise"])
def test_every_evaluation_is_counted_and_the_best_is_kept(objective, optimizer, init):
    photo = torch.rand(1, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    seen = []
    result = optimize_image(
        photo, objective, 12, init=init, optimizer=optimizer, watch=lambda n, t: seen.append((n, t))
    )
    assert [n for n, _ in seen] == list(range(1, 13))
    assert [t for _, t in seen] == result.history
    assert min(result.history) < result.history[0]
    assert result.image.min() >= 0 and result.image.max() <= 1


def test_starting_at_the_painting_has_no_style_loss(objective, painting):
    image = load_image(painting, 48)
    with torch.no_grad():
        values = objective(image, objective.content_features(image))
    assert values["style"] < 1e-9
    assert values["content"] == 0


def test_total_is_the_weighted_sum(objective):
    image = torch.rand(1, 3, 48, 48)
    with torch.no_grad():
        values = objective(image, objective.content_features(image * 0.5))
    expected = sum(objective.weights[n] * values[n] for n in objective.weights)
    torch.testing.assert_close(values["total"], expected)


def test_command_writes_a_picture_once(tmp_path, photo_folder, painting, random_weights, capsys):
    output = tmp_path / "out.png"
    run = [
        *("--content", str(photo_folder / "coffee.png"), "--style", str(painting)),
        *("--output", str(output), "--weights", str(random_weights), "--device", "cpu"),
        *("--size", "64", "--style-size", "48", "--evaluations", "5", "--scales", "2", "--json"),
    ]
    assert main(run) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["evaluations"] == 10
    with Image.open(output) as picture:
        assert min(picture.size) == 64
        stated = picture.info["xmp"].decode()  # what made it
        assert f'"{SOURCE_TYPE}"' in stated and '"Impasto (vgg19_16x)"' in stated
    assert main(run) == 2
    assert "exists" in capsys.readouterr().err
    assert main([*run, "--overwrite", "--no-provenance"]) == 0
    with Image.open(output) as picture:
        assert "xmp" not in picture.info


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (["--weight", "style=much"], "TERM=NUMBER"),
        (["--weight", "styel=1"], 'Did you mean "style"?'),
        (["--content", "no.jpg"], 'no picture "no.jpg"'),
        (["--evaluations", "0"], "at least 1"),
        (["--output", "out.xyz"], '".xyz" is no picture format'),
    ],
)
def test_bad_input_is_one_line(
    tmp_path, photo_folder, painting, random_weights, capsys, change, message
):
    run = [
        *("--content", str(photo_folder / "coffee.png"), "--style", str(painting)),
        *("--output", str(tmp_path / "out.png"), "--weights", str(random_weights)),
        *("--size", "64", "--style-size", "48", "--evaluations", "2", "--quiet"),
    ]
    assert main([*run, *change]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.fixture
def command(tmp_path, photo_folder, painting, random_weights):
    def start(*more):
        words = ["--content", photo_folder / "coffee.png", "--style", painting]
        words += ["--output", tmp_path / "out.png", "--weights", random_weights]
        words += ["--size", 64, "--style-size", 48, "--evaluations", 3, "--device", "cpu"]
        return main([str(word) for word in [*words, "--json", "--overwrite", *more]])

    return start


def test_recomputing_gives_the_same_picture(command, tmp_path, capsys):
    assert command() == 0
    plain = (tmp_path / "out.png").read_bytes(), json.loads(capsys.readouterr().out)
    assert command("--recompute") == 0
    lean = (tmp_path / "out.png").read_bytes(), json.loads(capsys.readouterr().out)
    assert plain[0] == lean[0]
    assert plain[1]["total"] == lean[1]["total"]


def test_the_seed_decides_the_noise(command, tmp_path):
    found = []
    for seed in (0, 0, 1):
        assert command("--init", "noise", "--seed", seed) == 0
        found.append((tmp_path / "out.png").read_bytes())
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("term", [n for n in names(losses) if n not in ("gan", "regions", "text")])
def test_every_term_is_named_on_the_command_line(command, term, capsys):
    assert command("--weight", f"{term}=1") == 0
    assert json.loads(capsys.readouterr().out)["evaluations"] == 3


def test_out_of_memory_says_what_to_lower(command, monkeypatch, capsys):
    def explode(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("training.optimize.optimize_image", explode)
    assert command() == 1
    error = capsys.readouterr().err
    assert error == (
        "error: out of memory at 85x64: lower --size (64), pass --recompute, "
        "or use --optimizer adam\n"
    )


def test_a_painting_of_32_px(command, tmp_path):
    Image.linear_gradient("L").resize((32, 32)).save(tmp_path / "small.png")
    assert command("--style", tmp_path / "small.png", "--scales", 2, "--init", "style") == 0
