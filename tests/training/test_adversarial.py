"""GAN losses by hand, the pool, pairs on disk, and CycleGAN and pix2pix on small known problems."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.sanity.toys import negative, same, write_domain
from runtime.errors import UsageError
from training.checkpoint import load_checkpoint
from training.config import load_recipe
from training.data.image_pool import ImagePool
from training.data.images import to_tensor
from training.data.paired import Pairs
from training.engine import Engine
from training.losses.gan import (
    KINDS,
    accuracy,
    discriminator_loss,
    generator_loss,
    gradient_penalty,
)
from training.losses.style import gram_matrix
from training.methods import Assets, _adversarial
from training.methods.cyclegan import CycleGan
from training.methods.pix2pix import Pix2Pix

LN2 = float(np.log(2))


@pytest.mark.parametrize(
    ("kind", "perfect", "undecided"),
    [("lsgan", 0.0, 0.25), ("hinge", 0.0, 1.0), ("vanilla", 0.0, LN2), ("wgan-gp", -40.0, 0.0)],
)
def test_discriminator_losses_by_hand(kind, perfect, undecided):
    high, low = (1.0, 0.0) if kind == "lsgan" else (20.0, -20.0)
    shape = (2, 1, 3, 3)
    found = discriminator_loss(kind, torch.full(shape, high), torch.full(shape, low))
    assert float(found) == pytest.approx(perfect, abs=1e-6)
    middle = torch.full(shape, 0.5 if kind == "lsgan" else 0.0)
    assert float(discriminator_loss(kind, middle, middle)) == pytest.approx(undecided)


@pytest.mark.parametrize("kind", KINDS)
def test_the_generator_wants_high_scores(kind):
    scores = torch.zeros(1, 1, 2, 2, requires_grad=True)
    generator_loss(kind, scores).backward()
    assert (scores.grad < 0).all()


def test_accuracy_by_hand():
    assert accuracy("lsgan", torch.tensor([0.9, 0.2]), torch.tensor([0.1, 0.3])) == 0.75
    assert accuracy("hinge", torch.tensor([1.0]), torch.tensor([-1.0])) == 1.0


def test_unknown_kind_is_suggested():
    with pytest.raises(UsageError, match='Did you mean "lsgan"'):
        generator_loss("lsgam", torch.zeros(1))


def test_gradient_penalty_of_a_linear_critic():
    weight = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    real, fake = torch.rand(2, 2, 1, 1), torch.rand(2, 2, 1, 1)
    found = gradient_penalty(
        lambda x: (x * weight).sum((1, 2, 3)), real, fake, torch.rand(2, 1, 1, 1)
    )
    assert float(found) == pytest.approx((5 - 1) ** 2)


def test_pool_gives_old_pictures_half_of_the_time():
    rng, pool = np.random.default_rng(0), ImagePool(4)
    first = torch.arange(4.0).view(4, 1, 1, 1)
    assert torch.equal(pool.swap(first, rng), first)
    old = sum(
        float(pool.swap(torch.full((1, 1, 1, 1), 100.0 + i), rng)) != 100 + i for i in range(400)
    )
    assert 150 < old < 250
    assert torch.equal(ImagePool(0).swap(first, rng), first)
    other = ImagePool(4)
    other.restore(pool.tensors())
    assert all(torch.equal(a, b) for a, b in zip(pool.images, other.images, strict=True))


@pytest.fixture
def pairs(tmp_path):
    write_domain(tmp_path / "pairs" / "A", 4, same, 0)
    write_domain(tmp_path / "pairs" / "B", 4, negative, 0)
    return tmp_path / "pairs"


def test_pairs_in_both_layouts(pairs, tmp_path):
    whole = tmp_path / "halves"
    whole.mkdir()
    for path in (pairs / "A").iterdir():
        sides = [np.asarray(Image.open(pairs / half / path.name)) for half in "AB"]
        Image.fromarray(np.concatenate(sides, 1)).save(whole / path.name)
    for folder in (pairs, whole):
        first, second = Pairs(folder).batch(0, 3, 24, 1.3, np.random.default_rng(0))
        assert first.shape == second.shape == (3, 3, 24, 24)
        torch.testing.assert_close(first + second, torch.ones_like(first), atol=0.01, rtol=0)


def test_pairs_bad_input(pairs, tmp_path):
    (pairs / "B" / "00.png").unlink()
    (pairs / "A" / "01.png").write_bytes(b"no picture")
    assert len(Pairs(pairs).skipped) == 2
    Image.new("RGB", (20, 30)).save(pairs / "B" / "02.png")
    found = Pairs(pairs)
    assert found.names == ["03"]
    assert found.skipped[pairs / "A" / "02.png"] == "its pair is 20x30 px, this is 32x32 px"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no pair"):
        Pairs(tmp_path / "empty")


SMALL = [
    "network={name='lean', width=16, blocks=1}",
    "options.discriminator={width=8, layers=1}",
    "data.short_side=32",
    "data.crop=32",
    "data.zoom=1.0",
    "sheet_every=10000",
    "save_every=10000",
]


def cyclegan(tmp_path, *more):
    if not (tmp_path / "first").is_dir():
        write_domain(tmp_path / "first", 6, same, 1)
        write_domain(tmp_path / "second", 6, negative, 2)
    free = "options.style=0.0"  # else it would need a loss network
    recipe = load_recipe("cyclegan_lean", [*SMALL, "precision='fp32'", free, *more])
    return CycleGan(recipe, Assets(tmp_path / "second", tmp_path / "first"))


def pix2pix(pairs, *more):
    recipe = load_recipe("pix2pix", [*SMALL, *more])
    return Pix2Pix(recipe, Assets(None, pairs))


@pytest.mark.parametrize("kind", ["cyclegan", "pix2pix"])
def test_resume_is_bit_equal(kind, tmp_path, pairs):
    def build():
        more = ["steps=6", "batch=2", "options.gan='wgan-gp'"]
        if kind == "cyclegan":
            return cyclegan(tmp_path, *more, "options.pool=3")
        return pix2pix(pairs, *more, "network={name='unet_pix2pix', width=4, depth=3}")

    Engine(build(), tmp_path / "whole", quiet=True).run()
    Engine(build(), tmp_path / "broken", quiet=True).run(stop=4)
    torch.manual_seed(99)
    again = Engine(build(), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())
    assert (tmp_path / "whole" / "sheet_000006.png").is_file()


def test_pix2pix_overfits_one_pair(pairs):
    for half in "AB":
        for path in list((pairs / half).iterdir())[1:]:
            path.unlink()
    method = pix2pix(pairs, "steps=250", "optimizer.lr=3e-3", "options.gan_weight=0.2")
    values = [method.step(step) for step in range(250)]
    assert values[-1]["l1"] < 0.02
    assert values[-1]["l1"] < values[0]["l1"] / 5


def test_cyclegan_first_steps_reduce_the_cycle(tmp_path):
    method = cyclegan(tmp_path, "steps=60", "optimizer.lr=2e-3", "options.settle=0.0")
    values = [method.step(step) for step in range(60)]
    assert np.mean([v["cycle"] for v in values[-10:]]) < 0.7 * values[0]["cycle"]
    assert all(np.isfinite(list(v.values())).all() for v in values)


def test_cyclegan_settles_before_it_plays(tmp_path):
    method = cyclegan(tmp_path, "steps=100", "batch=2", "options.settle=0.4")
    weights = {k: v.clone() for k, v in method.networks["discriminator_first"].state_dict().items()}
    values = [method.step(step) for step in range(40)]
    assert all(set(v) == {"identity", "total"} for v in values)
    assert values[-1]["identity"] < 0.5 * values[0]["identity"]
    assert all(
        torch.equal(weights[k], v)
        for k, v in method.networks["discriminator_first"].state_dict().items()
    )
    assert {"gan", "cycle", "discriminator"} <= set(method.step(40))


@pytest.mark.parametrize("term", ["periodicity", "phase_roughness"])
def test_cyclegan_pays_for_a_pattern_on_the_grid(tmp_path, term):
    """With the same start and pictures the total differs by the weighted term, exactly."""

    def first_step(weight):
        more = (
            "steps=10",
            "options.settle=0.0",
            "options.identity=0.0",
            f"options.{term}={weight}",
        )
        return cyclegan(tmp_path, "data.crop=64", "data.short_side=64", *more).step(0)

    free, bound = first_step(0.0), first_step(50.0)
    assert term not in free
    assert bound["total"] == pytest.approx(free["total"] + 50 * bound[term], rel=1e-5)


STYLE = ["options.settle=0.0", "options.style=5.0", "backbone.style_layers=['relu1_1', 'relu2_1']"]


def test_cyclegan_with_style_goes_to_the_mean_gram_matrices(tmp_path, random_weights):
    cyclegan(tmp_path)  # writes both domains
    recipe = load_recipe("cyclegan_lean", [*SMALL, "precision='fp32'", "optimizer.lr=2e-3", *STYLE])
    assets = Assets(tmp_path / "second", tmp_path / "first", random_weights)
    method = CycleGan(recipe, assets)
    backbone, term = method.style
    pictures = [to_tensor(image) for image in method.photos.second.images]
    with torch.no_grad():
        grams = [gram_matrix(backbone(p, {"relu1_1"})["relu1_1"]) for p in pictures]
    torch.testing.assert_close(term.grams["relu1_1"], torch.cat(grams).mean(0, True))
    values = [method.step(step)["style"] for step in range(40)]
    assert np.mean(values[-5:]) < 0.8 * np.mean(values[:5])


def test_cyclegan_goes_on_from_a_checkpoint(tmp_path):
    first = cyclegan(tmp_path, "steps=3")
    Engine(first, tmp_path / "run", quiet=True).run()
    path = tmp_path / "run" / "last.safetensors"
    again = cyclegan(tmp_path, f"options.start={str(path)!r}", "options.periodicity=7.0")
    for name, network in again.networks.items():
        theirs = first.networks[name].state_dict()
        assert all(torch.equal(v, theirs[k]) for k, v in network.state_dict().items())
    with pytest.raises(UsageError, match='another network "generator"'):
        cyclegan(tmp_path, f"options.start={str(path)!r}", "network.blocks=2")


def test_diagnosis_names_the_trouble():
    assert "discriminator wins" in _adversarial.diagnose({"accuracy": 0.99, "deviation": 0.2})
    assert "dead" in _adversarial.diagnose({"accuracy": 0.7, "deviation": 0.0})
    assert _adversarial.diagnose({"accuracy": 0.7, "deviation": 0.2}) == ""


def test_schedule_is_flat_then_linear():
    found = [_adversarial.linear_decay(2e-4, step, 100, 0.5) for step in (0, 50, 75, 100)]
    assert found == pytest.approx([2e-4, 2e-4, 1e-4, 0])
