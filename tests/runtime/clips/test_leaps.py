"""Pieces are found to end where segments of the whole clip do, though most frames are not seen."""

from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.clips import pieces
from runtime.clips.leaps import Leaps
from runtime.clips.options import ClipOptions
from runtime.frame import Frame
from runtime.sources import Source, SourceInfo
from runtime.stabilizers.best import Best

LONGEST = 20


class Shots(Source):
    """Shots of one color each; counts the pictures that were made."""

    def __init__(self, lengths):
        self.lengths, self.made = lengths, 0
        self.info = SourceInfo("shots", 4, 4)

    def __iter__(self):
        index = 0
        for number, length in enumerate(self.lengths):
            color = np.array([0, 250, 20, 200][number % 4], np.uint8)
            for _ in range(length):
                rows = 4 if self.pictures else 0
                self.made += bool(rows)
                yield Frame(np.full((rows, 4, 3), color), Fraction(index, 25), index)
                index += 1


def leaps(source, target):
    context = Best.context
    return Leaps(source, Best().shots, context=context, longest=LONGEST, target=target)


def segments(lengths):
    """First frames of all segments of the whole clip, and of all shots."""
    marks = [pieces.Mark(frame, shot) for frame, shot in Best().shots(Shots(lengths))]
    begun, _ = pieces.divide(marks, longest=LONGEST, target=1, context=Best.context)
    return {piece.first: piece.behind for piece in begun}


@given(st.lists(st.integers(1, 70), min_size=1, max_size=25), st.integers(1, 90))
@settings(max_examples=60, deadline=None)
def test_pieces_end_with_segments_that_end_with_shots(lengths, target):
    source = Shots(lengths)
    found = leaps(source, target)
    ends = found.ends()
    if ends is None:
        assert max(lengths) > 6 * LONGEST // 20  # somebody must look at the long ones
        return
    assert found.count == sum(lengths)
    before = 0
    exact = segments(lengths)
    for index, behind in ends:
        assert index - before >= target
        place = None if behind is None else (behind.index, pieces._written(behind)[1])
        assert exact[index] == place
        before = index


def test_most_frames_are_not_seen():
    source = Shots([13] * 400)
    ends = leaps(source, 600).ends()
    assert [index for index, _ in ends] == [
        13 * 47,
        13 * 94,
        13 * 141,
        13 * 188,
        13 * 235,
        13 * 282,
        13 * 329,
        13 * 376,
    ]
    assert source.made < 0.1 * 13 * 400


def test_long_shots_are_looked_at_from_the_beginning():
    assert leaps(Shots([30, 4000]), 100).ends() is None


def test_a_clip_that_is_one_piece_is_only_decoded(make_clip, monkeypatch):
    from runtime.sources.file import FileSource

    monkeypatch.delattr(FileSource, "_picture")
    clip = make_clip("in.mp4", frames=40, size=(96, 64))
    plan = pieces.plan_pieces(clip, ClipOptions(stabilizer="best"))
    assert (plan.frames, plan.pieces) == (40, (pieces.Piece(0),))
