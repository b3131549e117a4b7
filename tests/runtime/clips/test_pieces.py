"""A clip painted in pieces is the clip painted in one run, whoever says where shots begin."""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clips import pieces
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import UsageError
from runtime.frame import Frame
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer

ROOT = Path(__file__).resolve().parents[3]
FOLDED = ROOT / "models" / "starry-fast.onnx"
SEGMENT = 8


def scene(number):
    """Four scenes of 11 frames, each moving and growing brighter; two flashes beside the cuts."""
    place, step = divmod(number, 11)
    rows, columns = np.mgrid[:64, :96]
    wave = np.sin(columns / (4 + 3 * place) + step / 3) + np.cos(rows / (9 - 2 * place))
    colors = np.roll(np.array([90, 30, 10]), place)
    flash = 90 if (place, step) in ((1, 1), (2, 10)) else 0
    return np.clip(60 + 40 * place + colors * wave[..., None] + 2 * step + flash, 0, 255).astype(
        np.uint8
    )


@pytest.fixture
def clip(make_clip):
    return make_clip("in.mp4", frames=44, size=(96, 64), picture=scene, audio="aac")


@pytest.fixture
def invert(invert_model):
    with open_stylizer(StylizeOptions([(str(invert_model), 1.0)], device="cpu")) as opened:
        yield opened


@pytest.fixture(scope="module")
def folded():
    """An int8 model that is folded for each scene."""
    if not FOLDED.is_file():
        pytest.skip(f"needs {FOLDED.name}")
    with open_stylizer(StylizeOptions([(str(FOLDED), 1.0)], device="cpu")) as opened:
        yield opened


def clip_options(stabilizer):
    return ClipOptions(
        sink={"segment": SEGMENT, "preset": "ultrafast"}, stabilizer=stabilizer, overwrite=True
    )


def paint_in_pieces(clip, plan, output, stylizer, options):
    made = []
    # The last piece first: nothing depends on the order.
    for number, piece in reversed(list(enumerate(plan.pieces))):
        folder = output.parent / str(number)
        folder.mkdir()
        where = folder / output.name
        made.append(pieces.paint_piece(clip, piece, plan, where, [stylizer], options, Meter()))
    segments = [segment for piece in reversed(made) for segment in piece]
    return pieces.join_pieces(clip, plan, segments, output, options)


def packets(path):
    with av.open(str(path)) as container:
        return [
            (packet.stream.type, packet.pts, packet.dts, packet.duration, bytes(packet))
            for packet in container.demux()
        ]


@pytest.mark.parametrize("stabilizer", ["off", "live", "best"])
@pytest.mark.parametrize("model", ["invert", "folded"])
def test_pieces_make_the_clip_of_one_run(clip, tmp_path, request, model, stabilizer):
    stylizer, options = request.getfixturevalue(model), clip_options(stabilizer)
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    paint_clip(Job(str(clip), str(whole)), stylizer, options, Meter())
    plan = pieces.plan_pieces(clip, options, stylizer, target=8)
    assert plan.frames == 44
    alone = model == "invert" and stabilizer == "off"  # every frame is painted for itself
    assert len(plan.pieces) == 6 if alone else len(plan.pieces) >= 2
    notes = paint_in_pieces(clip, plan, output, stylizer, options)
    assert not notes
    assert packets(output) == packets(whole)


@given(
    st.lists(st.booleans(), max_size=60),
    st.integers(1, 9),
    st.integers(1, 30),
    st.integers(0, 3),
    st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_pieces_cover_the_clip_and_begin_where_shots_and_segments_do(
    begins, longest, target, context, matter
):
    marked = [
        (Frame(np.zeros((1, 1, 3), np.uint8), Fraction(k, 25), k), not k or begin, matter)
        for k, begin in enumerate(begins)
    ]
    made, count = pieces.divide(marked, longest=longest, target=target, context=context)
    assert count == len(begins)
    firsts = [piece.first for piece in made]
    assert firsts[0] == 0
    assert [piece.until for piece in made] == [*firsts[1:], None]
    assert all(later - earlier >= target for earlier, later in pairwise(firsts))
    for piece in made[1:]:
        assert begins[piece.first] if matter else piece.first % longest == 0
        wanted = piece.first - 1 - context
        place = (wanted, f"{Fraction(wanted, 25).numerator}/{Fraction(wanted, 25).denominator}")
        assert piece.behind == (place if wanted >= 0 else None)


def test_a_long_shot_is_not_divided():
    marked = [
        (Frame(np.zeros((1, 1, 3), np.uint8), Fraction(k), k), k == 0, True) for k in range(50)
    ]
    assert pieces.divide(marked, longest=5, target=5)[0] == [pieces.Piece(0)]


def test_a_clip_that_lacks_a_piece_is_not_joined(clip, tmp_path, invert):
    options = clip_options("off")
    plan = pieces.plan_pieces(clip, options, invert, target=8)
    made = pieces.paint_piece(
        clip, plan.pieces[0], plan, tmp_path / "part.mp4", [invert], options, Meter()
    )
    with pytest.raises(UsageError, match="44 frames were planned, 8 painted"):
        pieces.join_pieces(clip, plan, made, tmp_path / "out.mp4", options)
    assert not list(tmp_path.glob("out*"))
