"""Which engine reads which kind of file, known without importing any engine, and opening it.

An engine module says it in constants of its class: `suffixes` of the files it reads, and `beside`,
the further file each of them needs. They are read from the source text, so that finding a model by
its name never loads a library, and a broken engine harms only those who ask for it.
"""

from functools import lru_cache
from pathlib import Path

from .. import engines, plugins
from ..errors import UsageError

# Takes files that several engines read, and those of unknown kind (to say what is wrong with them).
DEFAULT = "onnxruntime"
# In place of an engine's name: by the file's suffix; and the one that is measured to be fastest.
AUTO, FASTEST = "auto", "fastest"


@lru_cache(maxsize=1)
def readers() -> dict[str, tuple[str, ...]]:
    """Suffix -> engines that read such files, the one taken by "auto" first."""
    found: dict[str, list[str]] = {}
    declared = plugins.constants(engines, "suffixes")
    for name in sorted(declared, key=lambda name: (name != DEFAULT, name)):
        for suffix in declared[name]:
            found.setdefault(suffix, []).append(name)
    return {suffix: tuple(names) for suffix, names in found.items()}


@lru_cache(maxsize=1)
def companions() -> dict[str, str]:
    """Suffix -> suffix of the second file that such a model consists of."""
    found: dict[str, str] = {}
    for needs in plugins.constants(engines, "beside").values():
        found |= needs
    return found


def suffixes() -> tuple[str, ...]:
    """All suffixes of model files, those of the default engine first."""
    return tuple(readers())


def suffix_of(path: Path) -> str:
    """The known suffix a file name ends in (the longest one), "" if none."""
    fitting = [suffix for suffix in readers() if path.name.endswith(suffix)]
    return max(fitting, key=len, default="")


def bare_name(path: Path) -> str:
    """A model's name without the suffix of its kind: `starry` of `starry.ncnn.param`."""
    return path.name.removesuffix(suffix_of(path)) if suffix_of(path) else path.stem


def beside(path: Path) -> Path | None:
    """The second file this model needs, None if its kind is complete in one."""
    suffix = suffix_of(path)
    needed = companions().get(suffix)
    return path.with_name(path.name.removesuffix(suffix) + needed) if needed else None


def is_model(path: Path) -> bool:
    """Whether this is there, complete, and of a kind that an engine reads.

    A file like `starry.engine.onnx` is none: it is part of `starry.engine`.
    """
    suffix = suffix_of(path)
    if not suffix or suffix_of(Path(path.name.removesuffix(suffix))):
        return False
    if not (path.is_file() or path.is_dir()):  # nothing, or a pipe that nobody writes to
        return False
    other = beside(path)
    return other is None or other.is_file()


def choose(path: Path, engine: str = "auto") -> str:
    """The name of the engine for a file.

    Args:
        path: the model.
        engine: what the user asked for; "auto" goes by the file's suffix, and so does "fastest"
            (`session.open_session` measures).

    Raises:
        UsageError: there is no such engine, or it does not read such files.
    """
    suffix = suffix_of(path)
    able = readers().get(suffix, (DEFAULT,))
    if engine in (AUTO, FASTEST):
        return able[0]
    declared = plugins.constants(engines, "suffixes")
    if engine in declared and suffix and engine not in able:
        raise UsageError(
            f'--engine {engine} reads {words(declared[engine])}, not "{path.name}"; '
            f"that is for --engine {' or '.join(able)}"
        )
    if engine not in plugins.names(engines):
        raise UsageError(f'no engine "{engine}".{plugins.suggest(engine, plugins.names(engines))}')
    return engine


def open_model(
    model: Path | bytes,
    engine: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    hint: str | None = None,
) -> engines.Engine:
    """Open a model with the engine of this name; "auto" goes by the file's suffix.

    Raises:
        UsageError: no such engine, or it does not read such files or take such a hint.
    """
    if isinstance(model, bytes):
        engine = DEFAULT if engine == "auto" else engine
    else:
        engine = choose(model, engine)
    plugin: engines.EnginePlugin = plugins.load(engines, engine)
    if hint is not None and hint not in plugin.hints:
        allowed = ", ".join(plugin.hints) or "none: it computes as the file says"
        raise UsageError(f"--precision-hint {hint}: --engine {engine} allows {allowed}")
    if hint is None:
        return plugin.open(model, device, threads)
    return plugin.open(model, device, threads, hint=hint)


def words(kinds: tuple[str, ...]) -> str:
    """`.onnx, .ort or .xml`."""
    return ", ".join(kinds[:-1]) + " or " * (len(kinds) > 1) + kinds[-1]
