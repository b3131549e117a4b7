"""What a repository is written for: how many run at once, how much may wait, on what."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from runtime.errors import UsageError
from runtime.fields import is_whole

CHOICES = {"device": ("cpu", "gpu"), "graph": ("onnxruntime", "python")}


@dataclass(frozen=True)
class Settings:
    """The target's `--option`s; each field's name is its key.

    Attributes:
        device: "cpu" or "gpu": where the instances run.
        instances: of each model.
        at_once: pictures painted at the same time on the whole server (rate limit).
        batch: pictures in one request; of the float graph, most that the server puts together.
        delay_ms: that a picture of the float graph waits for others to be put together with.
        queue: requests of a model that may wait; those after them are refused.
        streams: sequences of one instance at the same time.
        idle_s: a silent sequence is ended after this many seconds.
        threads: of each instance; 0 leaves it to the engine (all cores).
        max_pixels: of a picture; 2^24 is 4096x4096.
        quality: of JPEG answers, 1..100.
        graph: what runs the float graph: Triton's own "onnxruntime", or "python": ONNX Runtime in
            our runtime's environment, for servers that have no backend for ONNX.
        environment: path, on the server, of a packed Python environment for the models that run in
            our runtime; "" takes the server's own Python.
    """

    device: str = "cpu"
    instances: int = 1
    at_once: int = 1
    batch: int = 8
    delay_ms: int = 2
    queue: int = 256
    streams: int = 8
    idle_s: int = 60
    threads: int = 0
    max_pixels: int = 2**24
    quality: int = 95
    graph: str = "onnxruntime"
    environment: str = ""


# Whole numbers and what they may be; a thousand of anything on one server is a slip of a finger.
RANGES = {
    "instances": (1, 1000),
    "at_once": (1, 1000),
    "batch": (1, 1000),
    "delay_ms": (0, 10_000),
    "queue": (1, 1_000_000),
    "streams": (1, 1000),
    "idle_s": (1, 86_400),
    "threads": (0, 1000),
    "max_pixels": (1, 2**30),
    "quality": (1, 100),
}


def read(extra: Mapping[str, str]) -> Settings:
    """Read `--option KEY=VALUE`; as many pictures at once as one model has instances, unless said.

    Raises:
        UsageError: a value that is not allowed.
    """
    settings = Settings()
    for field in fields(Settings):
        if field.name in extra:
            settings = replace(settings, **{field.name: _value(field.name, extra[field.name])})
    if "at_once" not in extra:
        settings = replace(settings, at_once=settings.instances)
    return settings


def _value(key: str, text: str) -> str | int:
    if key in CHOICES:
        if text not in CHOICES[key]:
            raise UsageError(f"--option {key}={text}: allowed are {', '.join(CHOICES[key])}")
        return text
    if key == "environment":
        return text
    least, most = RANGES[key]
    if not is_whole(text) or not least <= int(text) <= most:
        raise UsageError(f"--option {key}={text}: allowed is a whole number, {least} to {most}")
    return int(text)
