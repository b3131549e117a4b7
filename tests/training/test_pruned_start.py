import pytest
import torch

from runtime.errors import UsageError
from training import networks
from training.pruned_start import inner_energy, kept_blocks, prune_weights, stream_energy

WIDE = {"width": 6, "blocks": 3, "scale": 4, "normalization": "instance", "margin": 0}


def network(seed=0, **changes):
    torch.manual_seed(seed)
    built = networks.build("lean", **{**WIDE, **changes})
    for name, parameter in built.named_parameters():
        if "norm" in name:
            torch.nn.init.uniform_(parameter, 0.2, 1.0)
    return built.eval()


def test_blocks_are_evenly_spaced():
    assert kept_blocks(5, 3) == [0, 2, 4]
    assert kept_blocks(5, 2) == [0, 4]
    assert kept_blocks(3, 3) == [0, 1, 2]
    assert kept_blocks(3, 0) == []


def test_the_same_shape_is_the_same_network():
    wide = network()
    same = network(1)
    same.load_state_dict(prune_weights(wide.state_dict(), WIDE, WIDE))
    picture = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(same(picture), wide(picture))


def test_channels_that_pass_nothing_on_go_first_and_cost_nothing():
    wide, settings = network(), {**WIDE, "width": 4}
    state = wide.state_dict()
    for dead in (1, 4):
        state["head.weight"][:, dead] = 0
        for block in range(3):
            state[f"trunk.{block}.conv1.weight"][:, dead] = 0
            state[f"trunk.{block}.conv2.weight"][:, dead] = 0
    wide.load_state_dict(state)
    energy = stream_energy(state, [0, 1, 2])
    assert energy.topk(2, largest=False).indices.sort().values.tolist() == [1, 4]
    assert inner_energy(state, 1).topk(2, largest=False).indices.sort().values.tolist() == [1, 4]
    narrow = network(1, width=4)
    narrow.load_state_dict(prune_weights(state, WIDE, settings))
    picture = torch.rand(1, 3, 32, 32)
    torch.testing.assert_close(narrow(picture), wide(picture), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "change", [{"width": 8}, {"blocks": 4}, {"scale": 2}, {"normalization": "none"}]
)
def test_what_cannot_be_pruned_is_refused(change):
    with pytest.raises(UsageError, match="cannot start"):
        prune_weights(network().state_dict(), WIDE, {**WIDE, **change})
