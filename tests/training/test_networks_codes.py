"""Networks that take a code, and those of the adversarial methods: shapes, codes, folding."""

import pytest
import torch

from runtime.errors import UsageError
from training import networks
from training.checkpoint import Checkpoint, save_checkpoint
from training.feature_statistics import channel_moments
from training.methods._trunk import begin_from, learn_codes
from training.networks import cin
from training.networks._parts.vgg16x import Decoder, Encoder, channels, load_pretrained

SMALL = {
    "adain": {"level": 3},
    "microast": {"width": 8, "blocks": 1, "encoder_width": 4, "hidden": 8},
    "cin": {"width": 8, "blocks": 1, "styles": 3},
    "wct": {"levels": (2, 1)},
    "photowct": {"level": 2},
    "unet_pix2pix": {"width": 4, "depth": 3},
}


def codes_for(generator, style):
    if generator.name == "unet_pix2pix":
        return []
    if generator.name == "cin":
        return [torch.tensor([[0.2, 0.5, 0.3]])]
    found = generator.encode(style)
    return found if isinstance(found, list) else [found]


@pytest.fixture(params=sorted(SMALL))
def generator(request):
    torch.manual_seed(0)
    return networks.build(request.param, **SMALL[request.param]).eval()


@torch.no_grad()
def test_shape_is_kept_and_pictures_do_not_mix(generator):
    codes = codes_for(generator, torch.rand(1, 3, 32, 48))
    for height, width in ((32, 48), (40, 32)):
        images = torch.rand(2, 3, height, width)
        both = generator(images, *codes)
        assert both.shape == images.shape
        torch.testing.assert_close(both[1:], generator(images[1:], *codes), atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_smallest_size_works(generator):
    codes = codes_for(generator, torch.rand(1, 3, 32, 48))
    side = generator.minimum
    assert side % generator.multiple_of == 0
    assert generator(torch.rand(1, 3, side, side), *codes).shape[-1] == side


def test_ports_fit_the_modules(generator):
    if not hasattr(generator, "exports"):
        return
    graphs = generator.exports("model")
    assert graphs[0].suffix == ""
    for graph in graphs:
        sides = {"height": 32, "width": 48}
        shapes = [[sides.get(a, a) for a in port.shape] for port in graph.inputs]
        with torch.no_grad():
            found = graph.module(*(torch.rand(*shape) for shape in shapes))
        found = found if isinstance(found, tuple) else (found,)
        for value, port in zip(found, graph.outputs, strict=True):
            assert list(value.shape) == [sides.get(a, a) for a in port.shape]
    companions = {port.companion for port in graphs[0].inputs if port.companion}
    assert companions == {f"model{graph.suffix}.onnx" for graph in graphs[1:]}


@torch.no_grad()
@pytest.mark.parametrize("normalization", ["instance", "none"])
def test_a_folded_style_is_a_lean_network(normalization):
    torch.manual_seed(0)
    many = networks.build("cin", **SMALL["cin"], normalization=normalization).eval()
    torch.nn.init.normal_(many.table)
    lean = networks.build("lean", **many.lean_config).eval()
    code, photo = cin.one_hot(1, 3), torch.rand(1, 3, 32, 32)
    lean.load_state_dict(many.folded_state(many.modulation(code)[0]))
    torch.testing.assert_close(lean(photo), many(photo, code), atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_a_trunk_without_normalization_begins_as_the_identity():
    torch.manual_seed(0)
    wide = {"width": 24, "blocks": 1, "scale": 2, "margin": 4, "styles": 3}
    generator = networks.build("cin", **wide, normalization="none").eval()
    photo = torch.rand(1, 3, 32, 32)
    assert (generator(photo, cin.one_hot(1, 3)) - photo).abs().mean() > 0.1
    assert generator.begin_as_identity()
    torch.testing.assert_close(generator(photo, cin.one_hot(1, 3)), photo)
    narrow = {**wide, "width": 16}
    assert not networks.build("cin", **narrow, normalization="none").begin_as_identity()
    assert not networks.build("cin", **wide).begin_as_identity()


@torch.no_grad()
def test_adain_bottleneck_has_the_moments_of_the_style():
    torch.manual_seed(0)
    generator = networks.build("adain", level=2).eval()
    seen = []
    generator.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    code = generator.encode(torch.rand(1, 3, 32, 32) ** 2)
    generator(torch.rand(1, 3, 32, 32), code)
    found = torch.cat(channel_moments(seen[0]), 1)
    # A channel the photo leaves flat cannot be stretched: its deviation is the floor's.
    moved = code.chunk(2, 1)[1] > 0.02
    alive = torch.cat([moved, moved], 1)
    torch.testing.assert_close(found[alive], code[alive], atol=0.02, rtol=0.05)


@torch.no_grad()
def test_styles_of_a_fresh_microast_are_alike_and_then_differ():
    torch.manual_seed(0)
    generator = networks.build("microast", **SMALL["microast"])
    one, two = (generator.encode(torch.rand(1, 3, 32, 32) ** p) for p in (1, 3))
    assert (one - generator.neutral_modulation().flatten()).abs().max() < 0.2
    assert (one - two).abs().max() > 0


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
@torch.no_grad()
def test_encoder_and_decoder_are_mirrors(level):
    features = Encoder(level)(torch.rand(1, 3, 64, 96))
    cells = 2 ** (level - 1)
    assert features.shape == (1, channels(level), 64 // cells, 96 // cells)
    assert Decoder(level)(features).shape == (1, 3, 64, 96)


def test_published_pairs_reconstruct_photos(shared_data):
    """The data's readme states 44.3, 31.3, 27.9, 24.5 and 20.7 dB on ten photos."""
    from training.data.images import load_image

    folder = shared_data / "weights"
    photo = load_image(shared_data / "content_val" / "val_05.jpg", 256)[:, :, :256, :256]
    for level, least in zip(range(1, 6), (40, 28, 24, 20, 16), strict=True):
        encoder, decoder = Encoder(level), Decoder(level)
        load_pretrained(encoder, folder)
        load_pretrained(decoder, folder)
        with torch.no_grad():
            error = (decoder(encoder(photo)).clamp(0, 1) - photo).square().mean()
        assert -10 * torch.log10(error) > least, level


@torch.no_grad()
def test_patchgan_sees_seventy_pixels():
    torch.manual_seed(0)
    discriminator = networks.build("patchgan", width=4, normalization="none")
    images = torch.rand(1, 3, 128, 128)
    with torch.enable_grad():
        images.requires_grad_(True)
        (scores,) = discriminator(images).maps
        scores[0, 0, 7, 7].backward()
    rows = images.grad.abs().sum((0, 1, 3)).nonzero()
    assert rows.max() - rows.min() + 1 == 70
    assert discriminator(torch.rand(1, 3, 256, 256)).maps[0].shape == (1, 1, 30, 30)


def test_unet_dropout_only_while_training():
    torch.manual_seed(0)
    generator = networks.build("unet_pix2pix", width=4, depth=4)
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert not torch.equal(generator(images), generator(images))
        generator.eval()
        assert torch.equal(generator(images), generator(images))


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("adain", {"level": 6}, "allowed are 1 to 5"),
        ("wct", {"levels": ()}, "levels are 1 to 5"),
        ("wct", {"alpha": 2.0}, "allowed is 0..1"),
        ("cin", {"styles": 0}, "is 0, allowed is 1..4096"),
        ("microast", {"margin": 10}, "multiple of scale"),
        ("unet_pix2pix", {"depth": 1}, "allowed is 2..12"),
        ("patchgan", {"layers": 0}, "is 0, allowed is 1..12"),
    ],
)
def test_bad_configurations(name, config, message):
    with pytest.raises(UsageError, match=message):
        networks.build(name, **config)


def test_a_lean_network_becomes_the_trunk_of_microast(tmp_path):
    """Whatever the style, it begins near what the lean one paints; another shape is refused."""
    torch.manual_seed(0)
    config = {"width": 8, "blocks": 1, "margin": 16}
    lean = networks.build("lean", **config).eval()
    torch.nn.init.uniform_(lean.stem_norm.weight)
    group = {f"generator.{key}": value for key, value in lean.state_dict().items()}
    save_checkpoint(
        Checkpoint({"name": "lean", "scale": 4, **config}, {}, 1, group), tmp_path / "lean"
    )
    generator = networks.build("microast", **SMALL["microast"], margin=16).eval()
    begin_from(generator, "microast", str(tmp_path / "lean"))
    torch.nn.init.zeros_(generator.write.weight)
    photo = torch.rand(1, 3, 32, 40)
    painted = generator(photo, generator.encode(torch.rand(1, 3, 32, 32)))
    torch.testing.assert_close(painted, lean(photo))
    wider = networks.build("microast", **{**SMALL["microast"], "width": 16})
    with pytest.raises(UsageError, match='a lean or "cin" one of its width, blocks'):
        begin_from(wider, "microast", str(tmp_path / "lean"))


def test_microast_learns_what_many_knows_of_its_paintings(tmp_path):
    """The trunk is taken, and the encoder writes each painting's modulation for that painting."""
    torch.manual_seed(0)
    many = networks.build("cin", width=8, blocks=1, styles=2, names=("red", "blue"))
    torch.nn.init.normal_(many.table, 0.5, 0.5)
    group = {f"generator.{key}": value for key, value in many.state_dict().items()}
    save_checkpoint(Checkpoint({"name": "cin", **many.config}, {}, 1, group), tmp_path / "many")
    generator = networks.build("microast", **SMALL["microast"])
    codes = begin_from(generator, "microast", str(tmp_path / "many"))
    assert [*codes] == ["red", "blue"] and torch.equal(codes["blue"], many.table[1])
    assert torch.equal(generator.stem.weight, many.stem.weight)
    torch.testing.assert_close(generator.write.bias, many.table.mean(0))
    pictures = torch.zeros(2, 3, 32, 32)
    pictures[0, 0], pictures[1, 2] = 1.0, 1.0
    before = generator.stem.weight.clone()
    left = learn_codes(generator, lambda: pictures, torch.stack([*codes.values()]).detach(), 60)
    assert left < 0.1 and torch.equal(generator.stem.weight, before)
    photo = torch.rand(1, 3, 32, 40)
    red = many(photo, torch.tensor([[1.0, 0.0]]))
    near, far = (generator(photo, generator.encode(picture[None])) for picture in pictures)
    assert (near - red).square().mean() < 0.2 * (far - red).square().mean()


def test_a_lean_network_becomes_the_trunk_of_many():
    torch.manual_seed(0)
    lean = networks.build("lean", width=8, blocks=2, margin=16).eval()
    for norm in (lean.stem_norm, lean.trunk[1].norm2):
        torch.nn.init.uniform_(norm.weight)
        torch.nn.init.uniform_(norm.bias)
    many = networks.build("cin", width=8, blocks=2, margin=16, styles=3).eval()
    modulation = many.take_folded(lean.state_dict())
    photo = torch.rand(1, 3, 32, 40)
    torch.testing.assert_close(many.paint(photo, modulation[None]), lean(photo))
    folded = many.folded_state(modulation)
    assert all(torch.equal(folded[k], v) for k, v in lean.state_dict().items())
