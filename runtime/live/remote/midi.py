"""MIDI in: `--midi` for the first device, `--midi NAME` for another (mido, python-rtmidi)."""

import queue
from importlib import import_module
from typing import Protocol, cast

from ...errors import EngineUnavailable, UsageError
from .table import of_midi


class Message(Protocol):
    """A message as mido gives it; which of the numbers are there depends on its type."""

    type: str
    control: int
    program: int
    note: int
    value: int
    velocity: int


class _Port(Protocol):
    def close(self) -> None: ...


class MidiInput:
    """Listens to a device; used as a context.

    Args:
        name: of the device or the beginning of it; "" for the first.
        actions: where what it sends goes.

    Attributes:
        name: of the device.

    Raises:
        UsageError: no such device.
        EngineUnavailable: the system has no MIDI.
    """

    def __init__(self, name: str, actions: "queue.SimpleQueue[str]") -> None:
        mido = import_module("mido")
        import_module("rtmidi")  # what mido works with; named here so that its absence is said
        self._actions = actions
        try:
            known = cast("list[str]", mido.get_input_names())
        except Exception as error:  # rtmidi raises its own kinds, by system
            raise EngineUnavailable(f"this system has no MIDI: {error}") from None
        fitting = [each for each in known if each.lower().startswith(name.lower())]
        if not fitting:
            there = f"there is {', '.join(known)}" if known else "none is plugged in"
            raise UsageError(f'--midi "{name}": no such device; {there}')
        self.name = fitting[0]
        self._port = cast("_Port", mido.open_input(self.name, callback=self.receive))

    def receive(self, message: Message) -> None:
        """What the device sent, in a thread of the driver's."""
        kind = message.type
        if kind == "control_change":
            action = of_midi(kind, message.control, message.value)
        elif kind == "program_change":
            action = of_midi(kind, message.program, 0)
        elif kind == "note_on":
            action = of_midi(kind, message.note, message.velocity)
        else:
            return
        if action is not None:
            self._actions.put(action)

    def close(self) -> None:
        """Let the device go."""
        self._port.close()

    def __enter__(self) -> "MidiInput":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
