"""Switching styles: in the background, newest wish wins, failures leave a note."""

import threading
import time

import numpy as np
import pytest
from waiting import PATIENCE_S, wait_for

import runtime.live.styles
from runtime.errors import CardMismatch, StyleError
from runtime.live.styles import KEPT, Entry, Key, Styles
from runtime.model.variants import ON_CPU, Variant


class FakeStylizer:
    device = "cpu"
    clock = 0.0  # seconds that all pictures painted so far would have taken

    def __init__(self, name, seconds=0.0):
        self.name, self.seconds, self.closed = name, seconds, False
        self.known = {"scene": np.array(name)}

    def stylize(self, image, **_):
        FakeStylizer.clock += self.seconds
        return image

    def state(self):
        return self.known

    def resume(self, state):
        self.known = state

    def close(self):
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


@pytest.fixture
def opened():
    return {}


def entries(opened, *names):
    def entry(name):
        def open_it(variant, threads):
            if name.startswith("bad"):
                raise CardMismatch(f"{name} is damaged")
            opened[name] = FakeStylizer(name)
            return opened[name]

        return Entry(name, open_it)

    return [entry(name) for name in names]


def test_the_old_style_goes_on_until_the_new_one_is_there(opened):
    gate = threading.Event()
    slow = FakeStylizer("slow")

    def open_slowly(variant, threads):
        gate.wait(PATIENCE_S)
        return slow

    styles = Styles([*entries(opened, "first"), Entry("slow", open_slowly)])
    styles.open_first(Key(0))
    styles.select(Key(1))
    assert styles.take().stylizer.name == "first"
    gate.set()
    wait_for(lambda: styles.take().style == 1)
    assert styles.take().stylizer is slow
    assert not opened["first"].closed
    styles.close()
    assert slow.closed
    assert opened["first"].closed


def test_a_style_that_fails_leaves_a_note_and_can_be_left(opened):
    styles = Styles(entries(opened, "one", "bad", "three"))
    styles.open_first(Key(0))
    styles.select(Key(1))
    wait_for(lambda: styles.note)
    assert "bad is damaged" in styles.note
    assert styles.take().style == 0
    styles.select(Key(2))
    assert styles.note == ""
    wait_for(lambda: styles.take().style == 2)
    styles.close()


def test_a_style_that_failed_is_not_opened_again_for_every_frame(opened):
    tries = []

    def fail(variant, threads):
        tries.append(1)
        raise CardMismatch("it is damaged")

    styles = Styles([*entries(opened, "one"), Entry("two", fail)])
    styles.open_first(Key(0))
    for _ in range(50):
        styles.select(Key(1))
        styles.take()
        time.sleep(0.001)
    wait_for(lambda: "damaged" in styles.note)
    assert len(tries) == 1
    styles.close()


def test_a_neighbor_that_breaks_in_a_way_nobody_thought_of_does_not_end_the_show(opened):
    def explode(variant, threads):
        raise ZeroDivisionError("bug")

    styles = Styles([*entries(opened, "one"), Entry("two", explode)])
    styles.open_first(Key(0))
    styles.select(Key(1))
    wait_for(lambda: styles.note)
    assert styles.note == "two: ZeroDivisionError: bug"
    assert styles.take().style == 0
    styles.close()


def test_a_style_that_opens_but_cannot_paint_gives_way_to_the_one_before(opened):
    styles = Styles(entries(opened, "one", "two"))
    styles.open_first(Key(0))
    styles.select(Key(1))
    wait_for(lambda: styles.take().style == 1)
    broken = styles.take()
    assert styles.give_up(broken.key, StyleError("it gave no picture")).style == 0
    assert opened["two"].closed
    styles.select(Key(1))  # the keys still ask for it, frame by frame
    assert styles.take().style == 0
    assert styles.note == "two: it gave no picture"
    with pytest.raises(StyleError, match="nothing is left"):
        styles.give_up(Key(0), StyleError("nothing is left"))
    styles.close()


def test_few_looks_stay_open_and_the_one_in_use_is_never_closed(opened):
    names = [f"style{k}" for k in range(6)]
    styles = Styles(entries(opened, *names))
    styles.open_first(Key(0))
    for k in range(1, 6):
        styles.select(Key(k))
        wait_for(lambda k=k: styles.take().style == k)
        styles.take()
        assert not opened[f"style{k}"].closed
    assert sum(not stylizer.closed for stylizer in opened.values()) <= KEPT
    styles.close()
    assert all(stylizer.closed for stylizer in opened.values())


def test_the_first_style_raises_at_once(opened):
    with pytest.raises(CardMismatch):
        Styles(entries(opened, "bad")).open_first(Key(0))


def variants(tmp_path, opened, seconds):
    """A style of several files; `seconds` maps (grade, precision) to the time of a picture."""
    files = [Variant(tmp_path / f"{g}-{p}.onnx", "s", g, p) for g, p in seconds]

    def open_it(variant, threads):
        time = list(seconds.values())[variant]
        if time is None:
            raise CardMismatch("it is damaged")
        opened[variant, threads] = FakeStylizer(files[variant].label, time)
        return opened[variant, threads]

    return Entry("s", open_it, files, ON_CPU)


def test_files_are_compared_and_a_broken_one_is_never_cheap(monkeypatch, tmp_path, opened):
    monkeypatch.setattr(runtime.live.styles, "thread_time", lambda: FakeStylizer.clock)
    seconds = {
        ("quality", "int8"): None, ("default", "fp32"): 0.5, ("default", "int8"): 0.25,
        ("fast", "int8"): 0.125,
    }  # fmt: skip
    styles = Styles([variants(tmp_path, opened, seconds)])
    assert (styles.order(0), styles.first(0), styles.first(0, "fast")) == ([0, 2, 3], 2, 3)
    styles.open_first(Key(0, styles.first(0), 1))
    assert list(opened) == [(2, 1)]  # only the one that is wanted
    styles.survey(0)
    wait_for(lambda: 0 in styles.costs)
    assert styles.costs[0][1:] == [1.0, 0.5, 0.25]
    assert np.isinf(styles.costs[0][0])
    assert "damaged" in styles.note
    styles.close()


def test_a_file_that_cannot_be_opened_is_no_choice_any_more(tmp_path, opened):
    seconds = {("quality", "int8"): None, ("default", "int8"): 0.0}
    styles = Styles([variants(tmp_path, opened, seconds)])
    styles.open_first(Key(0, 1, 1))
    styles.select(Key(0, 0, 1))
    wait_for(lambda: styles.note)
    assert styles.order(0) == [1]
    assert styles.take().key == Key(0, 1, 1)
    styles.close()


def test_other_threads_are_another_opening_of_the_same_file(tmp_path, opened):
    styles = Styles([variants(tmp_path, opened, {("default", "int8"): 0.0})])
    styles.open_first(Key(0, 0, 1))
    styles.select(Key(0, 0, 2))
    wait_for(lambda: styles.take().key.threads == 2)
    assert set(opened) == {(0, 1), (0, 2)}
    assert opened[0, 2].known is opened[0, 1].known  # it goes on with the scene
    styles.select(Key(0, 0, 1))
    assert styles.take().key.threads == 1  # still open
    styles.close()


def test_a_second_style_is_opened_beside_the_first_and_kept(opened):
    styles = Styles(entries(opened, *"abcdefg"))
    styles.open_first(Key(0))
    wait_for(lambda: styles.beside(Key(6)) is not None)
    for style in range(1, 6):
        styles.select(Key(style))
        wait_for(lambda style=style: styles.take().style == style)
    assert styles.beside(Key(6)).style == 6
    assert not styles.beside(Key(6)).stylizer.closed
    styles.close()


def test_the_rest_is_painted_as_before_until_its_next_file_is_open(tmp_path, opened):
    """One frame of a session showed the bare wall: the key of the second style had changed."""
    files = {("default", "int8"): 0.0, ("fast", "int8"): 0.0}
    styles = Styles([*entries(opened, "a"), variants(tmp_path, opened, files)])
    styles.open_first(Key(0))
    assert styles.beside(Key(1, 0, 1)) is None  # nothing was there before
    wait_for(lambda: styles.beside(Key(1, 0, 1)) is not None)
    first = styles.beside(Key(1, 0, 1))
    for key in (Key(1, 0, 2), Key(1, 1, 2)):
        assert styles.beside(key) is not None
        wait_for(lambda key=key: styles.beside(key).key == key)
    assert opened[0, 2].known is first.stylizer.known  # other threads go on with the scene
    assert opened[1, 2].known is not first.stylizer.known  # another file begins anew
    assert styles.beside(None) is None
    assert styles.beside(Key(1, 0, 3)) is None  # what ended does not come back for a moment
    styles.close()


def test_styles_of_one_model_mix_and_others_do_not():
    def entry(name, painting="", files=()):
        return Entry(name, lambda variant, threads: None, files, painting=painting)

    one = (object(),)
    styles = Styles([entry("a", "a", one), entry("b", "b", one), entry("c")])
    assert styles.mixture(0, 0.25) == [("a", 0.75), ("b", 0.25)]
    assert styles.mixture(0, 0.0) is None
    assert styles.mixture(1, 0.5) is None
    assert styles.partner(2) is None


def test_a_style_opened_ahead_is_there_at_once_and_a_broken_one_is_not_spoken_of(opened):
    styles = Styles(entries(opened, "a", "bad", "c"))
    styles.open_first(Key(0))
    styles.ahead(Key(1))
    styles.ahead(Key(2))
    wait_for(lambda: "c" in opened)
    assert styles.note == ""
    wait_for(lambda: Key(2) in styles._open)
    styles.select(Key(2))
    assert styles.take().style == 2
    styles.select(Key(1))
    wait_for(lambda: "bad" in styles.note)
    styles.close()
