"""python -m benchmarks.peers --output build/peers

Write the networks that everyone compares with as ONNX files, so that they can run beside ours in
the same rounds: `python -m benchmarks.latency --models starry --peers build/peers`. They are built
by our own `training.networks` at the sizes their papers give, with random weights: good for speed,
and labeled so, because they paint nothing. Needs PyTorch and the exporter.
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.card import ModelCard, Port
from runtime.cli import command_main, command_parser, print_json, say
from runtime.errors import DONE, UsageError
from runtime.outputs import check_output
from runtime.plugins import suggest

if TYPE_CHECKING:
    from torch import nn

# Published shapes: (title, network, settings).
PEERS: dict[str, tuple[str, dict[str, int]]] = {
    "johnson": ("Johnson et al. 2016", {"width": 32, "blocks": 5}),
    "reconet": ("ReCoNet, Gao et al. 2018", {"width": 48, "blocks": 4}),
    "magenta": ("Magenta's separable transformer, 2018", {"width": 32, "blocks": 5}),
    "resnet_cycle": ("CycleGAN's ResNet-9, Zhu et al. 2017", {"width": 64, "blocks": 9}),
}
OPSET = 18  # the exporter's oldest


def card(name: str, title: str, network: "nn.Module") -> ModelCard:
    """The card of a peer: float pictures in 0..1, any size, weights marked as random."""
    return ModelCard(
        name=name,
        method="perceptual",
        inputs=(Port("image"),),
        outputs=(Port("styled"),),
        multiple_of=network.multiple_of,
        minimum=32,
        overlap=network.overlap,
        network={"name": network.name, "config": network.config},
        normalization=network.normalization,
        recipe={"weights": "random", "title": title},
        license="none: random weights",
    )


def export(name: str, path: Path) -> ModelCard:
    """Build, trace and write one peer.

    Raises:
        UsageError: unknown name.
    """
    import torch

    from export import onnx_tools
    from export.tracing import to_onnx
    from training import networks

    title, settings = PEERS[name]
    torch.manual_seed(0)
    network = networks.build(name, **settings).eval()
    for parameter in network.parameters():
        # The tracer merges equal tensors, and fresh normalizations are all ones and zeros.
        parameter.data += 1e-3 * torch.randn_like(parameter)
    partial = path.with_name(f".{path.name}.partial")
    # Large enough for the trace: reflection needs more pixels at 1/4 resolution than it pads.
    example = torch.zeros(1, 3, 64, 96)
    module = torch.nn.Sequential(network, torch.nn.Hardtanh(0.0, 1.0))
    shapes = ({2: "height", 3: "width"},)
    model = to_onnx(module, [example], OPSET, ["image"], ["styled"], shapes)
    onnx_tools.tidy(model)
    details = card(name, title, network)
    onnx_tools.save(model, details, partial)
    partial.replace(path)
    return details


def build_parser() -> argparse.ArgumentParser:
    """Flags of this command."""
    parser = command_parser(__doc__)
    parser.add_argument("--output", default="build/peers", metavar="FOLDER")
    parser.add_argument(
        "--network", action="append", metavar="NAME", help=f"default: all of {', '.join(PEERS)}"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")
    parser.add_argument("--overwrite", action="store_true", help="replace existing files")
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Write the peers asked for."""
    chosen = args.network or list(PEERS)
    for name in chosen:
        if name not in PEERS:
            raise UsageError(f'no peer "{name}".{suggest(name, list(PEERS))}')
    paths = {
        name: check_output(Path(args.output) / f"{name}.onnx", overwrite=args.overwrite)
        for name in chosen
    }
    for name, path in paths.items():
        details = export(name, path)
        say(f"{path}  {details.recipe['title']} (random weights)", quiet=args.quiet)
    if args.json:
        print_json({"files": {name: str(path) for name, path in paths.items()}})
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
