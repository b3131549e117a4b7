"""What steadies adversarial training, by hand; and the loop that all such methods share."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.sanity.toys import negative, same, write_domain
from runtime.errors import UsageError
from training import networks
from training.checkpoint import load_checkpoint
from training.config import load_recipe
from training.engine import Engine
from training.losses.gan import feature_matching, r1_penalty
from training.methods import Assets
from training.methods._adversarial import diagnose
from training.methods._diversity import diversity
from training.methods.pix2pix import Pix2Pix
from training.networks import scores_of
from training.networks.layers import minibatch_deviation

STEADY = (
    "options.discriminator={width=8, layers=1, spectral=true, scales=3, minibatch_deviation=true}"
)
SMALL = [
    "network={name='lean', width=8, blocks=1}",
    "batch=2",
    "data.short_side=32",
    "data.crop=32",
    "data.zoom=1.0",
    "sheet_every=10000",
    "save_every=10000",
]


@pytest.fixture
def pairs(tmp_path):
    write_domain(tmp_path / "pairs" / "A", 4, same, 0)
    write_domain(tmp_path / "pairs" / "B", 4, negative, 0)
    return tmp_path / "pairs"


def pix2pix(pairs, *more):
    return Pix2Pix(load_recipe("pix2pix", [*SMALL, "steps=60", *more]), Assets(None, pairs))


def test_r1_of_a_linear_critic_is_half_its_squared_slope():
    weight = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    found = r1_penalty(lambda x: (x * weight).sum((1, 2, 3))[:, None], torch.rand(5, 2, 1, 1))
    assert float(found) == pytest.approx(25 / 2)


def test_feature_matching_by_hand():
    real, fake = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[2.0, 1.0]]]])
    assert float(feature_matching([real], [fake], paired=True)) == pytest.approx(1.5)
    assert float(feature_matching([real], [fake])) == pytest.approx(0.5)  # of the means 1 and 1.5
    both = feature_matching([real, real], [fake, real], paired=True)
    assert float(both) == pytest.approx(0.75)
    with pytest.raises(UsageError, match="shows its layers"):
        feature_matching([], [])


def test_minibatch_deviation_by_hand():
    equal = torch.ones(4, 2, 3, 3)
    assert minibatch_deviation(equal)[:, 2].abs().max() < 1e-3
    halves = torch.cat([torch.zeros(2, 2, 3, 3), 2 * torch.ones(2, 2, 3, 3)])
    torch.testing.assert_close(minibatch_deviation(halves)[:, 2], torch.ones(4, 3, 3))
    # Groups of two: pictures 0 and 2, 1 and 3.
    torch.testing.assert_close(minibatch_deviation(halves, 2)[:, 2], torch.ones(4, 3, 3))
    assert minibatch_deviation(torch.rand(5, 2, 3, 3)).shape == (5, 3, 3, 3)
    assert minibatch_deviation(torch.rand(1, 2, 3, 3))[:, 2].abs().max() < 1e-3


def test_spectral_normalization_bounds_every_layer():
    torch.manual_seed(0)
    discriminator = networks.build("patchgan", width=8, layers=2, spectral=True)
    for _ in range(30):  # each pass is one power iteration
        discriminator(torch.rand(1, 3, 32, 32))
    convolutions = [m for m in discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert len(convolutions) == 4
    for each in convolutions:
        largest = torch.linalg.matrix_norm(each.weight.flatten(1), 2)
        assert float(largest.detach()) == pytest.approx(1, abs=0.05)


def test_discriminators_of_three_scales_see_half_as_much_each():
    discriminator = networks.build("patchgan", width=4, layers=2, scales=3)
    scores = scores_of(discriminator, torch.rand(2, 3, 128, 128))
    assert [tuple(each.shape) for each in scores.maps] == [
        (2, 1, 30, 30),
        (2, 1, 14, 14),
        (2, 1, 6, 6),
    ]
    assert len(scores.features) == 3 * 3
    plain = networks.build("patchgan", width=4, layers=2)
    plain.load_state_dict(  # the finest one is the network there is without scales
        {k: v for k, v in discriminator.state_dict().items() if k.startswith("blocks")}
    )


def test_the_discriminator_has_a_rate_of_its_own(pairs):
    method = pix2pix(pairs, "options.discriminator_rate=4.0", "optimizer.lr=1e-4")
    method.step(0)
    rates = {name: o.param_groups[0]["lr"] for name, o in method.optimizers.items()}
    assert rates == pytest.approx({"generator": 1e-4, "discriminator": 4e-4})


def test_r1_now_and_then(pairs):
    method = pix2pix(pairs, "options.r1=10.0", "options.r1_every=3")
    found = ["discriminator_r1" in method.step(step) for step in range(6)]
    assert found == [True, False, False, True, False, False]


def test_the_discriminator_learns_more_often(pairs):
    method = pix2pix(pairs, "options.discriminator_steps=5")
    made = []
    for step in range(3):
        method.step(step)
        made.append(method.updates.made)
    assert made == [6, 12, 18]


def test_feature_matching_is_part_of_the_total(pairs):
    free, bound = (
        pix2pix(pairs, f"options.feature_matching={weight}").step(0) for weight in (0.0, 10.0)
    )
    assert "feature_matching" not in free
    assert bound["feature_matching"] > 0
    assert bound["total"] == pytest.approx(free["total"] + bound["feature_matching"], rel=1e-5)


def test_all_at_once_resumes_bit_for_bit(pairs, tmp_path):
    def build():
        more = ["options.r1=10.0", "options.r1_every=2", "options.feature_matching=10.0"]
        wide = ["data.short_side=64", "data.crop=64", "options.discriminator_steps=2"]
        return pix2pix(pairs, STEADY, *more, *wide, "steps=6")

    Engine(build(), tmp_path / "whole", quiet=True).run()
    Engine(build(), tmp_path / "broken", quiet=True).run(stop=3)
    torch.manual_seed(99)
    again = Engine(build(), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())


def test_a_look_at_the_diversity_changes_nothing_and_is_in_the_log(pairs, tmp_path, monkeypatch):
    monkeypatch.setattr("training.methods._adversarial.LOOK_EVERY", 5)
    # As LPIPS does, where its weights are here: its network is born with random ones.
    monkeypatch.setattr(
        "training.methods._adversarial.open_distance",
        lambda *_: torch.rand(9) is not None and (lambda a, b: float((a - b).abs().mean())),
    )
    method = pix2pix(pairs, "network={name='unet_pix2pix', width=4, depth=3}", "steps=10")
    Engine(method, tmp_path / "looking", quiet=True).run()
    (line,) = (tmp_path / "looking" / "log.jsonl").read_text().splitlines()
    assert 0 < json.loads(line)["diversity"] < 2
    monkeypatch.setattr("training.methods._adversarial.LOOK_EVERY", 10**6)
    method = pix2pix(pairs, "network={name='unet_pix2pix', width=4, depth=3}", "steps=10")
    Engine(method, tmp_path / "blind", quiet=True).run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("looking", "blind"))
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())


def test_a_collapsed_generator_is_told(pairs, monkeypatch):
    """One that makes the same picture of everything, though no flat one."""
    monkeypatch.setattr("training.methods._adversarial.LOOK_EVERY", 1)

    class Same(nn.Module):
        multiple_of = 1

        def __init__(self):
            super().__init__()
            self.picture = nn.Parameter(torch.rand(1, 3, 32, 32))

        def forward(self, images):
            return self.picture.expand(len(images), -1, -1, -1)

    method = pix2pix(pairs)
    healthy = method.step(0)
    method.makers["generator"] = method.networks["generator"] = Same()
    values = method._look(0)
    assert values["diversity"] < 0.01
    assert healthy["diversity"] > 0.1 or "collapse" in diagnose(healthy)
    assert "mode collapse" in diagnose({**values, "deviation": 0.3, "accuracy": 0.7})
    assert diagnose({"diversity": 0.9, "deviation": 0.3, "accuracy": 0.7}) == ""


def test_diversity_by_hand():
    def distance(a, b):
        return float((a - b).abs().mean())

    pictures = torch.tensor([0.0, 0.0, 1.0]).view(3, 1, 1, 1).expand(3, 3, 4, 4)
    assert diversity(pictures, distance) == pytest.approx(2 / 3)
    assert diversity(pictures[:2], distance) == 0
    assert diversity(pictures[:1], distance) == 0


def test_same_seed_same_result(pairs):
    runs = []
    for _ in range(2):
        method = pix2pix(pairs, STEADY, "data.short_side=64", "data.crop=64")
        values = [method.step(step) for step in range(3)]
        runs.append(
            (values, [p.detach().numpy() for p in method.networks["generator"].parameters()])
        )
    assert runs[0][0] == runs[1][0]
    assert all(np.array_equal(a, b) for a, b in zip(runs[0][1], runs[1][1], strict=True))


@pytest.mark.parametrize("more", [["batch=1"], ["batch=2", "compute.accumulate=2"]])
def test_one_picture_has_no_deviation_to_show(pairs, more):
    wanted = "options.discriminator={width=4, layers=1, minibatch_deviation=true}"
    with pytest.raises(UsageError, match="only one is worked on at once: raise batch"):
        pix2pix(pairs, wanted, *more)
    assert pix2pix(pairs, wanted, "batch=2")


def test_too_small_a_picture_is_the_users_error():
    discriminator = networks.build("patchgan", width=4, layers=3, scales=2)
    assert discriminator(torch.rand(1, 3, 48, 48)).maps[1].shape == (1, 1, 1, 1)
    with pytest.raises(UsageError, match=r"40x64 px are .* need 48 px: raise"):
        discriminator(torch.rand(1, 3, 64, 40))
