"""The pool gives out no buffer twice while somebody holds it."""

import numpy as np

from runtime.pictures.buffers import Pool


def test_a_dropped_buffer_comes_back_and_a_held_one_does_not():
    pool = Pool()
    first = pool.take(4, 6, 3)
    second = pool.take(4, 6, 3)
    assert not np.shares_memory(first, second)
    address = first.ctypes.data
    del first
    assert pool.take(4, 6, 3).ctypes.data == address


def test_a_view_protects_its_buffer():
    pool = Pool()
    view = pool.take(8, 8, 3)[2:, ::2]
    again = [pool.take(8, 8, 3) for _ in range(4)]
    assert not any(np.shares_memory(view, other) for other in again)


def test_over_the_limit_it_still_delivers_and_another_shape_starts_anew():
    pool = Pool(limit=2)
    held = [pool.take(2, 2, 3) for _ in range(5)]
    assert len({a.ctypes.data for a in held}) == 5
    assert pool.take(1, 1, 3).shape == (1, 1, 3)
