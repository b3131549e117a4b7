"""AdaIN, MicroAST, WCT, many styles and adapting: toys that must learn, resume and show."""

import copy
import re

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from runtime.errors import EngineUnavailable, UsageError
from runtime.plugins import load, names
from training import methods, networks
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.config import load_recipe
from training.data.images import load_image
from training.engine import Engine
from training.losses import LossInputs
from training.losses.phase_roughness import phase_roughness
from training.methods import Assets
from training.methods.collection import Collection, color_statistics, nearest
from training.methods.multi import Multi
from training.networks._parts.vgg16x import Decoder, Encoder
from training.networks.layers import equalize_phases_

LAYERS = [
    "backbone.style_layers=['relu1_1', 'relu2_1']",
    "backbone.content_layers=['relu2_1']",
    "data.short_side=80",
    "data.crop=48",
    "style.size=48",
    "batch=2",
    "precision='fp32'",
    "sheet_every=1000",
]
SMALL = {
    "adain": ["network={name='adain', level=2}", "options.style_side=64"],
    "microast": [
        "network={name='microast', width=8, blocks=1, encoder_width=4, hidden=8}",
        "options.style_side=64",
        "optimizer.lr=3e-3",
    ],
    "many": ["network={name='cin', width=8, blocks=1}", "optimizer.lr=3e-3", "data.noise=0.0"],
    "adapt": ["data.noise=0.0", "options.preview=true"],
    "monet": [
        "network={name='lean', width=8, blocks=1, normalization='none'}",
        "optimizer.lr=3e-3",
        "data.noise=0.0",
        "style.size=64",
        "options.nearest=2",
    ],
}


@pytest.fixture(scope="module")
def weights(random_weights):
    """The shared folder of random weights, with encoder and decoder halves added."""
    torch.manual_seed(0)
    for level in range(1, 6):
        if level < 5:  # the loss network's own file is level 5
            state = Encoder(level).state_dict()
            save_file(state, random_weights / f"vgg19_16x_encoder_relu{level}_1.safetensors")
        state = Decoder(level).state_dict()
        save_file(state, random_weights / f"vgg19_16x_decoder_relu{level}_1.safetensors")
    return random_weights


@pytest.fixture(scope="module")
def paintings(tmp_path_factory):
    """Three "paintings": stripes of other directions and colors."""
    folder = tmp_path_factory.mktemp("paintings")
    rows, columns = np.mgrid[:64, :80]
    for index, name in enumerate(("a", "b", "c")):
        wave = np.sin((rows * index + columns) / 3)[..., None]
        colors = np.array([40 + 60 * index, 90, 200 - 70 * index]) + wave * np.array([35, 60, 20])
        Image.fromarray(colors.clip(0, 255).astype(np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A many-style base of three styles, untrained."""
    torch.manual_seed(0)
    generator = networks.build("cin", width=8, blocks=1, styles=3)
    torch.nn.init.normal_(generator.table, 0.5, 0.5)
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    path = tmp_path_factory.mktemp("base") / "many.safetensors"
    network = {"name": "cin", **generator.config}
    save_checkpoint(Checkpoint(network, {}, 0, tensors), path)
    return path


def build(name, photo_folder, paintings, weights, base, *more):
    if name == "adapt":
        more = (*more, f'options.base="{base}"')
    recipe = load_recipe(name, [*LAYERS, *SMALL[name], *more])
    style = paintings / "a.png" if name == "adapt" else paintings
    return load(methods, recipe.method)(recipe, Assets(style, photo_folder, weights))


@pytest.mark.parametrize("name", names(methods))
def test_every_method_keeps_the_contract(name):
    assert methods.Method in load(methods, name).__mro__, "the optional members come from there"


@pytest.mark.parametrize("name", sorted(SMALL))
def test_training_reduces_the_loss(name, photo_folder, paintings, weights, base):
    method = build(name, photo_folder, paintings, weights, base, "steps=60")
    totals = [method.step(step)["total"] for step in range(60)]
    assert np.isfinite(totals).all()
    assert np.mean(totals[-15:]) < 0.9 * np.mean(totals[:5])


@pytest.mark.parametrize("name", sorted(SMALL))
def test_resume_is_bit_equal(name, photo_folder, paintings, weights, base, tmp_path):
    def make():
        return build(name, photo_folder, paintings, weights, base, "steps=5")

    Engine(make(), tmp_path / "whole", quiet=True).run()
    Engine(make(), tmp_path / "broken", quiet=True).run(stop=3)
    torch.manual_seed(99)
    again = Engine(make(), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert one.tensors.keys() == two.tensors.keys()
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())
    assert (tmp_path / "whole" / "sheet_000005.png").is_file()
    assert (tmp_path / "whole" / "preview.png").is_file() == (name == "adapt")
    one.build_generator()


def test_frozen_encoder_stays_frozen(photo_folder, paintings, weights, base):
    method = build("adain", photo_folder, paintings, weights, base, "steps=2")
    generator = method.networks["generator"]
    before = {k: v.clone() for k, v in generator.state_dict().items()}
    method.step(0)
    changed = {k for k, v in generator.state_dict().items() if not torch.equal(v, before[k])}
    assert changed and all(key.startswith("decoder.") for key in changed)


def test_adain_goes_on_from_a_checkpoint(photo_folder, paintings, weights, base, tmp_path):
    first = build("adain", photo_folder, paintings, weights, base, "steps=3")
    Engine(first, tmp_path, quiet=True).run()
    more = ("steps=2", "objective.periodicity=60.0", f'options.start="{tmp_path}/last.safetensors"')
    second = build("adain", photo_folder, paintings, weights, base, *more)
    begun = second.networks["generator"].state_dict()
    averaged = load_checkpoint(tmp_path / "last.safetensors").group("ema")
    assert all(torch.equal(begun[key], value) for key, value in averaged.items())
    assert second.step(0)["periodicity"] > 0


def test_adain_terms_of_cells_and_forms(photo_folder, paintings, weights, base):
    more = ("objective.coarse=1.0", "objective.phase_roughness=2.0", "steps=2")
    method = build("adain", photo_folder, paintings, weights, base, *more)
    photos, styles = (
        torch.rand(2, 3, 128, 128, generator=torch.Generator().manual_seed(i)) for i in (1, 2)
    )
    values = method.losses(styles, photos, styles)
    assert values["coarse"] == pytest.approx(0, abs=1e-6)  # the painting itself has its own forms
    assert values["phase_roughness"] == pytest.approx(float(phase_roughness(styles)), rel=1e-6)
    torch.testing.assert_close(
        values["total"],
        sum(
            method.recipe.objective[name] * value
            for name, value in values.items()
            if name != "total"
        ),
    )
    assert method.losses(photos, photos, styles)["coarse"] > 0


def test_every_style_has_its_own_target(photo_folder, paintings, weights, base):
    method = build("many", photo_folder, paintings, weights, base, "steps=2")
    assert isinstance(method, Multi)
    assert method.titles == ["a", "b", "c"]
    assert method.networks["generator"].exports("x")[0].inputs[1].names == ("a", "b", "c")
    images = torch.cat([p[:, :, :48, :48] for p in method.paintings])
    term = method.objective.terms["style"]
    for order in ([0, 1, 2], [2, 0, 1]):
        method.choose(order)
        features = method.objective.backbone(images[order], {"relu1_1", "relu2_1"})
        own = term(LossInputs(images[order], features))
        method.choose(order[::-1])
        assert own < term(LossInputs(images[order], features))


def test_every_style_has_its_own_palette(photo_folder, paintings, weights, base):
    method = build("many", photo_folder, paintings, weights, base, "steps=2")
    term = method.objective.terms["palette"]
    images = torch.cat(method.paintings)
    for order in ([0, 1, 2], [2, 0, 1]):
        method.choose(order)
        assert float(term(LossInputs(images[order]))) < 1e-3
        assert float(term(LossInputs(images[order[::-1]]))) > 0.01


def test_a_photo_is_judged_by_the_paintings_nearest_in_color(
    photo_folder, paintings, weights, base
):
    method = build("monet", photo_folder, paintings, weights, base, "steps=2")
    assert isinstance(method, Collection)
    pictures = torch.cat([load_image(p, 64)[:, :, :48, :48] for p in sorted(paintings.iterdir())])
    # By hand: gray levels .2 and .8 are nearest to .3 and .7, then to each other's.
    looks = torch.tensor([[0.2] * 3 + [0.0] * 3, [0.8] * 3 + [0.0] * 3])
    others = torch.tensor([[level] * 3 + [0.0] * 3 for level in (0.7, 0.3, 0.45)])
    assert nearest(looks, others, 2) == [[1, 2], [0, 2]]
    # Each painting, as a photo, is judged by itself and by its neighbor: their mean Gram matrices.
    method.begin_part(slice(0, 3), pictures)
    term, every = method.objective.terms["style"], method.grams["style"]["relu1_1"]
    found = nearest(color_statistics(pictures), method.looks, 2)
    assert [pair[0] for pair in found] == [0, 1, 2]
    torch.testing.assert_close(
        term.grams["relu1_1"], torch.stack([(every[a] + every[b]) / 2 for a, b in found])
    )
    colors = method.objective.terms["palette"].colors
    assert colors.shape == (3, 3, 1, 2 * method.colors.shape[-1])
    a, b = found[2]
    torch.testing.assert_close(colors[2], torch.cat([method.colors[a], method.colors[b]], -1))
    with pytest.raises(UsageError, match=r"options\.nearest is 4, allowed are 1 to 3"):
        build("monet", photo_folder, paintings, weights, base, "options.nearest=4")


def test_many_paintings_start_from_one_lean_network(
    photo_folder, paintings, weights, base, tmp_path
):
    torch.manual_seed(0)
    lean = networks.build("lean", width=8, blocks=1).eval()
    tensors = {f"generator.{k}": v for k, v in lean.state_dict().items()}
    path = tmp_path / "lean.safetensors"
    save_checkpoint(Checkpoint({"name": "lean", **lean.config}, {}, 0, tensors), path)
    start = f'options.start="{path}"'
    many = build("many", photo_folder, paintings, weights, base, start).networks["generator"]
    photo = torch.rand(1, 3, 32, 32)
    for index in range(3):
        code = torch.eye(3)[index : index + 1]
        torch.testing.assert_close(many.eval()(photo, code), lean(photo))
    with pytest.raises(UsageError, match="allowed are a"):
        build("many", photo_folder, paintings, weights, base, start, "network.width=16")


def test_adapt_begins_at_the_best_painting_of_its_base(photo_folder, paintings, weights, base):
    method = build("adapt", photo_folder, paintings, weights, base)
    many = load_checkpoint(base).build_generator()
    lean, photo = method.networks["generator"].eval(), torch.rand(1, 3, 48, 48)
    index = int(method.start.split()[1])
    with torch.no_grad():
        expected = many(photo, torch.eye(3)[index : index + 1])
        torch.testing.assert_close(lean(photo), expected, atol=1e-5, rtol=1e-4)
    assert method.recipe.network["name"] == "lean"


def test_adapt_from_a_lean_network(photo_folder, paintings, weights, tmp_path):
    torch.manual_seed(0)
    generator = networks.build("lean", width=8, blocks=1)
    tensors = {f"generator.{k}": v for k, v in generator.state_dict().items()}
    path = tmp_path / "lean.safetensors"
    save_checkpoint(Checkpoint({"name": "lean", **generator.config}, {}, 0, tensors), path)
    method = build("adapt", photo_folder, paintings, weights, path)
    own = method.networks["generator"].state_dict()
    assert all(torch.equal(own[k], v) for k, v in generator.state_dict().items())


def test_wct_is_ready_without_a_step(photo_folder, painting, weights, tmp_path):
    recipe = load_recipe("wct", ["network={name='wct', levels=[2, 1]}", "style.size=48"])
    method = load(methods, "wct")(recipe, Assets(painting, photo_folder, weights))
    Engine(method, tmp_path, quiet=True).run()
    again = load_checkpoint(tmp_path / "last.safetensors").build_generator()
    own = method.networks["generator"].state_dict()
    assert all(torch.equal(own[k], v) for k, v in again.state_dict().items())
    assert (tmp_path / "sheet_000000.png").is_file()


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("many", ["options.exclude=['z']"], "options.exclude names z"),
        ("many", ["network={name='lean'}"], 'trains network "cin"'),
        ("adain", ["objective={moment=1.0}"], 'Did you mean "moments"'),
        ("adain", ["options.stile=1"], "no option"),
        ("adapt", ["options.base='nothing'"], 'no checkpoint "nothing"'),
    ],
)
def test_bad_settings(name, settings, message, photo_folder, paintings, weights):
    recipe = load_recipe(name, [*LAYERS, *SMALL[name], *settings])
    with pytest.raises(UsageError, match=message):
        load(methods, recipe.method)(recipe, Assets(paintings, photo_folder, weights))


def test_wct_refuses_steps_and_missing_weights(photo_folder, painting, tmp_path):
    recipe = load_recipe("wct", ["steps=5"])
    with pytest.raises(UsageError, match="learns nothing"):
        load(methods, "wct")(recipe, Assets(painting, photo_folder))
    with pytest.raises(EngineUnavailable, match="MingSun-Tse"):
        load(methods, "wct")(load_recipe("wct"), Assets(painting, photo_folder, tmp_path))


def test_every_method_names_its_paper():
    import importlib

    for name in names(methods):
        text = importlib.import_module(f"training.methods.{name}").__doc__ or ""
        assert name == "adapt" or re.search(r"\b20[12]\d\b", text), name


def test_weights_are_held_to_what_the_network_asks(
    photo_folder, paintings, weights, base, tmp_path
):
    """Before the first step, after each, and in the averages."""
    shape = {"width": 8, "blocks": 1, "normalization": "none"}
    free = networks.build("lean", **shape)
    torch.nn.init.normal_(free.head.weight)
    tensors = {f"generator.{k}": v for k, v in free.state_dict().items()}
    start = tmp_path / "free.safetensors"
    save_checkpoint(Checkpoint({"name": "lean", **shape}, {}, 0, tensors), start)
    more = ["network.equal_phases=true", f'options.start="{start}"', "ema=0.5", "steps=2"]
    method = build("monet", photo_folder, paintings, weights, base, *more)
    engine = Engine(method, tmp_path / "run", quiet=True)

    def is_held(head):
        before = head.weight.clone()
        equalize_phases_(head, 4)
        return torch.allclose(before, head.weight, atol=1e-5)

    assert not is_held(free.head)
    assert is_held(copy.deepcopy(method.networks["generator"].head))
    engine.run()
    trained = load_checkpoint(tmp_path / "run")
    for group in ("generator", "ema"):
        free.load_state_dict(trained.group(group))
        assert is_held(free.head), group
