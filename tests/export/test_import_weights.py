"""Random networks of other people's architectures, written here from their published description:
what the imported checkpoint paints is what they paint."""

import contextlib
import random
from itertools import chain, pairwise

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from export.import_weights import main, read_state
from runtime.errors import UsageError
from tests.tools.torch7_file import torch7
from training.checkpoint import load_checkpoint


def conv(i, o, k, stride=1):
    return nn.ModuleDict({"conv2d": nn.Conv2d(i, o, k, stride)})


def padded(layer, x, kernel):
    return layer["conv2d"](F.pad(x, [kernel // 2] * 4, mode="reflect"))


class TransformerNet(nn.Module):
    """pytorch/examples: pictures 0..255 in and out."""

    def __init__(self, w=8, blocks=5):
        super().__init__()
        self.blocks = blocks
        self.conv1, self.conv2, self.conv3 = (
            conv(3, w, 9),
            conv(w, 2 * w, 3, 2),
            conv(2 * w, 4 * w, 3, 2),
        )
        self.deconv1, self.deconv2, self.deconv3 = (
            conv(4 * w, 2 * w, 3),
            conv(2 * w, w, 3),
            conv(w, 3, 9),
        )
        for index, channels in enumerate((w, 2 * w, 4 * w, 2 * w, w), start=1):
            self.add_module(f"in{index}", nn.InstanceNorm2d(channels, affine=True))
        for index in range(1, blocks + 1):
            block = {"conv1": conv(4 * w, 4 * w, 3), "conv2": conv(4 * w, 4 * w, 3)}
            block |= {f"in{k}": nn.InstanceNorm2d(4 * w, affine=True) for k in (1, 2)}
            self.add_module(f"res{index}", nn.ModuleDict(block))

    def forward(self, x):
        y = F.relu(self.in1(padded(self.conv1, x, 9)))
        y = F.relu(self.in2(padded(self.conv2, y, 3)))
        y = F.relu(self.in3(padded(self.conv3, y, 3)))
        for index in range(1, self.blocks + 1):
            block = getattr(self, f"res{index}")
            z = F.relu(block["in1"](padded(block["conv1"], y, 3)))
            y = y + block["in2"](padded(block["conv2"], z, 3))
        y = F.relu(self.in4(padded(self.deconv1, F.interpolate(y, scale_factor=2), 3)))
        y = F.relu(self.in5(padded(self.deconv2, F.interpolate(y, scale_factor=2), 3)))
        return padded(self.deconv3, y, 9)


class ResnetBlock(nn.Module):
    def __init__(self, channels, norm, bias, dropout):
        super().__init__()
        layers = [
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(channels),
        ]
        layers += [nn.ReLU(True), *([nn.Dropout(0.5)] if dropout else [])]
        layers += [
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3, bias=bias),
            norm(channels),
        ]
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x):
        return x + self.conv_block(x)


def resnet(w=8, blocks=6, batch=False, dropout=False):
    """CycleGAN's netG: pictures -1..1 in and out."""
    norm = nn.BatchNorm2d if batch else nn.InstanceNorm2d
    bias = not batch
    layers = [nn.ReflectionPad2d(3), nn.Conv2d(3, w, 7, bias=bias), norm(w), nn.ReLU(True)]
    for c in (w, 2 * w):
        layers += [nn.Conv2d(c, 2 * c, 3, 2, 1, bias=bias), norm(2 * c), nn.ReLU(True)]
    layers += [ResnetBlock(4 * w, norm, bias, dropout) for _ in range(blocks)]
    for c in (4 * w, 2 * w):
        layers += [
            nn.ConvTranspose2d(c, c // 2, 3, 2, 1, output_padding=1, bias=bias),
            norm(c // 2),
            nn.ReLU(True),
        ]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(w, 3, 7), nn.Tanh()]
    return nn.Sequential(*layers), "model."


class Level(nn.Module):
    """One level of pix2pix's U-Net; the outermost has no skip around it."""

    def __init__(self, outer, inner, sub=None, outermost=False):
        super().__init__()
        self.outermost = outermost
        down = nn.Conv2d(3 if outermost else outer, inner, 4, 2, 1, bias=False)
        if outermost:
            up = [nn.ReLU(True), nn.ConvTranspose2d(2 * inner, 3, 4, 2, 1), nn.Tanh()]
            layers = [down, sub, *up]
        elif sub is None:
            up = nn.ConvTranspose2d(inner, outer, 4, 2, 1, bias=False)
            layers = [nn.LeakyReLU(0.2, True), down, nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        else:
            up = nn.ConvTranspose2d(2 * inner, outer, 4, 2, 1, bias=False)
            layers = [nn.LeakyReLU(0.2, True), down, nn.BatchNorm2d(inner), sub]
            layers += [nn.ReLU(True), up, nn.BatchNorm2d(outer)]
        self.model = nn.Sequential(*layers)

    def forward(self, x):
        return self.model(x) if self.outermost else torch.cat([x, self.model(x)], 1)


def unet(w=4, depth=5):
    widths = [w * min(2**level, 8) for level in range(depth)]
    level = None
    for outer, inner in reversed(list(pairwise(widths))):
        level = Level(outer, inner, level)
    return Level(3, w, level, outermost=True), "model."


def anime_layer(i, o, kernel=3, stride=1, padding=1, groups=1, bias=False):
    return nn.Sequential(
        nn.ReflectionPad2d(padding),
        nn.Conv2d(i, o, kernel, stride, 0, groups=groups, bias=bias),
        nn.GroupNorm(1, o),
        nn.LeakyReLU(0.2),
    )


class AnimeBlock(nn.Module):
    def __init__(self, i, o):
        super().__init__()
        self.layers = nn.Sequential(
            anime_layer(i, 2 * i, 1, padding=0),
            anime_layer(2 * i, 2 * i, groups=2 * i, bias=True),
            nn.Conv2d(2 * i, o, 1, bias=False),
            nn.GroupNorm(1, o),
        )

    def forward(self, x):
        return x + self.layers(x) if x.shape[1] == self.layers[3].num_channels else self.layers(x)


class Anime(nn.Module):
    """AnimeGANv2: pictures -1..1 in and out; the padding of strides is below and right."""

    def __init__(self, w=4, blocks=4):
        super().__init__()
        layer, odd = anime_layer, (0, 1, 0, 1)
        a, b, c = 2 * w, 4 * w, 8 * w
        self.block_a = nn.Sequential(layer(3, w, 7, padding=3), layer(w, a, 3, 2, odd), layer(a, a))
        self.block_b = nn.Sequential(layer(a, b, 3, 2, odd), layer(b, b))
        inner = [AnimeBlock(b if k == 0 else c, c) for k in range(blocks)]
        self.block_c = nn.Sequential(layer(b, b), *inner, layer(c, b))
        self.block_d = nn.Sequential(layer(b, b), layer(b, b))
        self.block_e = nn.Sequential(layer(b, a), layer(a, a), layer(a, w, 7, padding=3))
        self.out_layer = nn.Sequential(nn.Conv2d(w, 3, 1, bias=False), nn.Tanh())

    def forward(self, x):
        def twice(y):
            return F.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)

        y = twice(self.block_c(self.block_b(self.block_a(x))))
        return self.out_layer(self.block_e(twice(self.block_d(y))))


class Video(nn.Module):
    """ReCoNet, under names of nobody's."""

    def __init__(self, w=4, blocks=4):
        super().__init__()
        sizes = [(3, w, 9), (w, 2 * w, 3), (2 * w, 4 * w, 3)]
        sizes += [(4 * w, 4 * w, 3)] * (2 * blocks) + [(4 * w, 2 * w, 3), (2 * w, w, 3)]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(i, o, k), nn.InstanceNorm2d(o, affine=True))
            for i, o, k in sizes
        )
        self.last = nn.Conv2d(w, 3, 9)

    def step(self, index, x, stride=1):
        conv, norm = self.layers[index]
        x = F.pad(x, [conv.kernel_size[0] // 2] * 4, mode="reflect")
        return norm(F.conv2d(x, conv.weight, conv.bias, stride))

    def forward(self, x):
        for index, stride in enumerate((1, 2, 2)):
            x = F.relu(self.step(index, x, stride))
        last = len(self.layers) - 2
        for index in range(3, last, 2):
            x = F.relu(x + self.step(index + 1, F.relu(self.step(index, x))))
        for index in (last, last + 1):
            x = F.relu(self.step(index, F.interpolate(x, scale_factor=2)))
        return torch.tanh(self.last(F.pad(x, [4] * 4, mode="reflect")))


def randomized(network):
    torch.manual_seed(1)
    for name, weight in network.named_parameters():
        if weight.dim() == 1 and "weight" in name:
            nn.init.uniform_(weight, 0.5, 1.5)
        elif weight.dim() == 1:
            nn.init.normal_(weight, 0, 0.2)
    return network.train()  # batch normalization by the picture's own statistics


def imported(tmp_path, state, *flags):
    torch.save(state, tmp_path / "net.pth")
    assert (
        main([str(tmp_path / "net.pth"), "--output", str(tmp_path / "run"), "--quiet", *flags]) == 0
    )
    return load_checkpoint(tmp_path / "run" / "last.safetensors").build_generator()


@pytest.fixture
def picture():
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("width", "blocks"), [(8, 5), (4, 2)])
@pytest.mark.parametrize("statistics", [False, True])
def test_pytorch_examples(tmp_path, picture, width, blocks, statistics):
    network = randomized(TransformerNet(width, blocks))
    state = network.state_dict()
    if statistics:  # as releases before 1.0 stored them
        state |= {f"in{k}.running_mean": torch.ones(8) for k in range(1, 6)}
    with torch.no_grad():
        expected = network(picture * 255) / 255
        found = imported(tmp_path, state)(picture)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


@pytest.mark.parametrize("options", [{}, {"blocks": 9}, {"batch": True}])
def test_cyclegan(tmp_path, picture, options):
    network, prefix = resnet(**options)
    state = {prefix + name: tensor for name, tensor in randomized(network).state_dict().items()}
    with torch.no_grad():
        expected = 0.5 + 0.5 * network(2 * picture - 1)
        found = imported(tmp_path, state)(picture)
    assert (found - expected).abs().max() < 1e-4


def test_dropout_moves_the_second_convolution(tmp_path, picture):
    network, prefix = resnet(dropout=True)
    state = {prefix + name: tensor for name, tensor in randomized(network).state_dict().items()}
    for layer in network.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    with torch.no_grad():
        expected = 0.5 + 0.5 * network(2 * picture - 1)
        found = imported(tmp_path, state)(picture)
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("depth", [3, 5])
def test_pix2pix(tmp_path, picture, depth):
    network, prefix = unet(depth=depth)
    state = {prefix + name: tensor for name, tensor in randomized(network).state_dict().items()}
    with torch.no_grad():
        expected = 0.5 + 0.5 * network(2 * picture - 1)
        found = imported(tmp_path, state)(picture)
    assert (found - expected).abs().max() < 1e-4


@pytest.mark.parametrize("network", [Anime(4, 4), Anime(4, 2), Video(4, 4)])
def test_networks_of_pictures_around_zero(tmp_path, picture, network):
    with torch.no_grad():
        expected = 0.5 + 0.5 * randomized(network)(2 * picture - 1)
        found = imported(tmp_path, network.state_dict())(picture)
    assert expected.std() > 0.02 and (found - expected).abs().max() < 1e-4


def test_wrapped_and_parallel_weights_are_found(tmp_path):
    state = {f"module.{n}": t for n, t in TransformerNet(4, 1).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "whole.pth")
    assert "conv1.conv2d.weight" in read_state(tmp_path / "whole.pth")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"a": torch.ones(1)}, "of no family we know"),
        ([1, 2], "not weights by name"),
        ({"a": 1}, "holds no tensors"),
        (nn.Linear(1, 1), "save model.state_dict"),
    ],
)
def test_what_is_none_is_said_in_one_line(tmp_path, capsys, data, message):
    torch.save(data, tmp_path / "x.pth")
    assert main([str(tmp_path / "x.pth"), "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_a_family_that_does_not_quite_fit(tmp_path):
    state = TransformerNet(4, 1).state_dict()
    del state["in3.weight"]
    torch.save(state, tmp_path / "x.pth")
    assert main([str(tmp_path / "x.pth"), "--output", str(tmp_path / "run"), "--quiet"]) == 2


class Lua(nn.Module):
    """The network of jcjohnson/fast-neural-style, in the order of its layers: BGR of 0..255, less
    ImageNet's mean, in and out."""

    def __init__(self, w, blocks, norm):
        super().__init__()
        shapes = [(3, w, 9, 1), (w, 2 * w, 3, 2), (2 * w, 4 * w, 3, 2)]
        self.blocks = blocks
        layers = [nn.Conv2d(i, o, k, s, k // 2) for i, o, k, s in shapes]
        layers += [nn.Conv2d(4 * w, 4 * w, 3) for _ in range(2 * blocks)]
        layers += [nn.ConvTranspose2d(i, i // 2, 3, 2, 1, 1) for i in (4 * w, 2 * w)]
        self.layers = nn.ModuleList(
            nn.ModuleList([conv, norm(conv.out_channels)]) for conv in layers
        )
        self.last = nn.Conv2d(w, 3, 9, padding=4)

    def forward(self, x):
        mean = torch.tensor([103.939, 116.779, 123.68]).view(1, 3, 1, 1)
        steps = [lambda x, c=conv, n=norm: n(c(x)) for conv, norm in self.layers]
        x = F.pad(255 * x.flip(1) - mean, [8 * self.blocks] * 4, mode="reflect")
        for step in steps[:3]:
            x = F.relu(step(x))
        for first, second in zip(steps[3:-2:2], steps[4:-2:2], strict=True):
            x = x[:, :, 2:-2, 2:-2] + second(F.relu(first(x)))
        for step in steps[-2:]:
            x = F.relu(step(x))
        return (150 * torch.tanh(self.last(x)) + mean).flip(1) / 255

    def as_lua(self):
        """The tree of modules, residual blocks nested as there."""

        def module(layer):
            fields = {"weight": layer.weight.detach(), "bias": layer.bias.detach()}
            if getattr(layer, "running_mean", None) is not None:
                fields |= {"running_mean": layer.running_mean, "running_var": layer.running_var}
            return (f"nn.{type(layer).__name__}", fields)

        def listed(kind, modules):
            return (kind, {"modules": {float(k): m for k, m in enumerate(modules, start=1)}})

        flat = [
            [module(conv), module(norm), ("nn.ReLU", {"inplace": True})]
            for conv, norm in self.layers
        ]
        shave = ("nn.ShaveImage", {"size": 2.0})
        net = [("nn.SpatialReflectionPadding", {"pad_l": 40.0}), *chain(*flat[:3])]
        for first, second in zip(flat[3:-2:2], flat[4:-2:2], strict=True):
            branch = listed("nn.Sequential", [*first, *second[:2]])
            both = listed("nn.ConcatTable", [branch, shave])
            net.append(listed("nn.Sequential", [both, ("nn.CAddTable", None)]))
        net += [*chain(*flat[-2:]), module(self.last), ("nn.Tanh", {})]
        return {"opt": {"arch": "c9s1-32", "gpu": False}, "model": listed("nn.Sequential", net)}


def lua_network(batch):
    torch.manual_seed(4)
    norm = nn.BatchNorm2d if batch else lambda c: nn.InstanceNorm2d(c, affine=True)
    network = randomized(Lua(4, 2, norm))
    if batch:  # the files of the paper paint with the statistics of training
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.normal_(layer.running_mean)
                nn.init.uniform_(layer.running_var, 0.5, 2)
        network.eval()
    return network


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("converted", [False, True])
def test_networks_of_torch7(tmp_path, picture, batch, converted):
    network = lua_network(batch)
    path = tmp_path / ("net.pth" if converted else "net.t7")
    if converted:
        torch.save(network.state_dict(), path)
    else:
        path.write_bytes(torch7(network.as_lua()))
    assert main([str(path), "--output", str(tmp_path / "run"), "--quiet"]) == 0
    found = load_checkpoint(tmp_path / "run").build_generator()
    with torch.no_grad():
        expected = network(picture)
        assert expected.std() > 0.02 and (found(picture) - expected).abs().max() < 1e-4


@pytest.mark.parametrize("place", [0.0, 0.001, 0.3, 0.9999])
def test_damaged_files_of_torch7_are_one_line(tmp_path, capsys, place):
    data = torch7(lua_network(False).as_lua())
    (tmp_path / "x.t7").write_bytes(data[: int(place * len(data))])
    assert main([str(tmp_path / "x.t7"), "--output", str(tmp_path / "run")]) == 2
    error = capsys.readouterr().err
    assert "no network of Torch7" in error and error.count("\n") == 1


def test_flipped_bytes_of_torch7_end_in_a_line_or_a_network(tmp_path):
    data = bytearray(torch7(lua_network(False).as_lua()))
    draw = random.Random(0)
    for _ in range(60):
        place = draw.randrange(4000)
        flipped = data.copy()
        flipped[place] ^= 1 << draw.randrange(8)
        (tmp_path / "x.t7").write_bytes(flipped)
        with contextlib.suppress(UsageError):
            read_state(tmp_path / "x.t7")


def test_an_imported_run_is_exported_like_any_other(tmp_path, photos_folder, monkeypatch):
    import export.artifact as flow
    from export.__main__ import main as export_main
    from runtime import open_session

    monkeypatch.setattr(flow, "SIZES", ((96, 64),))
    torch.save(randomized(TransformerNet(4, 1)).state_dict(), tmp_path / "net.pth")
    run, model = tmp_path / "run", tmp_path / "net.onnx"
    assert main([str(tmp_path / "net.pth"), "--output", str(run), "--quiet"]) == 0
    words = ["--checkpoint", str(run), "--output", str(model), "--photos", str(photos_folder)]
    assert export_main([*words, "--quiet"]) == 0
    with open_session(model) as session:
        assert session.card.style["title"] == "net"


@pytest.mark.parametrize("data", [b"", b"\x80\x02}q\x00.", b"PK\x03\x04", b"x" * 300, {1: 2}, [1]])
def test_what_is_no_file_of_weights_is_one_line_and_leaves_nothing(tmp_path, capfd, data):
    path = tmp_path / "hostile.pth"
    if isinstance(data, bytes):
        path.write_bytes(data)
    else:
        torch.save({1: torch.zeros(3)} if isinstance(data, dict) else data, path)
    assert main([str(path), "--output", str(tmp_path / "run")]) == 2
    said = capfd.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><html>not found</html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a Git LFS pointer"),
        (b"no weights", "it is no file of torch.save"),
    ],
)
def test_what_came_in_place_of_the_weights_is_named(tmp_path, capsys, content, words):
    path = tmp_path / "mosaic.pth"
    path.write_bytes(content)
    assert main([str(path), "--output", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err


def test_families_may_be_written_with_hyphens(tmp_path, capsys):
    torch.save({"conv9.weight": torch.zeros(1)}, tmp_path / "net.pth")
    words = [str(tmp_path / "net.pth"), "--output", str(tmp_path / "run")]
    assert main([*words, "--family", "pytorch-examples"]) == 2
    assert "not quite of family pytorch_examples" in capsys.readouterr().err
