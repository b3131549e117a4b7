"""Painted frames in slots: what is put is taken, also by the next run, and damage is seen."""

import numpy as np
import pytest

from runtime.clips.kept_frames import HEADER, KeptFrames


def picture(seed, size=(4, 6)):
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


def same(found, seed, begins, size=(4, 6)):
    assert found is not None
    return np.array_equal(found[0], picture(seed, size)) and found[1] is begins


@pytest.fixture
def frames(tmp_path):
    made = KeptFrames(tmp_path)
    yield made
    made.close()
    made.close()  # twice is fine


def test_the_next_run_takes_what_was_put(frames, tmp_path):
    for frame in range(3):
        frames.put(0, frame, picture(frame), begins=frame == 1)
    frames.put(1, 1, picture(9), begins=True)
    frames.put(0, 3, picture(3, (8, 2)), begins=False)  # of another size
    for kept in (frames, KeptFrames(tmp_path)):
        assert all(same(kept.take(0, frame), frame, frame == 1) for frame in range(3))
        assert same(kept.take(1, 1), 9, True)
        assert same(kept.take(0, 3), 3, False, (8, 2))
        assert kept.has(0, 2) and not kept.has(0, 4) and not kept.has(1, 0)
        assert kept.take(0, 4) is None
        found = kept.take(0, 0)
        assert found is not None
        found[0][:] = 0  # the caller's own


def test_slots_are_written_over(frames, tmp_path):
    for frame in range(100):
        frames.put(0, frame, picture(frame), begins=False)
        frames.forget(frame - 3)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == 5 * (HEADER.size + 4 * 6 * 3)
    assert not frames.has(0, 95) and frames.has(0, 96)
    after = KeptFrames(tmp_path)
    assert all(same(after.take(0, frame), frame, False) for frame in range(96, 100))


def test_a_frame_that_is_put_again_keeps_its_slot(frames, tmp_path):
    frames.put(0, 5, picture(1), begins=False)
    frames.put(0, 5, picture(2), begins=True)
    assert same(KeptFrames(tmp_path).take(0, 5), 2, True)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == HEADER.size + 4 * 6 * 3


@pytest.mark.parametrize("at", range(0, 2 * (HEADER.size + 72), 7))
def test_every_flipped_bit_is_found(tmp_path, at):
    before = KeptFrames(tmp_path)
    for frame in range(2):
        before.put(0, frame, picture(frame), begins=False)
    before.close()
    (path,) = tmp_path.iterdir()
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    after = KeptFrames(tmp_path)
    hit = at // (HEADER.size + 72)
    assert after.take(0, hit) is None
    assert same(after.take(0, 1 - hit), 1 - hit, False)
    after.put(0, hit, picture(7), begins=True)
    assert same(after.take(0, hit), 7, True)


def test_a_write_that_was_cut_off_is_not_there(frames, tmp_path):
    frames.put(0, 0, picture(0), begins=False)
    frames.put(0, 1, picture(1), begins=False)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-10])
    after = KeptFrames(tmp_path)
    assert same(after.take(0, 0), 0, False)
    assert after.take(0, 1) is None


def test_files_that_are_none_of_ours_are_left_alone(tmp_path):
    for name in ("frames.painted", "frames.0.x.painted", "frames.0.0x0.painted"):
        (tmp_path / name).write_bytes(b"something else")
    assert not KeptFrames(tmp_path).has(0, 0)


def test_remove_gives_the_room_back(frames, tmp_path):
    frames.put(0, 0, picture(0), begins=False)
    frames.remove()
    assert not list(tmp_path.iterdir())
    assert frames.take(0, 0) is None
