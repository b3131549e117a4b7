"""The folders of a model repository: what each model gets, and the files in them."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.card import ModelCard, beside
from runtime.checksum import sha256
from runtime.errors import ParityError, UsageError
from runtime.inputs import inside
from runtime.model import formats, variants
from runtime.model.session import open_session

from . import batch_axis, config
from .config import ModelConfig, messages
from .settings import Settings

SERVED = Path(__file__).resolve().parent / "served"
CONFIG = "config.pbtxt"
# Names stand in paths of requests, in the page's script and in folders.
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
PLAN = ".engine"
GRAPH = config.GRAPH


@dataclass
class Made:
    """What was put into a repository.

    Attributes:
        models: name -> its configuration.
        notes: what was left out and why, one line each.
    """

    models: dict[str, ModelConfig] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write(models: Sequence[Path], folder: Path, settings: Settings, size: tuple[int, int]) -> Made:
    """Write everything that each model can be served as.

    Args:
        models: ONNX files of one style each, or TensorRT plans (.engine).
        folder: the repository.
        settings: see there.
        size: (width, height) of the warm-up.

    Raises:
        UsageError: two models of one name, a name that is none, a plan that Triton cannot load, a
            file of another kind.
    """
    made = Made()
    for path in models:
        if formats.suffix_of(path) == PLAN:
            _write_plan(path, folder, settings, made)
        else:
            _write_model(path, folder, settings, size, made)
    if any(each.platform == "ensemble" for each in made.models.values()):
        limits = {
            **_environment(settings),
            "max_pixels": str(settings.max_pixels),
            "quality": str(settings.quality),
        }
        _add(made, folder, config.decode_model(limits, settings), "decode.py")
        _add(made, folder, config.encode_model(limits, settings), "encode.py")
    return made


def _write_model(
    path: Path, folder: Path, settings: Settings, size: tuple[int, int], made: Made
) -> None:
    """A model as pictures, files, streams, and in float as a graph of Triton's own."""
    with open_session(path, device="cpu") as session:
        card, engine = session.card, session.engine
    if engine != "onnxruntime":
        raise UsageError(f'"{path.name}" runs on {engine}; a server is given ONNX files and plans')
    name = path.stem
    parameters = _parameters(path, settings)
    picture = config.picture_model(name, card, parameters, settings, size)
    stream = config.stream_model(f"{name}_stream", card, parameters, settings)
    for model, code in ((picture, "picture.py"), (stream, "stream.py")):
        version = _add(made, folder, model, code)
        for file in _files(path, card):
            shutil.copyfile(file, version / file.name)
    _add(made, folder, config.file_ensemble(f"{name}_jpeg", name, card))
    exact = float_counterpart(path, card)
    if exact is None:
        made.notes.append(
            f"no {name}_fp32: no float32 file of this network lies beside {path.name}"
        )
    elif len(card.inputs) > 1:
        made.notes.append(f"no {name}_fp32: its graph takes more than a picture")
    else:
        _write_graph(exact, f"{name}_fp32", folder, settings, size, made)


def _write_graph(
    path: Path, name: str, folder: Path, settings: Settings, size: tuple[int, int], made: Made
) -> None:
    with open_session(path, device="cpu") as session:
        card = session.card
    ours = settings.graph == "python"
    model = config.onnx_model(name, card, _environment(settings) if ours else {}, settings, size)
    version = _add(made, folder, model, "graph.py" if ours else "")
    batch_axis.write(path, version / GRAPH)


def _write_plan(path: Path, folder: Path, settings: Settings, made: Made) -> None:
    """A TensorRT plan, as it was built."""
    from runtime.engines.tensorrt.library import TENSORRT
    from runtime.engines.tensorrt.plan import read_facts

    facts = read_facts(path)
    if facts.library != TENSORRT:
        raise UsageError(
            f'"{path.name}" was built by {facts.library}, Triton loads plans of {TENSORRT}: '
            "--target tensorrt --option library=tensorrt"
        )
    card = ModelCard.from_json(beside(path).read_text(encoding="utf-8"), f'"{path}"')
    name = f"{path.name.removesuffix(PLAN)}_trt"
    version = _add(made, folder, config.plan_model(name, card, settings))
    shutil.copyfile(path, version / "model.plan")
    made.notes.append(f"{name} needs the TensorRT of {facts.describe()}")


def float_counterpart(path: Path, card: ModelCard) -> Path | None:
    """The float32 file of a model's style and grade in the same folder: itself, if it is one."""
    if card.precision == "fp32":
        return path
    own = variants.variant_of(path, card)
    beside_it = variants.styles_in(path.parent, path.suffix, own.style).get(own.style, [])
    same = (v for v in beside_it if (v.grade, v.precision) == (own.grade, "fp32"))
    return next((variant.path for variant in same), None)


def _parameters(path: Path, settings: Settings) -> Mapping[str, str]:
    """What `served/` reads of its configuration, and which file it was written for."""
    return {
        **_environment(settings),
        "model": path.name,
        "sha256": sha256(path),
        "threads": str(settings.threads),
        "max_pixels": str(settings.max_pixels),
        "idle_s": str(settings.idle_s),
    }


def _environment(settings: Settings) -> Mapping[str, str]:
    """Where Triton's Python backend finds our runtime, unless it is in the server's own Python."""
    return {"EXECUTION_ENV_PATH": settings.environment} if settings.environment else {}


def _files(path: Path, card: ModelCard) -> list[Path]:
    """The model, and what its card says belongs beside it."""
    companions = {port.companion for port in card.inputs if port.companion}
    others = [inside(path.parent, name, "the card") for name in sorted(companions)]
    return [path, *others, *([beside(path)] if beside(path).is_file() else [])]


def _add(made: Made, folder: Path, model: ModelConfig, code: str = "") -> Path:
    """Write a model's configuration, and its code if it has some; its version's folder."""
    from google.protobuf import text_format

    if not NAME.fullmatch(model.name):
        raise UsageError(
            f'"{model.name}" is no name for a model of a server: letters, digits, "_", "-" and "." '
            "are, up to 128; give the file another name"
        )
    if model.name in made.models:
        raise UsageError(f'two models would be called "{model.name}"; give them other file names')
    made.models[model.name] = model
    version = folder / model.name / "1"
    version.mkdir(parents=True)
    text = text_format.MessageToString(model)
    (folder / model.name / CONFIG).write_text(text, encoding="utf-8")
    if code:
        shutil.copyfile(SERVED / code, version / "model.py")
        shutil.copyfile(SERVED / "served.py", version / "served.py")
    return version


def read(folder: Path) -> dict[str, ModelConfig]:
    """The configurations of a repository, parsed as the server does.

    Raises:
        ParityError: one that is no configuration, that bears another name than its folder, or whose
            files are not there.
    """
    from google.protobuf import text_format

    found: dict[str, ModelConfig] = {}
    for path in sorted(folder.iterdir()):
        try:
            config = text_format.Parse((path / CONFIG).read_text("utf-8"), messages().ModelConfig())
        except (OSError, text_format.ParseError) as error:
            raise ParityError(f"{path.name}/{CONFIG}: {error}") from None
        files = {"python": "model.py"}.get(config.backend, config.default_model_filename)
        named = [files, config.parameters["model"].string_value] if files else []
        absent = [name for name in named if name and not (path / "1" / name).is_file()]
        steps = [step.model_name for step in config.ensemble_scheduling.step]
        absent += [name for name in steps if not (folder / name).is_dir()]
        if config.name != path.name or absent:
            raise ParityError(
                f"{path.name} is called {config.name} and lacks {absent or 'nothing'}"
            )
        found[path.name] = config
    return found


def check_graph(path: Path, config: ModelConfig) -> None:
    """Compare an ONNX graph with its configuration, as the server's backend will.

    Raises:
        ParityError: a name, a type or a shape differs.
    """
    import onnxruntime as ort

    kinds = {
        "tensor(float)": "TYPE_FP32",
        "tensor(float16)": "TYPE_FP16",
        "tensor(uint8)": "TYPE_UINT8",
    }
    session = ort.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    sides = ((session.get_inputs(), config.input), (session.get_outputs(), config.output))
    for graph, told in sides:
        theirs = [
            (each.name, kinds.get(each.type), [a if isinstance(a, int) else -1 for a in each.shape])
            for each in graph
        ]
        ours = [
            (each.name, messages().DataType.Name(each.data_type), [-1, *each.dims]) for each in told
        ]
        if theirs != ours:
            raise ParityError(f"{path.name} has {theirs}, its configuration says {ours}")
