"""A clip or a camera: each frame is painted after the one before, and strokes keep still.

One sequence of requests is one stream. Its first request begins it, each gets one response, and
what is remembered is freed with the last request, or when a stream has not been heard of for
`idle_s` seconds and another needs its place: Triton forgets such streams without a word to us.
"""

import time
from dataclasses import dataclass

import numpy as np
import served
import triton_python_backend_utils as pb_utils

from impasto import StyleSession
from impasto.runtime import plugins, stabilizers
from impasto.runtime.clips.steady import SteadyPainter
from impasto.runtime.errors import UsageError
from impasto.runtime.model.conditions import Condition
from impasto.runtime.model.stylizer import Effects, Stylizer

STABILIZER = "live"


@dataclass
class Stream:
    """What one sequence remembers; `heard` is when it last sent something (monotonic seconds)."""

    session: StyleSession
    model: Stylizer
    painter: SteadyPainter
    heard: float


class TritonPythonModel:
    """See https://github.com/triton-inference-server/python_backend for who calls what."""

    def initialize(self, args: dict[str, str]) -> None:
        """Open the model once; further streams at the same time open it again."""
        self._settings = served.Settings(args)
        self._free = [self._settings.open()]
        self._card = self._free[0].card
        self._streams: dict[int, Stream] = {}

    def execute(self, requests: list["pb_utils.InferenceRequest"]) -> None:
        """One response for each request, in the order of each stream."""
        for request in requests:
            sender = request.get_response_sender()
            answer = served.response(self._answer, request)
            sender.send(answer, flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)

    def finalize(self) -> None:
        """Free all models."""
        for session in (*self._free, *(stream.session for stream in self._streams.values())):
            session.close()

    def _answer(self, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        name = int(given["stream"].flat[0])
        try:
            if given["begin"].flat[0]:
                self._end(name)
                self._begin(name, served.conditions(given, self._card))
            return self._paint(name, given) if "image" in given else {}
        finally:
            if given["end"].flat[0]:
                self._end(name)

    def _begin(self, name: int, conditions: dict[str, Condition]) -> None:
        self._forget_silent()
        session = self._free.pop() if self._free else self._settings.open()
        session.reset()
        model = Stylizer([(session, 1.0)], Effects(conditions=conditions))
        painter = SteadyPainter(model, plugins.load(stabilizers, STABILIZER)(1.0))
        self._streams[name] = Stream(session, model, painter, time.monotonic())

    def _paint(self, name: int, given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        stream = self._streams.get(name)
        if stream is None:
            raise UsageError(f"stream {name} is not known (any more); begin it anew")
        image = given["image"]
        served.check_size(image.shape, self._settings.number("max_pixels"))
        stream.heard = time.monotonic()
        styled = stream.painter.paint(image)
        return {"styled": styled, "cut": np.array([stream.painter.begins])}

    def _end(self, name: int) -> None:
        stream = self._streams.pop(name, None)
        if stream is not None:
            self._free.append(stream.session)

    def _forget_silent(self) -> None:
        latest = time.monotonic() - self._settings.number("idle_s")
        for name in [name for name, stream in self._streams.items() if stream.heard < latest]:
            self._end(name)
