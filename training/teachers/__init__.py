"""Teachers: anything that turns one picture into another of the same size, however slow.

Every file of this folder is one kind: a class with `form` (how such a teacher is written),
`accepts(text)`, `runs_code` (whether it is a program) and the members of `Teacher`, offered as
`PLUGIN`. `open_teacher` finds the right
one, and makes a chain of several.
"""

import hashlib
import shlex
import sys
from collections.abc import Collection, Sequence
from typing import Any, Protocol

from runtime import plugins
from runtime.errors import StyleError, UsageError
from runtime.frame import Image


class TeacherFailed(StyleError):
    """A teacher has no answer for one picture; others may go well."""


class Teacher(Protocol):
    """What turns pictures into those that a student is to paint.

    Attributes:
        label: how it was written.
        digest: differs where its pictures may: of the file's content, of the words of a command.
        parallel: whether several threads may call it at once.
    """

    label: str
    digest: str
    parallel: bool

    def __call__(self, picture: Image) -> Image:
        """(H, W, 3) uint8 RGB to the same shape.

        Raises:
            TeacherFailed: none for this picture.
        """
        ...

    def close(self) -> None:
        """Free what it holds."""
        ...


class Chain:
    """Several teachers, each of which sees what the one before it made."""

    def __init__(self, parts: Sequence[Teacher]) -> None:
        self.parts = tuple(parts)
        self.label = " | ".join(part.label for part in parts)
        self.digest = digest_of(*(part.digest for part in parts))
        self.parallel = all(part.parallel for part in parts)

    def __call__(self, picture: Image) -> Image:
        """As each of them."""
        for part in self.parts:
            picture = same_size(part(picture), picture, part.label)
        return picture

    def close(self) -> None:
        """Close them all."""
        for part in self.parts:
            part.close()


def open_teacher(texts: Sequence[str], trusted: Collection[str] | None = None) -> Chain:
    """The teacher that these words describe, the parts of a chain in order.

    Args:
        texts: the words, of a recipe or a stored run perhaps.
        trusted: those that the user said; of others none is opened that runs code of its own. None
            trusts all.

    Raises:
        UsageError: none is named, words that are no teacher's, or a program that nobody asked for.
        StyleError: as the kinds say.
    """
    if not texts:
        raise UsageError(f"no teacher given: pass --teacher: {_forms()}")
    parts: list[Teacher] = []
    try:
        for text in texts:
            kind = _kind(text)
            if kind.runs_code and trusted is not None and text not in trusted:
                raise UsageError(
                    f'the recipe has "{text}" run as its teacher; that is done only if the command '
                    f"line says so, too: --teacher {shlex.quote(text)}"
                )
            parts.append(kind(text))
    except BaseException:
        for part in parts:
            part.close()
        raise
    return Chain(parts)


def digest_of(*parts: str | bytes) -> str:
    """Hexadecimal SHA-256 of the parts, in order, their lengths included."""
    found = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogateescape") if isinstance(part, str) else part
        found.update(len(data).to_bytes(8, "little") + data)
    return found.hexdigest()


def same_size(made: Image, given: Image, label: str) -> Image:
    """`made`, if it is a picture of the size of the one given.

    Raises:
        TeacherFailed: it is not.
    """
    if made.dtype != given.dtype or made.shape != given.shape:
        raise TeacherFailed(
            f'teacher "{label}" gave {made.dtype} {list(made.shape)} for a picture of '
            f"{given.dtype} {list(given.shape)}; it must keep the size"
        )
    return made


def _kind(text: str) -> Any:
    package = sys.modules[__name__]
    for name in plugins.names(package):
        kind = plugins.load(package, name)
        if kind.accepts(text):
            return kind
    raise UsageError(f'"{text}" is no teacher; write {_forms()}')


def _forms() -> str:
    package = sys.modules[__name__]
    forms = plugins.constants(package, "form").values()
    return ", ".join(["a folder of pairs", *forms])
