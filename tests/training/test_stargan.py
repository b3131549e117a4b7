"""StarGAN: domains from folders, its discriminator, the way there and back, and export."""

import numpy as np
import pytest
import torch
from PIL import Image

from benchmarks.sanity.toys import hue_turned, negative, same, write_domain
from runtime.errors import UsageError
from runtime.model.session import open_session
from training import networks
from training.checkpoint import load_checkpoint
from training.config import load_recipe
from training.data.domains import Domains
from training.engine import Engine
from training.methods import Assets
from training.methods.stargan import StarGan
from training.networks import scores_of
from training.networks.stargan import Discriminator, DiscriminatorConfig

SMALL = [
    "data.short_side=32",
    "data.crop=32",
    "data.zoom=1.0",
    "batch=6",
    "options.discriminator={width=8, layers=3}",
    "sheet_every=10000",
    "save_every=10000",
]
LEAN = "network={name='cin', width=16, blocks=1, scale=4, margin=8}"
PAPER = "network={name='stargan', width=4, blocks=1}"
PROJECTED = "options.discriminator={name='projected', width=4}"
DOMAINS = {"hue": hue_turned, "negative": negative, "plain": same}


@pytest.fixture
def domains(tmp_path):
    for seed, (name, change) in enumerate(DOMAINS.items()):
        write_domain(tmp_path / "domains" / name, 5, change, seed)
    return tmp_path / "domains"


def stargan(domains, *more, network=LEAN, weights=None):
    recipe = load_recipe("stargan", [*SMALL, network, "steps=4", *more])
    return StarGan(recipe, Assets(None, domains, weights))


def test_the_recipe_has_the_published_numbers():
    recipe = load_recipe("stargan")
    assert recipe.network == {"name": "stargan", "width": 64, "blocks": 6}
    assert recipe.data.crop == 128
    config = recipe.optimizer
    assert (config.lr, config.beta1, config.beta2) == (1e-4, 0.5, 0.999)
    wanted = {"classification": 1, "rec": 10, "penalty": 10, "discriminator_steps": 5}
    assert {key: recipe.options[key] for key in wanted} == wanted
    assert recipe.options["discriminator"] == {"width": 64, "layers": 6}
    assert recipe.options["gan"] == "wgan-gp"


def test_domains_take_turns(domains):
    found = Domains(domains, 32)
    assert found.names == ("hue", "negative", "plain")
    images, labels = found.batch(0, 4, 32, 1.0, np.random.default_rng(0))
    assert images.shape == (4, 3, 32, 32)
    assert labels.tolist() == [0, 1, 2, 0]
    assert found.batch(1, 4, 32, 1.0, np.random.default_rng(0))[1].tolist() == [1, 2, 0, 1]


def test_domains_bad_input(domains, tmp_path):
    with pytest.raises(UsageError, match="has 0 of them, at least 2"):
        Domains(tmp_path / "nothing", 32)
    (domains / "empty").mkdir()
    with pytest.raises(UsageError, match="no readable photo"):
        Domains(domains, 32)


def test_each_picture_is_of_one_domain_and_becomes_of_anothers(domains):
    method = stargan(domains)
    batch = method.draw(0)
    assert sorted(batch.own.tolist()) == sorted(batch.wanted.tolist())
    real = method.real(batch)["discriminator"]
    made = method.fake(batch, slice(0, 6))["discriminator"]
    assert torch.equal(real.labels, batch.own)
    assert torch.equal(made.labels, batch.wanted)


def test_the_class_head_learns_from_real_pictures_only(domains):
    method = stargan(domains, "optimizer.lr=2e-3", "options.gan='hinge'", "steps=40")
    values = [method.step(step) for step in range(40)]
    right = np.log(3)  # of one who knows nothing
    assert np.mean([v["discriminator_class"] for v in values[-5:]]) < 0.5 * right
    batch = method.draw(99)
    classes = method.networks["discriminator"](batch.pictures).classes
    assert float((classes.argmax(1) == batch.own).float().mean()) > 0.8


def test_scores_by_domain_are_those_of_the_labels():
    config = DiscriminatorConfig(width=4, layers=2, classes=3, side=16, by_domain=True)
    discriminator = Discriminator(config)
    images, labels = torch.rand(4, 3, 16, 16), torch.tensor([2, 0, 1, 1])
    (whole,) = scores_of(discriminator, images).maps
    (taken,) = scores_of(discriminator, images, labels).maps
    assert whole.shape == (4, 3, 4, 4) and taken.shape == (4, 1, 4, 4)
    assert all(torch.equal(taken[i, 0], whole[i, labels[i]]) for i in range(4))
    plain = Discriminator(DiscriminatorConfig(width=4, layers=2, classes=3, side=16))
    assert scores_of(plain, images, labels).maps[0].shape == (4, 1, 4, 4)


def test_a_projected_discriminator_learns_domains_and_keeps_its_backbone_out(
    domains, random_weights
):
    more = [PROJECTED, "options.gan='vanilla'", "optimizer.lr=2e-3", "steps=20"]
    method = stargan(domains, *more, weights=random_weights)
    discriminator = method.networks["discriminator"]
    assert not any("chain" in key for key in discriminator.state_dict())
    features = discriminator(method._some()).features
    for each in features:  # standardized by real pictures
        assert float(each.mean((0, 2, 3)).abs().max()) < 1e-3
    values = [method.step(step) for step in range(20)]
    assert np.mean([v["discriminator_class"] for v in values[-5:]]) < 0.5 * np.log(3)
    assert values[-1]["class"] > 0  # the generator is told as well


def test_a_projected_discriminator_may_score_the_whole_picture(domains, random_weights):
    shape = "options.discriminator={name='projected', width=4, whole=true, dropout=0.5}"
    method = stargan(domains, shape, "options.gan='vanilla'", weights=random_weights)
    discriminator = method.networks["discriminator"]
    images, labels = method._some()[:4], torch.tensor([0, 1, 2, 0])
    assert scores_of(discriminator, images, labels).maps[-1].shape == (4, 1)
    maps = discriminator(images).maps
    dark = discriminator(0.5 * images).maps
    assert (dark[-1] - maps[-1]).abs().max() > 1e-3
    # Flat pictures have channels without a deviation: slopes stay finite, of slopes as well.
    flat = torch.full((2, 3, 16, 16), 0.5, requires_grad=True)
    (slope,) = torch.autograd.grad(discriminator(flat).maps[-1].sum(), flat, create_graph=True)
    slope.square().sum().backward()
    found = [w.grad for w in discriminator.whole.parameters() if w.grad is not None]
    assert found and all(bool(each.isfinite().all()) for each in found)


def test_a_picture_of_the_wanted_domain_shall_stay(domains):
    method = stargan(domains, "options.identity=5.0")
    batch = method.draw(0)
    same = batch._replace(wanted=batch.own)
    values, fakes = method.generate(same, slice(0, 6))
    off = (fakes["discriminator"].images - batch.pictures).abs().mean()
    assert values["identity"].item() == pytest.approx(off.item())
    assert values["total"].item() == pytest.approx((20 * values["rec"] + 10 * off).item(), rel=1e-5)
    other = batch._replace(wanted=(batch.own + 1) % 3)
    assert "identity" not in method.generate(other, slice(0, 6))[0]


@pytest.mark.parametrize(("network", "more"), [(LEAN, []), (PAPER, []), (LEAN, [PROJECTED])])
def test_resume_is_bit_equal(domains, tmp_path, network, more, random_weights):
    def build():
        settings = ["options.discriminator_steps=2", *more]
        return stargan(domains, *settings, network=network, weights=random_weights)

    Engine(build(), tmp_path / "whole", quiet=True).run()
    Engine(build(), tmp_path / "broken", quiet=True).run(stop=2)
    torch.manual_seed(99)
    again = Engine(build(), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())


def test_bad_settings(domains):
    with pytest.raises(UsageError, match="trains the networks stargan and cin"):
        stargan(domains, network="network={name='lean'}")
    with pytest.raises(UsageError, match="there are stargan and projected"):
        stargan(domains, "options.discriminator={name='patchgan'}")
    with pytest.raises(UsageError, match="multiples of 64 px"):
        stargan(domains, "options.discriminator={layers=6}")


def test_a_domain_by_name_mixtures_and_one_domain_alone(domains, tmp_path):
    from export.__main__ import main

    method = stargan(domains)
    torch.nn.init.normal_(method.networks["generator"].table, 1, 0.5)
    Engine(method, tmp_path / "run", quiet=True).run()
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.effect_noise((320, 256), 60).convert("RGB").save(photos / "one.png")
    flags = ["--checkpoint", str(tmp_path / "run"), "--photos", str(photos), "-q"]
    assert main([*flags, "--output", str(tmp_path / "all.onnx")]) == 0
    one = ["--set", "style=negative", "--output", str(tmp_path / "one.onnx")]
    assert main([*flags, *one]) == 0
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    with open_session(tmp_path / "all.onnx") as session:
        assert session.card.port("code").names == ("hue", "negative", "plain")
        named = session.stylize(picture, style="negative").astype(int)
        mixed = session.stylize(picture, style=[("negative", 0.5), ("hue", 0.5)]).astype(int)
    assert np.abs(named - mixed).max() > 1
    with open_session(tmp_path / "one.onnx") as session:
        assert session.card.network["name"] == "lean"
        alone = session.stylize(picture).astype(int)
    assert np.abs(named - alone).max() <= 1
    assert main([*flags, "--set", "style=sepia", "--output", str(tmp_path / "no.onnx")]) == 2


@torch.no_grad()
@pytest.mark.parametrize("normalization", ["instance", "none"])
def test_the_code_is_seen_far_from_the_border(normalization):
    """Instance normalization behind the code's planes would leave it to the border alone."""
    torch.manual_seed(0)
    settings = {"width": 8, "blocks": 1, "normalization": normalization}
    generator = networks.build("stargan", **settings).eval()
    photo = torch.rand(1, 3, 160, 160)
    first, second = (generator(photo, torch.eye(4)[i : i + 1]) for i in (0, 1))
    middle = (first - second)[:, :, 72:88, 72:88].abs().mean()
    assert middle > 0.3 * (first - second).abs().mean()


def test_the_published_generator_translates_any_size():
    torch.manual_seed(0)
    network = networks.build("stargan", width=4, blocks=1, styles=3).eval()
    for height, width in ((32, 48), (36, 20)):
        images = torch.rand(2, 3, height, width)
        with torch.no_grad():
            one = network(images, torch.eye(3)[[0, 1]])
        assert one.shape == images.shape
        assert 0 <= float(one.min()) <= float(one.max()) <= 1
    with pytest.raises(UsageError, match="2 names for 3 domains"):
        networks.build("stargan", styles=3, names=["a", "b"])


def show(folder, keys, *flags):
    """The webcam command without camera and window; the domain of each picture that was saved."""
    from runtime import webcam

    words = [*("--source", "synthetic:64x48@30"), "--headless", "--threads", "1", "-q", *flags]
    words += ["--device", "cpu", "--snapshots", str(folder), "--keys", keys, "--fade", "0"]
    assert webcam.main([*words, "--frames", "60"]) == 0
    found = sorted(folder.glob("impasto-*.png"), key=lambda path: path.stat().st_mtime_ns)
    return [path.name.split("-")[1] for path in found]


def test_domains_are_on_the_keys_in_float_and_in_int8(domains, tmp_path, photo_folder):
    """The lean recipe's form: one file for all domains, or one of int8 for each."""
    from export.__main__ import main

    shape = load_recipe("stargan_lean").network
    assert shape["normalization"] == "none", "colors must come back"
    small = f"network={{name='cin', width=24, blocks=1, scale={shape['scale']}, margin=0"
    method = stargan(domains, network=small + ", normalization='none'}")
    assert method.networks["generator"].begin_as_identity()
    table = method.networks["generator"].table
    table.data += 0.05 * torch.randn(table.shape, generator=torch.Generator().manual_seed(0))
    Engine(method, tmp_path / "run", quiet=True).run()
    flags = ["--checkpoint", str(tmp_path / "run"), "--photos", str(photo_folder), "-q"]
    assert main([*flags, "--output", str(tmp_path / "all.onnx")]) == 0
    keys = "8:c 12:style-2 35:c 40:style-3 55:c"
    whole = ["--model", str(tmp_path / "all.onnx")]
    assert show(tmp_path / "a", keys, *whole) == ["hue", "negative", "plain"]
    # --style begins with a domain; the others stay on the keys.
    asked = show(tmp_path / "b", keys, *whole, "--style", "plain")
    assert asked == ["plain", "hue", "negative"]
    several = []
    for name in ("negative", "plain"):
        file = tmp_path / "bytes" / f"{name}.onnx"
        one = ["--set", f"style={name}", "--precision", "int8", "--output", str(file)]
        assert main([*flags, *one]) == 0
        with open_session(file) as session:
            assert session.card.precision == "int8"
        several += ["--model", str(file)]
    assert show(tmp_path / "c", "8:c 12:style-2 35:c", *several) == ["negative", "plain"]
