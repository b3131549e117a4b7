"""What is written over the picture stays readable, inside, and off the rest of the picture."""

import numpy as np
import pytest

from runtime.live.overlay import Stats, draw_help, draw_messages, draw_stats, text_lines

STATS = Stats(
    fps=23.4,
    target_fps=30.0,
    latency_ms=41.0,
    latency_p95_ms=60.0,
    stages_ms={"decode": 2.0, "style": 48.0, "stabilize": 9.0, "show": 1.0},
    style="1 starry",
    strength=0.7,
    size=(1280, 720),
    working=(640, 360),
    every=2,
    engine="onnxruntime cpu",
    stabilizer="on",
    dropped=5,
    arrived=100,
    held=False,
    recording=61.0,
)


def canvas(width=640, height=480):
    return np.full((height, width, 3), 100, np.uint8)


def test_the_text_says_everything():
    text = "\n".join(text_lines(STATS))
    for part in ("23.4 of 30 fps", "41 ms (p95 60)", "1 starry", "70 %", "640x360 of 1280x720"):
        assert part in text
    for part in ("every 2nd frame", "onnxruntime cpu", "dropped 5 (5.0 %)", "is not held"):
        assert part in text
    assert STATS.bottleneck == "style"
    assert Stats().bottleneck == ""


def test_only_panels_are_touched():
    image = canvas(1280, 720)
    draw_stats(image, STATS)
    assert (image != 100).any()
    assert (image[360:] == 100).all()
    assert (image[60:, 700:] == 100).all()
    draw_messages(image, ["saved a.png"])
    assert (image[400:640] == 100).all()
    assert (image[-5:] != 100).any()


@pytest.mark.parametrize("size", [(1, 1), (16, 9), (160, 120), (3840, 2160), (120, 2000)])
def test_any_size_is_survived(size):
    image = canvas(*size)
    draw_stats(image, STATS)
    draw_messages(image, ["one", "two"])
    draw_help(image)
    assert image.shape == (size[1], size[0], 3)


def test_no_messages_cost_nothing():
    image = canvas()
    draw_messages(image, [])
    assert (image == 100).all()
