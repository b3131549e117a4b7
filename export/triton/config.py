"""One config.pbtxt for each kind of model, built as Triton's own protobuf: a wrong name or type is
an error here, and not on the server."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from runtime.card import KEY, ModelCard

from .settings import Settings
from .tensors import (
    CUT,
    FILE,
    IMAGE,
    PAINTED,
    STILL,
    STYLED,
    Tensor,
    conditions,
    graph,
    noise,
)

# Protobuf makes this class when it is loaded: no type checker knows it.
ModelConfig = Any

GRAPH = "model.onnx"
DECODE, ENCODE = "picture_decode", "picture_encode"
# Resource that each instance takes one of while it paints; the server's command says how many.
PAINTERS = "painters"
# Side of the style picture of a warm-up, the smallest that any encoder of ours takes whole.
STYLE_SIDE = 64


def picture_model(
    name: str, card: ModelCard, parameters: Mapping[str, str], settings: Settings, size: Size
) -> ModelConfig:
    """Pictures in, painted pictures out, in our runtime."""
    inputs = [IMAGE, *conditions(card), *noise(card)]
    config = _config(name, inputs, [STYLED], settings.batch, {**_session(card), **parameters})
    config.backend = "python"
    _instances(config, settings)
    _queue(config, settings)
    # Our runtime paints one after the other: two requests are served sooner by two instances.
    config.dynamic_batching.preferred_batch_size.append(1)
    _warm_up(config, inputs, size)
    _tags(config, card)
    return config


def stream_model(
    name: str, card: ModelCard, parameters: Mapping[str, str], settings: Settings
) -> ModelConfig:
    """Frames in, painted and steady frames out; one sequence is one stream. A request without a
    picture may end it."""
    image = Tensor(IMAGE.name, IMAGE.type, IMAGE.dims, optional=True)
    # Conditions come with the first frame.
    late = [Tensor(tensor.name, tensor.type, tensor.dims, True) for tensor in conditions(card)]
    config = _config(name, [image, *late], [STYLED, CUT], 0, {**_session(card), **parameters})
    config.backend = "python"
    config.model_transaction_policy.decoupled = True
    _instances(config, settings)
    batching = config.sequence_batching
    batching.max_sequence_idle_microseconds = settings.idle_s * 1_000_000
    batching.oldest.max_candidate_sequences = settings.streams
    kinds = type(batching).Control().Kind
    for tensor, kind in (
        ("begin", kinds.CONTROL_SEQUENCE_START),
        ("end", kinds.CONTROL_SEQUENCE_END),
    ):
        control = batching.control_input.add(name=tensor).control.add(kind=kind)
        control.int32_false_true.extend((0, 1))
    control = batching.control_input.add(name="stream").control.add()
    control.kind, control.data_type = kinds.CONTROL_SEQUENCE_CORRID, _type("UINT64")
    _tags(config, card)
    return config


def decode_model(parameters: Mapping[str, str], settings: Settings) -> ModelConfig:
    """Picture files in, pixels out, and that they are stills."""
    return _helper(DECODE, FILE, [IMAGE, STILL], parameters, settings)


def encode_model(parameters: Mapping[str, str], settings: Settings) -> ModelConfig:
    """Pixels in, JPEG files out."""
    return _helper(ENCODE, STYLED, [FILE], parameters, settings)


def file_ensemble(name: str, painter: str, card: ModelCard) -> ModelConfig:
    """A picture file in, a painted JPEG file out: decode, paint, encode."""
    given = conditions(card)
    config = _config(name, [FILE, *given], [PAINTED], 1, _facts(card))
    config.platform = "ensemble"
    steps = config.ensemble_scheduling.step
    decoded = {tensor.name: tensor.name for tensor in (IMAGE, *noise(card))}
    through = decoded | {tensor.name: tensor.name for tensor in given}
    for model, taken, made in (
        (DECODE, {"file": "file"}, decoded),
        (painter, through, {"styled": "styled"}),
        (ENCODE, {"styled": "styled"}, {"file": "painted"}),
    ):
        step = steps.add(model_name=model, model_version=-1)
        step.input_map.update(taken)
        step.output_map.update(made)
    _tags(config, card)
    return config


def onnx_model(
    name: str, card: ModelCard, parameters: Mapping[str, str], settings: Settings, size: Size
) -> ModelConfig:
    """The float graph in Triton's own ONNX Runtime, or in ours where it has none, with a free batch
    axis; the caller pads."""
    inputs, outputs = graph(card.inputs), graph(card.outputs)
    config = _config(name, inputs, outputs, settings.batch, {**_facts(card), **parameters})
    config.backend = settings.graph
    if settings.graph == "onnxruntime":
        config.default_model_filename = GRAPH
    else:
        limits = {"threads": settings.threads, "max_pixels": settings.max_pixels}
        for key, value in {"model": GRAPH, **limits}.items():
            config.parameters[key].string_value = str(value)
    _instances(config, settings)
    _batching(config, settings)
    _warm_up(config, inputs, size)
    if settings.device == "gpu" and settings.graph == "onnxruntime":
        accelerator = config.optimization.execution_accelerators.gpu_execution_accelerator.add()
        accelerator.name = "tensorrt"
        # Engines are built at the first picture of a size, which takes minutes: keep them.
        accelerator.parameters.update(
            {
                "precision_mode": "FP16",
                "trt_engine_cache_enable": "true",
                "trt_engine_cache_path": "/var/cache/impasto",
            }
        )
    _tags(config, card)
    return config


def plan_model(name: str, card: ModelCard, settings: Settings) -> ModelConfig:
    """A TensorRT plan; ours are built for one picture at a time."""
    inputs, outputs = graph(card.inputs, 1), graph(card.outputs, 1)
    config = _config(name, inputs, outputs, 0, _facts(card))
    config.platform = "tensorrt_plan"
    config.default_model_filename = "model.plan"
    _instances(config, settings, device="gpu")
    _tags(config, card)
    return config


def _helper(
    name: str,
    taken: Tensor,
    made: Sequence[Tensor],
    parameters: Mapping[str, str],
    settings: Settings,
) -> ModelConfig:
    config = _config(name, [taken], made, 1, parameters)
    config.backend = "python"
    _instances(config, settings, device="cpu", limited=False)
    _queue(config, settings)
    return config


def _config(
    name: str,
    inputs: Sequence[Tensor],
    outputs: Sequence[Tensor],
    batch: int,
    parameters: Mapping[str, str],
) -> ModelConfig:
    config = messages().ModelConfig(name=name, max_batch_size=batch)
    for tensor in inputs:
        config.input.add(
            name=tensor.name,
            data_type=_type(tensor.type),
            dims=tensor.dims,
            optional=tensor.optional,
        )
    for tensor in outputs:
        config.output.add(name=tensor.name, data_type=_type(tensor.type), dims=tensor.dims)
    for key, value in parameters.items():
        config.parameters[key].string_value = value
    return config


def messages() -> Any:
    """Triton's protobuf messages."""
    return importlib.import_module("tritonclient.grpc.model_config_pb2")


def _type(name: str) -> int:
    return messages().DataType.Value(f"TYPE_{name}")


def _instances(
    config: ModelConfig, settings: Settings, device: str = "", limited: bool = True
) -> None:
    group = config.instance_group.add(count=settings.instances)
    device = device or settings.device
    group.kind = group.KIND_GPU if device == "gpu" else group.KIND_CPU
    if limited:
        # Of the whole server, not of each GPU.
        group.rate_limiter.resources.add(name=PAINTERS, count=1, **{"global": True})


def _batching(config: ModelConfig, settings: Settings) -> None:
    _queue(config, settings)
    config.dynamic_batching.max_queue_delay_microseconds = settings.delay_ms * 1000


def _queue(config: ModelConfig, settings: Settings) -> None:
    """Refuse what cannot be served soon: a caller can ask another server, or do without."""
    config.dynamic_batching.default_queue_policy.max_queue_size = settings.queue


def _warm_up(config: ModelConfig, inputs: Iterable[Tensor], size: Size) -> None:
    """One picture of the size that will be asked for, before the server says that it is ready."""
    width, height = size
    sample = config.model_warmup.add(name="one picture", batch_size=1)
    for tensor in inputs:
        if tensor.optional:
            continue
        free = iter((height, width) if tensor.name == "image" else (STYLE_SIDE, STYLE_SIDE))
        given = sample.inputs[tensor.name]
        given.data_type = _type(tensor.type)
        given.dims.extend(next(free) if axis == -1 else axis for axis in tensor.dims)
        given.random_data = True


def _facts(card: ModelCard) -> dict[str, str]:
    """What a client may want to know, readable by Triton's "model configuration" call."""
    names = next((port.names for port in card.inputs if port.names), ())
    image = card.port("image")
    facts = {
        "title": card.style.get("title", ""),
        "artist": card.style.get("artist", ""),
        "styles": ", ".join(names),
        "license": card.license,
        "precision": card.precision,
        "multiple_of": str(card.multiple_of),
        "minimum": str(card.minimum),
        "range": f"{image.low:g} to {image.high:g}",
    }
    return {key: value for key, value in facts.items() if value}


def _session(card: ModelCard) -> dict[str, str]:
    """The same for `runtime.engines._triton`, too, which opens a session on it."""
    return {**_facts(card), KEY: card.to_json()}


def _tags(config: ModelConfig, card: ModelCard) -> None:
    """Labels of the model's metrics."""
    config.metric_tags.update({"style": card.name, "precision": card.precision})


Size = tuple[int, int]
