"""What a batch costs: the throughput model by hand, and costs of a small clip."""

import argparse

import pytest

from benchmarks import batch
from runtime.clips.options import ClipOptions
from runtime.clips.pieces import plan_pieces


def test_the_throughput_model_by_hand():
    costs = {
        "frames": 100,
        "pieces": 4,
        "paint_ms": 50,
        "short_plan_ms": 2,
        "piece_ms": 250,
        "join_ms": 300,
    }
    assert batch.predicted_s(costs, 5.0, 1) == pytest.approx(5 + 0.2 + 5 + 1 + 0.3)
    assert batch.predicted_s(costs, 5.0, 2) == pytest.approx(5 + 0.2 + 3 + 0.3)


def test_the_clip_has_a_piece_for_every_shot_and_costs_are_whole(tmp_path, tiny_model):
    clip = tmp_path / "clip.mp4"
    batch.write_clip(clip, 96, 64)
    plan = plan_pieces(clip, ClipOptions(stabilizer="best"), target=batch.SHOT_FRAMES)
    assert len(plan.pieces) == batch.SHOTS
    args = argparse.Namespace(model=str(tiny_model), stabilizer="off", rounds=1)
    costs = batch._costs(clip, args)
    assert costs["frames"] == batch.SHOTS * batch.SHOT_FRAMES
    assert costs["pieces"] == 1  # every frame stands for itself: as long as a segment
    assert costs["paint_ms"] > 0 and costs["join_ms"] > 0 and costs["short_plan_ms"] > 0
    costs |= batch._plan_costs(clip, args)
    assert costs["cpu_plan_ms"] > 0
    row = batch._row(
        argparse.Namespace(model="a/tiny.onnx", stabilizer="off"), "96x64", "alone", costs
    )
    assert "| tiny | 96x64 |" in batch.table_of({"rows": [row]})
