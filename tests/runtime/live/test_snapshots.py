"""Pictures saved by a key: under names that are free, and waited for with an end."""

import threading

import numpy as np
import pytest

from runtime.errors import SinkError
from runtime.live.snapshots import Snapshots
from runtime.pictures.reading import read_rgb

PICTURE = np.full((8, 8, 3), (10, 20, 30), np.uint8)


def test_names_are_safe_and_free(tmp_path):
    snapshots = Snapshots(tmp_path / "new")
    for _ in range(2):
        snapshots.save(PICTURE, "a/../\x1b]0;b\x07\u202ec\n")
    snapshots.close()
    assert len(set(snapshots.files)) == 2 == len(snapshots.news())
    for path in (tmp_path / "new").iterdir():
        assert path.name.isprintable() and path.name.startswith("impasto-a-..-0-b-c-2")
        assert (read_rgb(path) == PICTURE).all()


def test_a_folder_that_does_not_answer_is_not_waited_for(tmp_path):
    """Such as one of a server that went away: any access waits."""
    gate = threading.Event()

    class Away(type(tmp_path)):
        def mkdir(self, *_, **__):
            gate.wait(10)

    snapshots = Snapshots(Away(tmp_path))
    snapshots.save(PICTURE, "starry")
    for _ in range(30):  # nor are any number of pictures kept in memory for it
        snapshots.save(PICTURE, "starry")
    assert set(snapshots.news()) == {f'snapshot left out: "{tmp_path}" has 16 to write'}
    with pytest.raises(SinkError, match=r"has not taken 16 of them in 0\.05 s"):
        snapshots.close(0.05)
    gate.set()
