"""How the cores are shared: on a simulated machine the better share is found, and kept."""

import itertools

import pytest

from runtime.live.controller import Controller, Window
from runtime.live.ladder import ladder
from runtime.live.split import AGAIN_S, Split, candidates

CORES = 2
SIZE = (1280, 720)


def test_candidates():
    assert [candidates(cores) for cores in (1, 2, 4, 16)] == [[1], [1, 2], [2, 3, 4], [8, 15, 16]]


class TwoCores:
    """A network of `style` and other stages of `others` core-milliseconds at full size.

    With one thread the network has a core and everything else the other one. With two threads it
    waits for the stages that hold its second core, the more the busier they are: the factor makes
    35.6 ms of 13.3 where that core is never free.
    """

    def __init__(self, style, others, camera_fps=30.0):
        self.style, self.others, self.camera_fps = style, others, camera_fps

    def run(self, choice, seconds=0.5):
        share = choice.pixels / (SIZE[0] * SIZE[1])
        work, others = self.style * share, self.others * share
        style = work
        if choice.threads == 2:
            busy = min(1.0, others / work)
            style = work / 1.9 * (1 + 4 * busy)
        every = choice.every
        frame = max(style / every, others, (work / every + others) / CORES)
        shown = min(self.camera_fps, 1000 / frame) * seconds
        return Window(
            seconds,
            style,
            {"stabilize": others},
            {},
            round(self.camera_fps * seconds),
            max(1, round(shown)),
            {"style": work / max(1, choice.threads), "stabilize": others},
        )


def drive(machine, seconds, controller=None):
    controller = controller or Controller(
        30, ladder(*SIZE), split=Split(candidates(CORES), 1, CORES), cores=CORES
    )
    made = []
    for _ in range(int(seconds * 2)):
        controller.update(machine.run(controller.choice))
        made.append(controller.choice)
    return controller, made


def changes(made):
    return sum(a != b for a, b in itertools.pairwise(made))


def test_a_large_network_gets_both_cores_and_a_larger_picture():
    controller, made = drive(TwoCores(100, 5), 60)
    assert controller.choice.threads == 2
    assert controller.held
    single = Controller(30, ladder(*SIZE))
    for _ in range(120):
        single.update(TwoCores(100, 5).run(single.choice))
    assert controller.choice.pixels > single.choice.pixels
    assert changes(made[60:]) <= 2
    assert set(controller.tried) == {1, 2}


def test_alike_stages_keep_a_core_each():
    """The trial that is worth its while at most once shows nothing gained, and is not repeated."""
    controller, made = drive(TwoCores(50, 45), 120)
    assert controller.choice.threads == 1
    assert sum(choice.threads == 2 for choice in made) <= 2 * 2


def test_no_trial_where_the_picture_is_the_best_already():
    controller, made = drive(TwoCores(20, 4), 60)
    assert {choice.threads for choice in made} == {1}
    assert controller.choice.pixels == SIZE[0] * SIZE[1]


def test_another_program_or_a_recording_brings_the_second_core_back():
    machine = TwoCores(100, 5)
    controller, _ = drive(machine, 60)
    assert controller.choice.threads == 2
    machine.others = 90
    controller, made = drive(machine, 120, controller)
    assert controller.choice.threads == 1
    shown = [machine.run(choice).shown for choice in made[120:]]
    assert sum(count >= 14 for count in shown) > 0.9 * len(shown)  # 15 are 30 per second


def test_failed_trials_become_rare():
    split = Split([1, 2], 1, 2)
    started = []
    for step in range(4 * 300):  # ten minutes of windows in which two threads gain nothing
        before = split.trying
        split.update(0.5, 40.0, 40.0, 2.0, cramped=True)
        if split.trying and not before:
            started.append(step * 0.5)
    gaps = [b - a for a, b in itertools.pairwise(started)]
    assert len(started) <= 6
    assert gaps[0] >= AGAIN_S
    assert gaps == sorted(gaps)
    assert split.threads == 1


@pytest.mark.parametrize("when", ["before", "during"])
def test_a_disturbed_trial_is_no_trial(when):
    split = Split([1, 2], 1, 2)
    while not split.trying:
        split.update(0.5, 40.0, 40.0, 2.0, cramped=True)
    if when == "during":
        split.update(0.5, 20.0, 20.0, 2.0, cramped=True)
    split.disturb()
    assert (split.threads, split.trying) == (1, False)
