"""Control desks: what OSC and MIDI messages mean, and OSC over the loopback."""

import importlib
import math
import queue
import re
import sys
import threading
import types
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import UsageError
from runtime.keys import ACTIONS, action_named
from runtime.live.controls import MOST_ACTIONS, Settings, apply, newest
from runtime.live.remote import midi, table
from runtime.live.remote.table import of_midi, of_osc

PATIENCE_S = 20.0


@pytest.mark.parametrize(
    ("address", "values", "action"),
    [
        ("/impasto/strength", [0.4], "strength 0.4"),
        ("/impasto/strength", [7], "strength 1"),
        ("/impasto/stability", [0], "stability 0"),
        ("/impasto/style", [3], "style 3"),
        ("/impasto/style", [3.0], "style 3"),
        ("/impasto/beside", [0], "beside 0"),
        ("/impasto/split", [1.0], "split on"),
        ("/impasto/split", [0], "split off"),
        ("/impasto/split", [], "split"),
        ("/impasto/split", ["on"], "split on"),
        ("/impasto/record", [True], "record on"),
        ("/impasto/part", ["person"], "part person"),
        ("/impasto/next", [], "next"),
        ("/impasto/next", [1.0], "next"),
        ("/impasto/next", [0.0], None),  # the button was let go
    ],
)
def test_osc(address, values, action):
    assert of_osc(address, values) == action


@pytest.mark.parametrize(
    ("address", "values"),
    [
        ("/strength", [0.5]),
        ("/impasto/strenght", [0.5]),
        ("/impasto/style", [1.5]),
        ("/impasto/style", [0]),
        ("/impasto/quit", []),
        ("/impasto/q", [1]),
        ("/impasto/esc", []),
        ("/impasto/part", ["people"]),
        ("/impasto/strength", [math.nan]),
        ("/impasto/style", [math.inf]),
        ("/impasto/strength", [-math.inf]),
        ("/impasto/record", [2**80]),
        ("/impasto/strength", [b"\0"]),
    ],
)
def test_osc_that_means_nothing(address, values):
    with pytest.raises(UsageError):
        of_osc(address, values)


@given(
    st.text(max_size=12).map("/impasto/".__add__)
    | st.sampled_from(sorted(ACTIONS)).map("/impasto/".__add__),
    st.lists(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)),
)
def test_any_osc_message_is_refused_or_an_action(address, values):
    try:
        action = of_osc(address, values)
    except UsageError:
        return
    if action is not None:
        assert isinstance(apply(Settings(), action, 3), Settings)


@pytest.mark.parametrize(
    ("message", "action"),
    [
        (("control_change", 1, 127), "strength 1.000"),
        (("control_change", 2, 0), "mix 0.000"),
        (("control_change", 99, 5), None),
        (("program_change", 4, 0), "style 5"),
        (("note_on", 36, 90), "next"),
        (("note_on", 36, 0), None),  # MIDI's other way to let a note go
        (("note_on", 20, 90), None),
    ],
)
def test_midi(message, action):
    assert of_midi(*message) == action
    assert action is None or action_named(action)


def test_every_pad_and_knob_is_an_action():
    assert all(action_named(word) for word in table.NOTES)
    assert all(action_named(f"{word} 1") for word in table.CONTROLS.values())


def test_messages_of_mido():
    mido = pytest.importorskip("mido")
    port = midi.MidiInput.__new__(midi.MidiInput)  # without a device
    port._actions = queue.SimpleQueue()
    for message in (
        mido.Message("control_change", control=1, value=64),
        mido.Message("program_change", program=1),
        mido.Message("note_on", note=38, velocity=1),
        mido.Message("note_off", note=38),
        mido.Message("pitchwheel", pitch=1),
    ):
        port.receive(message)
    found = [port._actions.get() for _ in range(port._actions.qsize())]
    assert found == ["strength 0.504", "style 2", "freeze"]


def test_a_flood_of_commands_is_cut_to_the_newest():
    """The loop took one after the other, before the next picture, as long as any came."""
    actions = queue.SimpleQueue()
    for action in ("quit", *["record", "snapshot", "next"] * 1000, "strength 0.4"):
        actions.put(action)
    found, left_out = newest(actions)
    assert actions.empty() and left_out == 3002 - MOST_ACTIONS
    assert found[0] == "quit" and found[-1] == "strength 0.4"
    assert found.count("record") == found.count("snapshot") == 1 and found.count("next") == 33
    assert newest(actions) == ([], 0)


def test_osc_over_the_loopback():
    pytest.importorskip("pythonosc")
    from pythonosc.udp_client import SimpleUDPClient

    from runtime.live.remote.osc import OscInput

    actions: queue.SimpleQueue[str] = queue.SimpleQueue()
    with OscInput("127.0.0.1:0", actions) as listening:
        client = SimpleUDPClient("127.0.0.1", listening.port)
        for address, value in (
            ("/impasto/style", 2),
            ("/nonsense", 1),
            ("/impasto/strength", 0.25),
            ("/impasto/record", 1),
        ):
            client.send_message(address, value)
        found = [actions.get(timeout=PATIENCE_S) for _ in range(3)]
    assert found == ["style 2", "strength 0.25", "record on"]
    assert actions.empty()


def test_datagrams_that_are_no_osc_are_one_line(capfd):
    pytest.importorskip("pythonosc")
    import random
    import socket

    from pythonosc.udp_client import SimpleUDPClient

    from runtime.live.remote.osc import OscInput

    actions: queue.SimpleQueue[str] = queue.SimpleQueue()
    hostile = [
        b"/\x9d\xff\0,\0\0\0",
        b"#bundle\0" + bytes(8) + b"\x7f\xff\xff\xff",
        b"#bundle\0" * 50,
    ]
    hostile += [random.Random(seed).randbytes(1 + seed * 7) for seed in range(60)]
    with (
        OscInput("127.0.0.1:0", actions, quiet=False) as listening,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plug,
    ):
        for data in hostile:
            plug.sendto(data, ("127.0.0.1", listening.port))
        SimpleUDPClient("127.0.0.1", listening.port).send_message("/impasto/style", 2)
        assert actions.get(timeout=PATIENCE_S) == "style 2"
    printed = capfd.readouterr()
    assert printed.err.count("--osc: what came is no OSC message") == 1
    assert "Traceback" not in printed.out + printed.err


def test_osc_for_everybody_must_be_asked_for():
    pytest.importorskip("pythonosc")
    from runtime.live.remote.osc import OscInput

    with pytest.raises(UsageError, match="--allow-network"):
        OscInput("0.0.0.0:0", queue.SimpleQueue())


def test_the_page_has_every_address_and_note():
    """docs/guide/webcam.md tells what the table does."""
    page = (Path(__file__).resolve().parents[3] / "docs" / "guide" / "webcam.md").read_text("utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `/impasto/")]
    told = "\n".join(rows)
    words = {*table.NOTES, *table.CONTROLS.values(), "style"}
    assert all(f"`/impasto/{word}" in told for word in words)
    for number, word in enumerate(table.NOTES, table.FIRST_NOTE):
        assert any(word in row and str(number) in row for row in rows), word
    for row in rows:
        for written in re.findall(r"`(/impasto/[^`]+)`", row):
            address, _, value = written.partition(" ")
            values = [float(value)] if re.fullmatch("[0-9.]+", value) else [value] if value else []
            assert of_osc(address, values)


@pytest.fixture
def driver(monkeypatch):
    """mido with a driver that exists in memory only: two desks, and how their messages arrive."""
    mido = pytest.importorskip("mido")
    ports = importlib.import_module("mido.ports")
    opened = {}

    class Input(ports.BaseInput):
        def _open(self, callback=None, **_):
            self.send, opened[self.name] = callback, self

    module = types.ModuleType("memory_midi")
    module.Input = Input
    module.get_devices = lambda **_: [
        {"name": name, "is_input": True, "is_output": False} for name in ("Knobs 1", "Pads 2")
    ]
    monkeypatch.setitem(sys.modules, "rtmidi", types.ModuleType("rtmidi"))
    monkeypatch.setitem(sys.modules, "memory_midi", module)
    mido.set_backend("memory_midi")
    yield opened
    mido.set_backend("mido.backends.rtmidi")


def test_a_desk_is_found_by_its_name_and_heard(driver):
    mido = pytest.importorskip("mido")
    actions = queue.SimpleQueue()
    with midi.MidiInput("pads", actions) as port:
        assert port.name == "Pads 2"
        thread = threading.Thread(  # a driver calls from a thread of its own
            target=lambda: [
                driver["Pads 2"].send(message)
                for message in (
                    mido.Message("note_on", note=36, velocity=90),
                    mido.Message("control_change", control=7, value=127),
                )
            ]
        )
        thread.start()
        thread.join()
    assert driver["Pads 2"].closed and "Knobs 1" not in driver
    assert [actions.get() for _ in range(actions.qsize())] == ["next", "strength 1.000"]


def test_a_desk_that_is_not_there(driver):
    with pytest.raises(UsageError, match="there is Knobs 1, Pads 2"):
        midi.MidiInput("faders", queue.SimpleQueue())
    with midi.MidiInput("", queue.SimpleQueue()) as port:
        assert port.name == "Knobs 1"
