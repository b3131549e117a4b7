"""A model that runs on a Triton server, as an engine (`runtime.model.session.open_remote`).

The server must have been given what `python -m export --target triton` writes. Its picture models
(`starry`) paint each picture for itself; its stream models (`starry_stream`) remember, keep strokes
still by themselves, and are told where a stream ends.
"""

import importlib
import queue
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Protocol, cast

import numpy as np

from .. import plugins
from ..card import KEY, ModelCard, Port
from ..errors import CardMismatch, EngineUnavailable, StyleError, UsageError
from ..fields import is_whole
from . import TensorInfo

ENGINE = "triton"
# Schemes of an address, and whether they are encrypted.
SCHEMES = {"grpc": False, "grpcs": True}
# Seconds until a server must have said what it has, and until it must have painted a picture: a
# picture of 16 million pixels takes a slow core a minute, and others may wait before it.
HELLO_S, PICTURE_S = 10.0, 300.0
TYPES = {"uint8": "UINT8", "float32": "FP32"}


class _Answer(Protocol):
    """An `InferResult`."""

    def as_numpy(self, name: str) -> np.ndarray:
        """One output."""
        ...


class _Client(Protocol):
    """What is used of tritonclient's `InferenceServerClient`, which has no types of its own."""

    def get_model_repository_index(self, *, client_timeout: float) -> Any:
        """What there is."""
        ...

    def get_model_config(self, model_name: str, *, client_timeout: float) -> Any:
        """The configuration of one model."""
        ...

    def infer(self, model_name: str, inputs: Sequence[object], *, client_timeout: float) -> _Answer:
        """One request, one answer."""
        ...

    def start_stream(self, callback: Callable[[_Answer, Exception | None], None]) -> None:
        """Open a connection in both directions."""
        ...

    def async_stream_infer(
        self,
        model_name: str,
        inputs: Sequence[object],
        *,
        sequence_id: int,
        sequence_start: bool,
        sequence_end: bool,
    ) -> None:
        """Send one request of a sequence."""
        ...

    def stop_stream(self, cancel_requests: bool) -> None:
        """Close that connection."""
        ...

    def close(self) -> None:
        """Close everything."""
        ...


@dataclass(frozen=True, slots=True)
class Served:
    """One model of a server.

    Attributes:
        address: "grpc://host:8001".
        model: its name there.
        card: what it takes and gives, as bytes in rows (the server pads and converts).
        steady: whether it is a stream model.
        sha256: of the file that it paints with.
    """

    address: str
    model: str
    card: ModelCard
    steady: bool
    sha256: str


def connect(address: str, model: str) -> "tuple[RemoteModel, Served]":
    """Open a model of a server.

    Args:
        address: "grpc://host:8001"; "grpcs://" is encrypted.
        model: its name there, "starry_stream".

    Raises:
        UsageError: no such address.
        EngineUnavailable: tritonclient is not installed, or nobody answers there.
        CardMismatch: the server has no such model, or none for pictures or frames.
    """
    client = _connect(address)
    try:
        served = _ask(client, address, model)
        return (RemoteStream if served.steady else RemoteModel)(client, served), served
    except BaseException:
        client.close()
        raise


class RemoteModel:
    """An `Engine` whose graph is a picture model of a server."""

    note = ""
    device = "remote"

    def __init__(self, client: _Client, served: Served) -> None:
        self._client, self._served = client, served
        self.metadata: dict[str, str] = {}
        self.inputs = tuple(_info(port) for port in served.card.inputs)
        self.outputs = tuple(_info(port) for port in served.card.outputs)

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """One picture. Raises StyleError with the server's own line."""
        given = [_tensor(name, _in_batch(value)) for name, value in feeds.items()]
        with _words(self._served.address):
            answer = self._client.infer(self._served.model, given, client_timeout=PICTURE_S)
        return {"styled": answer.as_numpy("styled")}

    def close(self) -> None:
        """End the connection; may be called twice."""
        self._client.close()


class RemoteStream(RemoteModel):
    """The same with a stream model: pictures are frames, one after the other."""

    def __init__(self, client: _Client, served: Served) -> None:
        super().__init__(client, served)
        self._answers: queue.SimpleQueue[tuple[_Answer, Exception | None]] = queue.SimpleQueue()
        self._stream = 0
        self.begins_scene = True

    def run(
        self, feeds: dict[str, np.ndarray], outputs: Sequence[str] | None = None
    ) -> dict[str, np.ndarray]:
        """The next frame; what else the model takes goes with the first one."""
        first = self._stream == 0
        if first:
            self._stream = _new_stream()
            self._client.start_stream(lambda result, error: self._answers.put((result, error)))
        wanted = feeds if first else {"image": feeds["image"]}
        given = [_tensor(name, _one(value)) for name, value in wanted.items()]
        answer = self._send(given, first)
        self.begins_scene = bool(answer.as_numpy("cut")[0])
        return {"styled": answer.as_numpy("styled")[None]}

    def reset(self) -> None:
        """End the stream; the next frame begins another one."""
        if self._stream == 0:
            return
        with suppress(StyleError):  # it has ended by itself, or with its server
            self._send([], False, last=True)
        self._stop()

    def close(self) -> None:
        """End the stream and the connection; may be called twice."""
        self.reset()
        super().close()

    def _send(self, given: Sequence[object], first: bool, last: bool = False) -> _Answer:
        self._client.async_stream_infer(
            self._served.model,
            given,
            sequence_id=self._stream,
            sequence_start=first,
            sequence_end=last,
        )
        try:
            answer, error = self._answers.get(timeout=PICTURE_S)
        except queue.Empty:
            self._stop()
            raise StyleError(
                f"{self._served.address} has not answered for {PICTURE_S:.0f} s"
            ) from None
        if error is not None:
            self._stop()
            with _words(self._served.address):
                raise error
        return answer

    def _stop(self) -> None:
        self._stream = 0
        self._client.stop_stream(cancel_requests=True)
        self._answers = queue.SimpleQueue()


def _new_stream() -> int:
    """A number that no other caller of the server has: 63 random bits."""
    return uuid.uuid4().int >> 65 | 1


def _connect(address: str) -> _Client:
    scheme, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    if scheme not in SCHEMES or not host or not is_whole(port) or "/" in host:
        raise UsageError(f'server "{address}": allowed is grpc://HOST:PORT, or grpcs:// encrypted')
    if not (plugins.installed("tritonclient") and plugins.installed("grpc")):
        raise EngineUnavailable("tritonclient is not installed: pip install 'tritonclient[grpc]'")
    return cast(_Client, _library().InferenceServerClient(place, ssl=SCHEMES[scheme]))


def _library() -> ModuleType:
    """tritonclient, which comes without types; it takes most of a second to load."""
    return importlib.import_module("tritonclient.grpc")


def _ask(client: _Client, address: str, model: str) -> Served:
    """What the server says of a model."""
    try:
        with _words(address):
            index = client.get_model_repository_index(client_timeout=HELLO_S)
            ready = sorted({str(e.name) for e in index.models if e.state == "READY"})
    except StyleError as error:
        raise EngineUnavailable(str(error)) from None
    if model not in ready:
        raise CardMismatch(f'{address} has no "{model}".{plugins.suggest(model, ready)}')
    with _words(address):
        config = client.get_model_config(model, client_timeout=HELLO_S).config
    parameters: Mapping[str, str] = {
        str(key): str(value.string_value) for key, value in config.parameters.items()
    }
    if KEY not in parameters or config.platform == "ensemble":
        raise CardMismatch(
            f'"{model}" on {address} is not for frames; take a model that --target triton wrote '
            "for pictures or streams, as starry or starry_stream"
        )
    card = ModelCard.from_json(parameters[KEY], f'"{model}"')
    steady = bool(config.HasField("sequence_batching"))
    return Served(address, model, as_served(card), steady, parameters.get("sha256", ""))


def as_served(card: ModelCard) -> ModelCard:
    """The card of a model, as a server offers it: bytes in, bytes out, any size; a style picture in
    place of its code, because the server has the encoder."""
    picture = Port("image", "image", (1, "H", "W", 3), "uint8", "NHWC", high=255.0)
    inputs = [picture]
    for port in card.inputs:
        if port.role == "scalar":
            inputs.append(port)
        elif port.role == "style" or port.companion:
            inputs.append(replace(picture, name="style", role="style"))
        elif port.role == "code":
            inputs.append(replace(port, name="code"))
    styled = replace(picture, name="styled")
    return replace(
        card, inputs=tuple(inputs), outputs=(styled,), multiple_of=1, minimum=1, target=ENGINE
    )


def _info(port: Port) -> TensorInfo:
    return TensorInfo(port.name, port.shape, port.dtype)


def _in_batch(value: np.ndarray) -> np.ndarray:
    """A tensor of one picture; numbers get an axis for it."""
    return value[None] if value.ndim == 1 else value


def _one(value: np.ndarray) -> np.ndarray:
    """The same without that axis."""
    return value if value.ndim == 1 else value[0]


def _tensor(name: str, value: np.ndarray) -> object:
    tensor = _library().InferInput(name, list(value.shape), TYPES[str(value.dtype)])
    tensor.set_data_from_numpy(np.ascontiguousarray(value))
    return tensor


@contextmanager
def _words(address: str) -> Generator[None, None, None]:
    """Turn the client's errors into one line that names the server."""
    try:
        yield
    except _library().InferenceServerException as error:
        line = " ".join(str(error.message()).split())[:300]
        # A caller's fault has the server's line, which says what is allowed.
        wrong = str(error.status()) == "StatusCode.INVALID_ARGUMENT"
        raise (UsageError if wrong else StyleError)(f"{address}: {line}") from None
