"""Whole shots: cuts, chunks, ranks, and the promises of `process`."""

from dataclasses import replace
from fractions import Fraction
from functools import partial
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.frame import Frame
from runtime.stabilizers import _flow, best, process
from runtime.stabilizers._blocks import spread
from runtime.stabilizers._book import Book
from runtime.stabilizers._canvas import Canvas
from runtime.stabilizers._handover import order
from runtime.stabilizers._pack import Blocks
from runtime.stabilizers._refine import RATE, closer
from runtime.stabilizers._shots import WINDOW, mark_cuts, read_chunks
from runtime.stabilizers._steps import Steps, invert
from runtime.stabilizers._team import Team
from runtime.stabilizers._tracks import Track, Tracker, middle_first
from runtime.stabilizers.best import SEARCH, Best

SIZE = (72, 96)
TILES = np.random.default_rng(5).integers(-45, 46, (16, 4, 4)).astype(np.int16)


def woven(image):
    """Texture glued to a 4-px grid, as strided networks make it."""
    height, width = image.shape[:2]
    cells = cv2.resize(image, (width // 4, height // 4))
    index = cells[..., 1].astype(int) // 7 % 16
    texture = TILES[index].transpose(0, 2, 1, 3).reshape(height, width)
    return np.clip(image // 2 + 60 + texture[..., None], 0, 255).astype(np.uint8)


def picture(seed):
    rng, result = np.random.default_rng(seed), np.zeros((180, 240), np.float32)
    for sigma in (2, 6, 20):
        noise = cv2.GaussianBlur(rng.normal(0, 1, (180, 240)).astype(np.float32), (0, 0), sigma)
        result += noise / noise.std()
    tint = np.float32([(1.3, 1, 0.7), (0.6, 1, 1.4), (0.7, 1.4, 0.9)][seed % 3])
    return np.clip((110 + 25 * result[..., None]) * tint, 0, 255).astype(np.uint8)


def shot(count, seed=0, step=2, first=0):
    """Frames of a camera moving right, with uneven times."""
    big = picture(seed)
    return [
        Frame(
            np.ascontiguousarray(big[10 : 10 + SIZE[0], 8 + step * t : 8 + step * t + SIZE[1]]),
            Fraction((first + t) ** 2, 30),
            first + t,
        )
        for t in range(count)
    ]


def change(pictures, step=2):
    inner = (slice(8, -8), slice(8, -12))
    pairs = pairwise(pictures)
    return np.mean(
        [np.square(np.roll(b, step, 1)[inner].astype(float) - a[inner]).mean() for a, b in pairs]
    )


def test_frames_come_back_one_for_one():
    frames = shot(5) + shot(4, seed=1, first=5)
    result = list(process(Best(), iter(frames), woven))
    assert [(f.index, f.time) for f in result] == [(f.index, f.time) for f in frames]
    assert all(f.image.shape == (*SIZE, 3) and f.image.dtype == np.uint8 for f in result)


def test_texture_moves_with_the_scene():
    frames = shot(16)
    result = [f.image for f in process(Best(), frames, woven)]
    assert change(result) < 0.1 * change([woven(f.image) for f in frames])


def test_long_shots_continue_over_chunks(monkeypatch):
    monkeypatch.setattr(best, "MAX_CHUNK", 10)
    frames = shot(30)
    result = [f.image for f in process(Best(), frames, woven)]
    raw = change([woven(f.image) for f in frames])
    assert change(result) < 0.2 * raw
    for boundary in (10, 20):
        assert change(result[boundary - 1 : boundary + 1]) < 0.3 * raw


@pytest.mark.parametrize("threads", [2, 4])
def test_any_number_of_threads_shows_the_same(monkeypatch, threads):
    monkeypatch.setattr(best, "MAX_CHUNK", 10)
    front, disc = picture(1), np.hypot(*(np.indices(SIZE) - np.reshape([36, 30], (2, 1, 1)))) < 14
    frames = shot(24) + shot(7, seed=2, first=24)
    for t, frame in enumerate(frames):  # an object, so that seams and uncovered places are there
        frame.image[np.roll(disc, 2 * t, 1)] = front[: SIZE[0], : SIZE[1]][np.roll(disc, 2 * t, 1)]

    def run(count):
        monkeypatch.setattr(best, "Team", partial(Team, count))
        return [frame.image for frame in process(Best(), frames, woven)]

    assert all(np.array_equal(a, b) for a, b in zip(run(1), run(threads), strict=True))


def test_network_is_called_once_per_frame_and_cuts_are_announced():
    events = []

    def paint(image):
        events.append("paint")
        return woven(image)

    frames = shot(6) + shot(7, seed=1, first=6)
    list(process(Best(), frames, paint, on_cut=lambda: events.append("cut")))
    assert events == ["paint"] * 6 + ["cut"] + ["paint"] * 7


def test_the_network_sees_the_frames_as_they_are():
    """Fewer strokes are painted on smoother pictures; one frame paints for long, noise and all."""
    frames, seen = shot(6), []
    list(process(Best(), frames, lambda image: seen.append(image) or woven(image)))
    assert all(np.array_equal(a.image, b) for a, b in zip(frames, seen, strict=True))


def test_what_stays_visible_beside_an_object_keeps_its_painter():
    back, front = picture(0), picture(1)
    disc = np.hypot(*(np.indices((120, 160)) - np.reshape([60, 60], (2, 1, 1)))) < 25
    frames = []
    for t in range(2):
        frames.append(back[20:140, 20 + t : 180 + t].copy())
        here = np.roll(disc, 3 * t, 1)
        frames[t][here] = np.roll(front[20:140, 20:180], 3 * t, 1)[here]
    book = Book(2, (120, 160))
    for page, frame in enumerate(frames):
        book.put(frame, page)
    tracker = Tracker(frames, np.arange(2), book)
    pair = tuple(_flow.to_gray(frame) for frame in frames)
    ((way, _),) = Steps(120, 160, SEARCH).measure([pair], Team(1))
    _, mask = tracker.follow(tracker.own(0), way, 1)
    lost = mask > 0
    moved = np.roll(disc, 3, 1)
    hid = ~moved & np.roll(disc, -1, 1)
    near = cv2.dilate(hid.astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    inner = np.zeros_like(hid)
    inner[4:-4, 4:-4] = True
    assert lost[hid].mean() > 0.7
    # ... but for the rim that dense flow drags along beside an object.
    assert lost[inner & ~near].mean() < 0.1


def test_zero_strength_is_the_network_alone():
    frames = shot(4)
    result = process(Best(0.0), frames, woven)
    assert all((r.image == woven(f.image)).all() for r, f in zip(result, frames, strict=True))


def test_more_stability_is_calmer():
    """At 3 px per frame: 2 would come back to the network's 4-px grid every second frame."""
    frames = shot(12, step=3)
    changes = [
        change([f.image for f in process(Best(strength), frames, woven)], 3)
        for strength in (0.0, 0.2, 0.4, 1.0)
    ]
    assert all(b < 0.8 * a for a, b in pairwise(changes))


@pytest.mark.parametrize("count", [0, 1, 2, 3])
def test_short_clips(count):
    assert len(list(process(Best(), shot(count), woven))) == count


def test_a_change_of_size_starts_a_shot():
    small = [Frame(np.ascontiguousarray(f.image[:40, :60]), f.time, f.index) for f in shot(3)]
    cuts = []
    result = list(process(Best(), shot(3) + small, lambda i: i, on_cut=lambda: cuts.append(1)))
    assert [f.image.shape[:2] for f in result] == [SIZE] * 3 + [(40, 60)] * 3
    assert cuts == [1]


def test_reads_ahead_no_more_than_promised(monkeypatch):
    monkeypatch.setattr(best, "MAX_CHUNK", 8)
    read = []

    def feed():
        for frame in shot(40, step=1):
            read.append(frame.index)
            yield frame

    for frame in process(Best(), feed(), woven):
        assert len(read) <= frame.index + 1 + 8 + WINDOW + 1


@pytest.mark.parametrize("where", ["frames", "network"])
def test_errors_pass_through(where):
    def feed():
        yield from shot(4)
        if where == "frames":
            raise OSError("disk")

    def paint(image):
        if where == "network":
            raise OSError("disk")
        return image

    with pytest.raises(OSError, match="disk"):
        list(process(Best(), feed(), paint))


def test_cuts_are_found_and_motion_is_not_one():
    frames = shot(8, step=3) + shot(8, seed=1, step=3) + shot(8, seed=2, step=3)
    starts = [t for t, (_, cut) in enumerate(mark_cuts(frames)) if cut]
    assert starts == [0, 8, 16]


@settings(deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 5))
def test_chunks_cover_every_frame_once(lengths, limit):
    flat = [
        Frame(np.full((8, 8, 3), 60 + 190 * (k % 2), np.uint8), Fraction(0), n)
        for k, length in enumerate(lengths)
        for n in range(length)
    ]
    chunks = list(read_chunks(flat, lambda h, w: limit))
    assert [f for chunk in chunks for f in chunk.frames] == flat
    assert all(1 <= len(chunk.frames) <= limit for chunk in chunks)


@settings(deadline=None)
@given(st.integers(1, 200))
def test_ranks_are_a_permutation_with_the_middle_first(count):
    ranks = middle_first(count)
    assert sorted(ranks) == list(range(count))
    assert ranks[count // 2] == 0


@pytest.mark.parametrize("size", [(360, 640), (720, 1280), (1080, 1920), (240, 320)])
def test_memory_bounds_the_chunk(size):
    h, w = _flow.flow_size(*size)
    frame = best.FRAME_BYTES * size[0] * size[1] + best.FLOW_BYTES * h * w
    assert best.chunk_limit(*size) * frame <= best.MEMORY_BYTES
    assert best.chunk_limit(360, 640) == best.MAX_CHUNK
    assert best.chunk_limit(2160, 3840) >= best.MIN_CHUNK


def test_a_still_shot_is_the_network_s_picture():
    frame = shot(1)[0]
    frames = [replace(frame, index=t) for t in range(8)]
    painted = woven(frame.image)
    result = [f.image for f in process(Best(), frames, woven)]
    assert all((image == painted).all() for image in result)


def test_the_same_bytes_on_any_number_of_threads():
    frames, results = shot(10, step=3), []
    before = cv2.getNumThreads()
    try:
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            results.append([f.image for f in process(Best(), frames, woven)])
    finally:
        cv2.setNumThreads(before)
    for other in results[1:]:
        assert all((a == b).all() for a, b in zip(results[0], other, strict=True))


def test_flow_back_of_a_whole_pixel_shift():
    """All moved by (3, -2): the way back is (-3, 2); what left the picture comes from nowhere."""
    flow = np.full((40, 60, 2), (3, -2), np.float32)
    back, covered = invert(flow, None, _flow.grid(40, 60))
    assert (back == (-3, 2)).all()
    assert covered[:, :2].all() and covered[-1].all()
    assert not covered[4:-4, 5:-2].any()


def test_flow_back_shows_what_the_front_covers():
    """A square moves by 4 to the left in front of a still wall (flow leads to where it was)."""
    front = np.zeros((40, 60), np.uint8)
    front[10:30, 20:40] = 255
    flow = np.zeros((40, 60, 2), np.float32)
    flow[front > 0] = (4, 0)
    back, covered = invert(flow, front, _flow.grid(40, 60))
    assert (back[12:28, 26:42] == (-4, 0)).all()  # the square, where it was
    assert covered[12:28, 21:23].all()  # the wall that it covers now
    assert (back[:, 46:] == 0).all() and not covered[:, 46:].any()


def test_a_step_goes_toward_the_truth():
    gray = _flow.to_gray(picture(0))
    shifted = cv2.warpAffine(
        gray, np.float32([[1, 0, 0.4], [0, 1, 0]]), gray.shape[::-1], flags=cv2.INTER_CUBIC
    )
    step = closer(gray, shifted)[20:-20, 20:-20]
    assert np.median(step[..., 0]) == pytest.approx(0.4 * RATE, rel=0.25)
    assert abs(np.median(step[..., 1])) < 0.02
    assert not closer(np.full_like(gray, 90), np.full_like(gray, 95)).any()


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(2, 7))
def test_a_book_keeps_its_pages(count, side):
    book, rng = Book(count, (side, side + 1)), np.random.default_rng(count)
    pages = rng.integers(0, 256, (count, side, side + 1, 3), np.uint8)
    for page, image in enumerate(pages):
        book.put(image, page)
    chosen = rng.integers(0, count, (side, side + 1), np.uint8)
    drawn = book.draw(np.zeros((*chosen.shape, 2), np.float32), chosen)
    y, x = np.indices(chosen.shape)
    assert (drawn == pages[chosen, y, x]).all()
    assert all((book.page(k) == pages[k]).all() for k in range(count))


def test_large_pages_stand_in_columns(monkeypatch):
    monkeypatch.setattr("runtime.stabilizers._book.MOST", 100)
    book = Book(5, (40, 30))
    for page in range(5):
        book.put(np.full((40, 30, 3), 50 * page, np.uint8), page)
    assert len({tuple(place) for place in book.places}) == 5
    assert all((book.page(k) == 50 * k).all() for k in range(5))


@pytest.mark.parametrize("size", [(36, 60), (50, 77)])
def test_two_painters_are_blended_where_they_meet(size):
    canvas = Canvas(2, size, (18, 30))
    for rank in range(2):
        canvas.book.put(np.full((*size, 3), 200 * rank, np.uint8), rank)
    rank = np.zeros((18, 30), np.uint8)
    rank[:, 15:] = 1
    drawn = canvas.draw(Track(np.zeros((18, 30, 2), np.float32), rank))
    row = drawn[size[0] // 2, :, 0].astype(int)
    step = size[1] / 30
    assert (row[: int(13 * step)] == 0).all() and (row[int(17 * step) + 1 :] == 200).all()
    assert (np.diff(row) >= 0).all() and np.diff(row).max() <= 52  # a quarter


def test_order_is_even_and_smooth():
    field = order(90, 160)
    assert field.min() == 0 and field.max() == 1
    assert np.histogram(field, 10, (0, 1))[0].std() < 2
    assert np.abs(np.diff(field, axis=1)).mean() < 0.05
    assert order(90, 160) is field and not field.flags.writeable


@pytest.mark.parametrize("size", [(36, 60), (50, 77), (18, 30)])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.3, 1.0])
def test_blocks_are_taken_out_and_put_back(size, share):
    rng = np.random.default_rng(3)
    mask = (rng.random((18, 30)) < share).astype(np.uint8) * 255
    mask[4, 7] = 255
    where, picture = spread(mask, size) > 0, rng.integers(0, 256, (*size, 3), np.uint8)
    blocks, before = Blocks(mask, size), picture.copy()
    assert blocks.take(picture).shape[:2] == blocks.take(picture[..., 0].copy()).shape
    blocks.put(picture, 255 - blocks.take(picture))
    assert (picture[where] == 255 - before[where]).all()
    assert (picture[~where] == before[~where]).all()
    # Places are those of the pixels, and what a flow pixel says holds for its block.
    x, y = rng.random((2, 18, 30)).astype(np.float32)
    found = np.zeros((2, *size), np.float32)
    for plane, packed in zip(found, blocks.places(x, y), strict=True):
        blocks.put(plane, packed)
    rows, columns = np.indices(size)
    assert np.allclose(found[0][where], (columns + spread(x, size))[where])
    assert np.allclose(found[1][where], (rows + spread(y, size))[where])
