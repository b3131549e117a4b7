"""AnimeGANv2's generator in its PyTorch port: block_a to block_e, out_layer.

Each `ConvNormLReLU` is a Sequential of padding, convolution (1), normalization (2), activation;
each inverted residual a Sequential `layers` of two of those, a convolution (2) and a normalization
(3).
Source: bryandlee/animegan2-pytorch, model.py (names and shapes).
"""

from . import Converted, State, count

BLOCKS = {"block_a": "a", "block_b": "b", "block_c": "c", "block_d": "d", "block_e": "e"}


class AnimeGan:
    """See the module."""

    label = "AnimeGANv2 (PyTorch port)"

    @staticmethod
    def matches(state: State) -> bool:
        """By the first and the last convolution, and an inverted residual."""
        return {
            "block_a.0.1.weight",
            "block_c.1.layers.2.weight",
            "out_layer.0.weight",
        } <= set(state)

    @staticmethod
    def convert(state: State) -> Converted:
        """See `Family`."""
        tensors: State = {"head.weight": state["out_layer.0.weight"].float()}
        for theirs, ours in BLOCKS.items():
            for index in range(count(state, f"{theirs}.")):
                source, target = f"{theirs}.{index}", f"{ours}.{index}"
                if f"{source}.1.weight" in state:
                    _layer(state, source, target, tensors)
                    continue
                _layer(state, f"{source}.layers.0", f"{target}.widen", tensors)
                _layer(state, f"{source}.layers.1", f"{target}.filter", tensors)
                tensors[f"{target}.narrow.weight"] = state[f"{source}.layers.2.weight"].float()
                _copy(state, f"{source}.layers.3", f"{target}.norm", tensors)
        network = {
            "name": "animegan",
            "width": state["block_a.0.1.weight"].shape[0],
            "blocks": count(state, "block_c.") - 2,
        }
        return Converted(
            network,
            tensors,
            "cyclegan",
            ("resized with aligned corners, as that code does unless told otherwise",),
        )


def _layer(state: State, source: str, target: str, tensors: State) -> None:
    _copy(state, f"{source}.1", f"{target}.conv", tensors)
    _copy(state, f"{source}.2", f"{target}.norm", tensors)


def _copy(state: State, source: str, target: str, tensors: State) -> None:
    tensors[f"{target}.weight"] = state[f"{source}.weight"].float()
    if f"{source}.bias" in state:
        tensors[f"{target}.bias"] = state[f"{source}.bias"].float()


PLUGIN = AnimeGan
