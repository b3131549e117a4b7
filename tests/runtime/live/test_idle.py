"""What is said while no picture comes."""

from types import SimpleNamespace

from runtime.live.controls import Settings
from runtime.live.loop import MESSAGE_S, Show
from runtime.live.overlay import Stats


def quiet_parts(told):
    """As much of a run as a show needs that waits."""
    nothing = SimpleNamespace(news=list)
    preview = SimpleNamespace(publish=lambda stats, *_, **__: told.append(stats.messages))
    return SimpleNamespace(
        outputs=SimpleNamespace(preview=preview, window=None, recorder=nothing, snapshots=nothing),
        capture=SimpleNamespace(status="", name="camera 7"),
        styles=SimpleNamespace(note="", labels=["one"], partner=lambda style: None),
        pipeline=SimpleNamespace(choice=SimpleNamespace(threads=1)),
        **dict(cameras=None, script=(), rotate=0.0, quiet=True),
    )


def test_a_lost_camera_is_said_in_one_line_until_it_is_back(monkeypatch):
    told, clock = [], [100.0]
    monkeypatch.setattr("runtime.live.loop.time.perf_counter", lambda: clock[0])
    parts = quiet_parts(told)
    show = Show(parts, Settings(), (64, 48))
    show.last = object()
    monkeypatch.setattr(show, "_stats", lambda: Stats(messages=tuple(show._current_messages())))
    for attempt in (1, 2):
        parts.capture.status = f"camera 7: no picture, trying again ({attempt})"
        show._idle()
        assert told[-1] == (parts.capture.status,)
        clock[0] += 2 * MESSAGE_S
    show._idle()
    assert told[-1] == (parts.capture.status,)
    parts.capture.status = ""
    clock[0] += 1
    show._idle()
    assert told[-1] == ("camera 7 is back",)
    clock[0] += 2 * MESSAGE_S
    show._idle()
    assert told[-1] == ()
