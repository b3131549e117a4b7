"""A clip painted in pieces is the clip painted in one run, whoever says where shots begin."""

import json
from dataclasses import asdict, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clips import checkpoints, pieces
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import UsageError
from runtime.frame import Frame
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer
from runtime.regions.options import Regions

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


def frame(index):
    return Frame(np.zeros((1, 1, 3), np.uint8), Fraction(index, 25), index)


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
    segments = [segment for piece in reversed(made) for segment in piece.segments]
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
    plan = pieces.plan_pieces(clip, options, lambda: stylizer, target=8)
    assert plan.frames == 44
    alone = model == "invert" and stabilizer == "off"  # every frame is painted for itself
    assert len(plan.pieces) == 6 if alone else len(plan.pieces) >= 2
    notes = paint_in_pieces(clip, plan, output, stylizer, options)
    assert not notes
    assert packets(output) == packets(whole)


@pytest.mark.parametrize(("stabilizer", "count"), [("off", 1), ("live", 3), ("best", 2)])
def test_pieces_with_noise_make_the_clip_of_one_run(clip, tmp_path, invert, stabilizer, count):
    """Noise follows the camera from the first frame of a shot: no piece begins within one."""
    options = replace(clip_options(stabilizer), noise=0.5, seed=3)
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    paint_clip(Job(str(clip), str(whole)), invert, options, Meter())
    plan = pieces.plan_pieces(clip, options, lambda: invert, target=8)
    assert len(plan.pieces) == count
    assert not paint_in_pieces(clip, plan, output, invert, options)
    assert packets(output) == packets(whole)
    paint_clip(Job(str(clip), str(output)), invert, replace(options, noise=0.0), Meter())
    assert packets(output) != packets(whole)


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
        pieces.Mark(frame(k), matter and (not k or begin), alone=not matter)
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


def test_a_shot_without_parts_is_not_divided():
    marks = [pieces.Mark(frame(k), k == 0) for k in range(50)]
    assert pieces.divide(marks, longest=5, target=5)[0] == [pieces.Piece(0)]


@given(
    st.lists(st.integers(1, 90), min_size=1, max_size=6),
    st.integers(1, 9),
    st.integers(1, 30),
    st.integers(2, 7),
    st.integers(0, 3),
)
@settings(max_examples=60, deadline=None)
def test_pieces_within_a_shot_begin_a_part_earlier_and_end_with_one(
    shots, longest, target, part, context
):
    opens = [0]
    for length in shots:
        opens.append(opens[-1] + length)
    within = [k - max(o for o in opens if o <= k) for k in range(opens[-1])]
    marks = [
        pieces.Mark(frame(k), not j, part=part * (j % part == 0), scene=lambda k=k: [{"at": k}])
        for k, j in enumerate(within)
    ]
    made, count = pieces.divide(marks, longest=longest, target=target, context=context, before=1)
    assert count == len(within)
    assert [piece.until for piece in made] == [*(piece.first for piece in made[1:]), None]
    for piece, later in pairwise(made):
        begins, ends = piece.first, later.first
        assert ends - begins >= target
        if within[ends] == 0:
            assert (piece.reach, later.start, later.scene) == (None, None, None)
            continue
        # What is painted twice is a tenth of what is painted.
        start, reach = later.start, piece.reach
        assert reach - start <= 2 * part <= (ends - begins) * pieces.MOST_TWICE
        assert within[start] % part == 0 and start <= ends <= reach < ends + part
        assert within[start] == 0 or ends - start >= part
        assert within[ends] - within[start] == ends - start  # of the same shot
        assert later.scene == [{"at": start}]
        assert later.behind == (
            None if start <= context else pieces._place(place(start, context), 0)
        )


def place(start, context):
    return [frame(start - 1 - context)]


def gliding(number):
    """One take: the scene moves, a blink apart, and grows brighter until the models look again."""
    rows, columns = np.mgrid[:256, :256]
    wave = np.sin(columns / 9 + number / 5) + np.cos(rows / 13 - number / 9)
    colors = np.array([50, 30, 20]) * (1 + number / 100)
    return np.clip(90 + number / 2 + colors * wave[..., None], 0, 255).astype(np.uint8)


@pytest.mark.parametrize("stabilizer", ["off", "best"])
def test_a_take_in_pieces_is_the_take_of_one_run(
    make_clip, tmp_path, folded, monkeypatch, stabilizer
):
    monkeypatch.setattr(pieces, "MOST_TWICE", 1.0)
    clip = make_clip("take.mp4", frames=40, size=(256, 256), picture=gliding)
    options = replace(clip_options(stabilizer), stability=0.45)  # parts of 8 frames
    whole, output = tmp_path / "whole.mp4", tmp_path / "out.mp4"
    engine = folded.sessions[0][0]._engine
    before = engine.measurements
    paint_clip(Job(str(clip), str(whole)), folded, options, Meter())
    assert engine.measurements > before + 1  # the scene was followed, not only begun
    plan = pieces.plan_pieces(clip, options, lambda: folded, target=8)
    assert len(plan.pieces) == 3 if stabilizer == "best" else len(plan.pieces) == 5
    plan = pieces.Plan(**json.loads(json.dumps(asdict(plan))))
    plan = replace(plan, pieces=[pieces.Piece(**piece) for piece in plan.pieces])
    assert not paint_in_pieces(clip, plan, output, folded, options)
    assert packets(output) == packets(whole)


def test_a_take_is_whole_where_the_first_frame_never_ends(make_clip, invert, monkeypatch):
    monkeypatch.setattr(pieces, "MOST_TWICE", 1.0)
    clip = make_clip("take.mp4", frames=60, size=(96, 64), picture=lambda number: scene(3))
    best = replace(clip_options("best"), stability=0.2)
    assert len(pieces.plan_pieces(clip, best, lambda: invert, target=8).pieces) > 1
    for options in (
        clip_options("live"),
        replace(best, regions=Regions("person")),
        replace(best, noise=0.1),
    ):
        assert len(pieces.plan_pieces(clip, options, lambda: invert, target=8).pieces) == 1


def dying(count, folder):
    """What a process leaves that dies with the segment of this number, and what it is told."""
    left = []

    def closed(segment, file, _):
        kept = folder / f"left-{file.name}"
        kept.write_bytes(file.read_bytes())
        left.append((segment, kept))
        if len(left) == count:
            raise KeyboardInterrupt

    return left, closed


@pytest.mark.parametrize(("dies", "pictures"), [(1, True), (1, False), (-1, True)])
@pytest.mark.parametrize(
    ("model", "stabilizer", "take"),
    [
        ("invert", "off", False),
        ("invert", "live", False),
        ("invert", "best", False),
        ("folded", "off", True),
        ("folded", "live", False),
        ("folded", "best", True),
    ],
)
def test_a_piece_goes_on_where_another_process_left_it(
    make_clip, tmp_path, request, monkeypatch, model, stabilizer, take, dies, pictures
):
    monkeypatch.setattr(pieces, "MOST_TWICE", 1.0)
    monkeypatch.setattr(checkpoints, "EVERY_S", 0.0)
    monkeypatch.setattr(checkpoints, "EVERY_FRAMES", 1)
    monkeypatch.setattr(checkpoints, "WORTH_S", 0.0)
    stylizer = request.getfixturevalue(model)
    options = replace(clip_options(stabilizer), stability=0.45)
    drawn = gliding if take else scene
    clip = make_clip("in.mp4", frames=44, size=(96, 64), picture=drawn)
    plan = pieces.plan_pieces(clip, options, lambda: stylizer, target=20)
    piece = plan.pieces[len(plan.pieces) // 2]
    whole, half, rest, kept = (tmp_path / name for name in ("whole", "half", "rest", "kept"))
    for folder in (whole, half, rest, kept):
        folder.mkdir()
    painted = []
    paint_one = stylizer.stylize
    monkeypatch.setattr(stylizer, "stylize", lambda image: painted.append(1) or paint_one(image))

    def paint(folder, begun=None):
        where = folder / "out.mp4"
        return pieces.paint_piece(clip, piece, plan, where, [stylizer], options, Meter(), begun)

    wanted = paint(whole)
    assert wanted.taken == 0
    count = len(wanted.segments)
    left, closed = dying(dies % (count + 1), half)
    with pytest.raises(KeyboardInterrupt):
        paint(half, pieces.Begun([], kept, pictures, closed))
    more = []
    before, frames = len(painted), sum(segment.frames for segment, _ in wanted.segments)
    done = sum(segment.frames for segment, _ in left)
    closed = lambda segment, *_: more.append(segment)  # noqa: E731
    made = paint(rest, pieces.Begun(left, kept, pictures, closed))
    assert [s for s, _ in made.segments] == [s for s, _ in wanted.segments]
    for (_, one), (_, other) in zip(made.segments, wanted.segments, strict=True):
        assert one.read_bytes() == other.read_bytes()
    assert len(more) == count - len(left)
    assert done <= made.taken <= frames
    # What waits to be written when somebody dies is painted again, or what lies behind the last
    # state: less than a part of a shot.
    again = len(painted) - before - (frames - made.taken)
    assert again <= checkpoints.MOST_WAITING


def test_a_clip_that_lacks_a_piece_is_not_joined(clip, tmp_path, invert):
    options = clip_options("off")
    plan = pieces.plan_pieces(clip, options, lambda: invert, target=8)
    made = pieces.paint_piece(
        clip, plan.pieces[0], plan, tmp_path / "part.mp4", [invert], options, Meter()
    )
    with pytest.raises(UsageError, match="44 frames were planned, 8 painted"):
        pieces.join_pieces(clip, plan, made.segments, tmp_path / "out.mp4", options)
    assert not list(tmp_path.glob("out*"))
