"""Diffusion by hand: denoisers that know the answer, the network, a run, and its pictures."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from runtime.errors import UsageError
from training import networks, train
from training.config import load_recipe
from training.methods import Assets
from training.methods.ddpm import Ddpm, Options, add_noise, denoise, kept_shares, visited
from training.sample import __main__ as sample

SMALL = {"width": 8, "multiples": [1, 2], "blocks": 1, "attention": [1], "dropout": 0.0}
TOY = [
    *("--set", "network={name='unet_ddpm', width=8, multiples=[1, 2], blocks=1, dropout=0.0}"),
    *("--set", "data.short_side=16", "--set", "data.crop=16", "--set", "batch=4"),
    *("--set", "options.warmup=5", "--set", "optimizer.lr=3e-3", "--quiet"),
]


def noise(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape, np.float32))


def test_schedule_by_hand():
    kept = kept_shares(Options())
    assert kept[0] == pytest.approx(1 - 1e-4)
    assert kept[1] / kept[0] == pytest.approx(1 - 1e-4 - (0.02 - 1e-4) / 999, abs=1e-6)
    assert 3e-5 < kept[-1] < 5e-5  # the paper: little of the picture is left
    picture, e = torch.full((1, 3, 2, 2), 0.5), torch.ones(1, 3, 2, 2)
    assert add_noise(picture, e, torch.tensor([0.36])).unique().item() == pytest.approx(
        0.6 * 0.5 + 0.8
    )


def test_visited_times():
    assert visited(1000, 1000) == list(range(999, -1, -1))
    assert visited(1000, 3) == [999, 500, 0] and visited(5, 1) == [4]
    with pytest.raises(UsageError, match="allowed are 1 to 10"):
        visited(10, 11)


class KnowsThePicture(torch.nn.Module):
    """All data are one picture: the noise is what is left."""

    def __init__(self, picture, options):
        super().__init__()
        self.picture, self.kept, self.target = picture, kept_shares(options), options.target

    def forward(self, x, times):
        kept = self.kept[times].view(-1, 1, 1, 1)
        noise = (x - kept.sqrt() * self.picture) / (1 - kept).sqrt()
        velocity = kept.sqrt() * noise - (1 - kept).sqrt() * self.picture
        return noise if self.target == "noise" else velocity


@pytest.mark.parametrize("rng", [None, np.random.default_rng(1)], ids=["ddim", "ancestral"])
@pytest.mark.parametrize("evaluations", [1, 7, 100])
@pytest.mark.parametrize("target", ["noise", "velocity"])
def test_who_knows_the_picture_paints_it(rng, evaluations, target):
    options = Options(times=100, target=target)
    picture = noise(1, 3, 4, 4, seed=2).clamp(-0.9, 0.9)
    found = denoise(KnowsThePicture(picture, options), noise(2, 3, 4, 4), options, evaluations, rng)
    torch.testing.assert_close(found, (0.5 + 0.5 * picture).expand_as(found), atol=1e-3, rtol=0)


class KnowsTheGaussian(torch.nn.Module):
    """Pixels are N(m, s^2): E[e | x] = sqrt(1 - a) (x - sqrt(a) m) / (a s^2 + 1 - a)."""

    mean, deviation = 0.2, 0.25

    def forward(self, x, times):
        kept = kept_shares(Options())[times].view(-1, 1, 1, 1)
        spread = kept * self.deviation**2 + 1 - kept
        return (1 - kept).sqrt() * (x - kept.sqrt() * self.mean) / spread


@pytest.mark.parametrize("rng", [None, np.random.default_rng(1)], ids=["ddim", "ancestral"])
def test_the_best_denoiser_of_a_gaussian_draws_from_it(rng):
    found = 2 * denoise(KnowsTheGaussian(), noise(8, 3, 16, 16), Options(), 1000, rng) - 1
    assert float(found.mean()) == pytest.approx(0.2, abs=0.02)
    assert float(found.std()) == pytest.approx(0.25, abs=0.015)


def test_network_begins_at_zero_and_learns_what_time_it_is():
    torch.manual_seed(0)
    network = networks.build("unet_ddpm", **SMALL).eval()
    x, times = noise(2, 3, 12, 16), torch.tensor([0, 900])
    assert network(x, times).abs().max() == 0 and network(x, times).shape == x.shape
    # Answers of size one, as the tolerance expects.
    torch.nn.init.kaiming_normal_(network.last.weight)
    early, late = network(x, times), network(x, times.flip(0))
    assert not torch.allclose(early, late)
    alone = network(x[1:], times[1:])  # pictures of a batch do not mix
    torch.testing.assert_close(alone, early[1:], atol=1e-5, rtol=1e-4)
    for config, message in (({"multiples": []}, "multiples is empty"), ({"width": 7}, "even")):
        with pytest.raises(UsageError, match=message):
            networks.build("unet_ddpm", **config)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two kinds of pictures: bright left, and bright right."""
    folder = tmp_path_factory.mktemp("two")
    for index in range(8):
        image = np.full((16, 16, 3), 40, np.uint8)
        image[:, 8 * (index % 2) : 8 * (index % 2) + 8] = 215
        Image.fromarray(image).save(folder / f"{index}.png")
    return folder


def run_of(folder, pictures, *words):
    return train.main(
        ["--recipe", "ddpm", "--content", str(pictures), "--output", str(folder), *TOY, *words]
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory, pictures):
    folder = tmp_path_factory.mktemp("run") / "toy"
    assert run_of(folder, pictures, "--steps", "6") == 0
    return folder


def test_resume_is_exact(trained, pictures, tmp_path):
    assert run_of(tmp_path, pictures, "--steps", "3") == 0
    resume = ["--content", str(pictures), "--resume", "--steps", "6", "--quiet"]
    assert train.main(["--output", str(tmp_path), *resume]) == 0
    whole, parts = (load_file(folder / "last.safetensors") for folder in (trained, tmp_path))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)


def test_the_next_command_is_the_one_that_samples(trained, pictures, capsys):
    finished = ["--output", str(trained), "--content", str(pictures), "--resume"]
    assert train.main(finished) == 0
    assert f"next: python -m training.sample --checkpoint {trained}" in capsys.readouterr().err


def method_of(pictures, *settings):
    toy = [word for word in TOY if "=" in word]
    return Ddpm(load_recipe("ddpm", [*toy, *settings]), Assets(content=pictures))


@pytest.mark.parametrize("target", ["noise", "velocity"])
def test_what_is_learned_is_what_the_oracle_says(pictures, target):
    """A network that knows the only picture there is has no loss."""
    method = method_of(pictures, "data.limit=1", f"options.target='{target}'", "options.flip=false")
    only = 2 * method.photos.batch(0, 1, 16, 1.0, np.random.default_rng(0)) - 1
    oracle = KnowsThePicture(only, method.options)
    oracle.weight = torch.nn.Parameter(torch.zeros(()))  # something to update
    method.networks["generator"] = oracle
    forward = oracle.forward
    oracle.forward = lambda x, times: forward(x, times) + 0 * oracle.weight
    assert method.step(0)[target] == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_it_learns_both_kinds(pictures):
    """The known answer: each sample is bright on one side, dark on the other; both sides come."""
    method = method_of(pictures, "batch=16", "options.target='velocity'")
    for step in range(400):
        method.step(step)
    network = method.networks["generator"].eval()
    made = denoise(network, noise(16, 3, 16, 16, seed=3), method.options, 20)
    sides = made[..., :8].mean((1, 2, 3)), made[..., 8:].mean((1, 2, 3))
    assert float((sides[0] - sides[1]).abs().mean()) > 0.4  # 0.69 in the pictures
    assert 3 <= int((sides[0] > sides[1]).sum()) <= 13


def test_pictures_are_flipped_only_if_told(pictures):
    plain = method_of(pictures, "options.flip=false")
    batch = plain.photos.batch(0, 8, 16, 1.0, np.random.default_rng(0))
    assert int((batch[:, 0, 0, 0] > 0.5).sum()) == 4  # each of the eight as it is


def test_samples_are_the_same_twice_and_walks_pass_their_seeds(trained, tmp_path, capsys):
    words = ["--checkpoint", str(trained), "--evaluations", "4", "--quiet"]
    one, two, way = (str(tmp_path / name) for name in ("one", "two", "way"))
    for folder in (one, two):
        assert sample.main([*words, "--output", folder, "--count", "3", "--seed", "5"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith("sheet.png")
    names = sorted(p.name for p in (tmp_path / "one").iterdir())
    assert names == ["seed_0005.png", "seed_0006.png", "seed_0007.png", "sheet.png"]
    same = [(tmp_path / f / "seed_0006.png").read_bytes() for f in ("one", "two")]
    assert same[0] == same[1]
    assert sample.main([*words, "--output", way, "--walk", "5,6", "--frames", "3"]) == 0
    ends = [np.asarray(Image.open(tmp_path / "way" / f"walk_000{n}.png")) for n in (0, 3)]
    seeds = [np.asarray(Image.open(tmp_path / "one" / f"seed_000{n}.png")) for n in (5, 6)]
    for end, seed in zip(ends, seeds, strict=True):
        assert np.abs(end.astype(int) - seed).max() <= 1  # another size of batch


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--count", "0"], 2),
        (["--walk", "5"], 2),
        (["--walk", "1,2", "--mix", "1", "--with", "2"], 2),
        (["--mix", "1"], 2),
        (["--mix", "1", "--with", "2"], 2),  # one layer of styles
        (["--truncation", "0.5"], 2),  # no mean style
        (["--crossover", "1"], 2),
    ],
)
def test_what_cannot_be_sampled_is_said(trained, tmp_path, words, code, capsys):
    run = ["--checkpoint", str(trained), "--output", str(tmp_path / "x"), "--evaluations", "2"]
    assert sample.main([*run, *words]) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_samples_are_not_replaced_and_denoisers_not_exported(trained, tmp_path, capsys):
    run = ["--checkpoint", str(trained), "--output", str(tmp_path), "--evaluations", "2"]
    assert sample.main([*run, "--count", "1"]) == 0
    assert sample.main([*run, "--count", "1"]) == 2
    assert sample.main([*run, "--count", "1", "--overwrite"]) == 0
    from export.__main__ import main as export

    capsys.readouterr()
    assert export(["--checkpoint", str(trained), "--output", str(tmp_path / "m.onnx")]) == 2
    assert "python -m training.sample" in capsys.readouterr().err
