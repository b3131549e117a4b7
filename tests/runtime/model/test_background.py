import os
import threading

import pytest

from runtime.engines._scratch import scratch
from runtime.model.background import Aside


def test_work_goes_on_beside_its_maker():
    gate = threading.Event()
    work = Aside(lambda: gate.wait(10) and threading.current_thread().name, "helper")
    gate.set()
    assert work.result() == "helper"
    assert work.result() == "helper"  # as often as asked


def test_an_error_is_raised_where_the_result_is_wanted():
    def fail():
        raise KeyError("lost")

    work = Aside(fail, "helper")
    assert work.wait(10)
    with pytest.raises(KeyError, match="lost"):
        work.result()


def test_a_wait_has_an_end():
    gate = threading.Event()
    work = Aside(lambda: gate.wait(10), "helper")
    assert not work.wait(0.01)
    gate.set()
    assert work.result() and work.wait(0)


@pytest.mark.parametrize("in_memory", [True, False])
def test_what_was_written_to_a_scratch_file_is_read_back(in_memory, monkeypatch):
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create", raising=False)
    with scratch() as file:
        with open(file.path, "wb") as stream:
            stream.write(b"graph")
        assert file.read() == b"graph"
    if not in_memory:
        assert not os.path.exists(file.path)
