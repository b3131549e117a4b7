"""python -m benchmarks.peers --output build/peers

Write the networks that everyone compares with as ONNX files, so that they can run beside ours in
the same rounds: `python -m benchmarks.latency --models starry --peers build/peers`. They are built
by our own `training.networks` at the sizes their papers give, with random weights: good for speed,
and labeled so, because they paint nothing. Needs torch.
"""

import argparse
import warnings
from pathlib import Path
from typing import Any

from runtime.card import KEY, ModelCard, Port
from runtime.cli import command_main, command_parser, print_json, say
from runtime.errors import DONE, EngineUnavailable, UsageError
from runtime.outputs import check_output
from runtime.plugins import suggest

from .measuring.protobuf import encode, message

# Published shapes: (title, network, settings).
PEERS: dict[str, tuple[str, dict[str, Any]]] = {
    "johnson": ("Johnson et al. 2016", {"width": 32, "blocks": 5}),
    "reconet": ("ReCoNet, Gao et al. 2018", {"width": 48, "blocks": 4}),
    "magenta": ("Magenta's separable transformer, 2018", {"width": 32, "blocks": 5}),
    "resnet_cycle": ("CycleGAN's ResNet-9, Zhu et al. 2017", {"width": 64, "blocks": 9}),
}
# ModelProto.metadata_props, and of its entries key and value.
METADATA, ENTRY_KEY, ENTRY_VALUE = 14, 1, 2
OPSET = 17


def card(name: str, title: str, network: Any) -> ModelCard:
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


def with_card(model: bytes, details: ModelCard) -> bytes:
    """The serialized model with the card in its metadata.

    Two protocol buffer messages, one after the other, are one message with the fields of both.
    """
    entry = message((ENTRY_KEY, KEY), (ENTRY_VALUE, details.to_json()))
    return model + encode(METADATA, entry)


def export(name: str, path: Path) -> ModelCard:
    """Build, trace and write one peer.

    Raises:
        EngineUnavailable: torch is not installed.
        UsageError: unknown name.
    """
    try:
        import torch
    except ImportError:
        raise EngineUnavailable(
            "building peers needs torch: pip install torch, or copy the files from a machine "
            "that has it"
        ) from None
    from training import networks

    title, settings = PEERS[name]
    torch.manual_seed(0)
    network = networks.build(name, **settings).eval()
    for parameter in network.parameters():
        # The tracer merges equal tensors, and fresh normalizations are all ones and zeros.
        parameter.data += 1e-3 * torch.randn_like(parameter)
    partial = path.with_name(f".{path.name}.partial")
    axes = {0: "N", 2: "H", 3: "W"}
    # Large enough for the trace: reflection needs more pixels at 1/4 resolution than it pads.
    with warnings.catch_warnings():
        # The tracer announces its age, and that instance normalization uses the picture's own
        # statistics, which is what it is for.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            torch.nn.Sequential(network, torch.nn.Hardtanh(0.0, 1.0)),
            (torch.zeros(1, 3, 64, 64),),
            str(partial),
            input_names=["image"],
            output_names=["styled"],
            dynamic_axes={"image": axes, "styled": axes},
            opset_version=OPSET,
            dynamo=False,
        )
    details = card(name, title, network)
    partial.write_bytes(with_card(partial.read_bytes(), details))
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
