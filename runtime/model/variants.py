"""The files of one style, and which of them to take.

A style may come as several networks (grades), each in several precisions, told apart by name:

    starry.onnx   starry-fast.onnx   starry-quality.onnx   and in float starry-fast-fp32.onnx ...

The cards have the last word on grade and precision, and on whether two files paint one style. A
bare name ("starry") means the style and leaves the choice to whoever asks: a live run measures, a
still or a clip takes the best picture. A file name means that file.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..card import ModelCard
from . import formats, store, zoo

# Best picture first.
GRADES = ("quality", "default", "fast")
# Most exact first.
PRECISIONS = ("fp32", "bf16", "fp16", "int8")
# Fastest first. A CPU's integer units do 4 times the work of its float units, even where 8-bit
# products take two instructions (no VNNI); it computes half precision by converting it. A GPU is
# the other way round: its engines run these integer graphs piecewise.
ON_CPU = ("int8", "fp32", "bf16", "fp16")
ON_GPU = ("fp16", "fp32", "bf16", "int8")


@dataclass(frozen=True, slots=True)
class Variant:
    """One file of a style.

    Attributes:
        path: the file.
        style: the bare name.
        grade: one of `GRADES`.
        precision: one of `PRECISIONS`.
    """

    path: Path
    style: str
    grade: str = "default"
    precision: str = "fp32"

    @property
    def label(self) -> str:
        """For the screen: "starry", "starry fast", "starry quality fp32"; int8 is understood."""
        words = [self.style]
        if self.grade != "default":
            words.append(self.grade)
        if self.precision != "int8":
            words.append(self.precision)
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class Name:
    """What a file name says; `precision` is "" where it says nothing."""

    style: str
    grade: str = "default"
    precision: str = ""


def parse_name(stem: str) -> Name:
    """Read "starry-quality-fp32" (without suffix)."""
    rest, grade, precision = stem, "", ""
    while True:
        head, dash, tail = rest.rpartition("-")
        if not dash or not head:
            break
        if tail in PRECISIONS and not precision:
            precision = tail
        elif tail in GRADES and not grade:
            grade = tail
        else:
            break
        rest = head
    return Name(rest, grade or "default", precision)


def variant_of(path: Path, card: ModelCard | None) -> Variant:
    """A file by name and card."""
    name = parse_name(_stem(path))
    if card is None:
        return Variant(path, name.style, name.grade, name.precision or "fp32")
    grade = card.grade if card.grade in GRADES else name.grade
    precision = card.precision if card.precision in PRECISIONS else name.precision or "fp32"
    return Variant(path, name.style, grade, precision)


def find(name: str | Path, engine: str = "auto") -> list[Variant]:
    """All files of the style called `name`, best picture first; empty if `name` is a file's.

    Args:
        name: "starry", or "folder/starry".
        engine: only files that it reads; "auto" takes those of the default engine, or else of
            the next kind there is.
    """
    asked = Path(name).expanduser()
    if formats.suffix_of(asked) or asked.is_file():
        return []
    bare = asked.parent == Path() and not asked.is_absolute()
    for folder in store.folders() if bare else [asked.parent]:
        for kind in _kinds(engine):
            found = styles_in(folder, kind, asked.name).get(asked.name, [])
            if found:
                return found
    return []


def styles_in(folder: Path, kind: str, style: str | None = None) -> dict[str, list[Variant]]:
    """Style name -> its files in a folder, best picture first; styles in alphabetical order.

    Models that need more than a picture are left out: one cannot switch to them.

    Args:
        folder: where to look.
        kind: suffix of the files.
        style: only this one (the cards of others are not even read).
    """
    if not folder.is_dir():
        return {}
    groups: dict[str, list[tuple[Variant, ModelCard]]] = {}
    for path in sorted(folder.iterdir()):
        if formats.suffix_of(path) != kind or not formats.is_model(path):
            continue
        if style is not None and parse_name(_stem(path)).style != style:
            continue
        card = zoo.read_card(path)
        if card is not None and zoo.is_style(card):
            variant = variant_of(path, card)
            groups.setdefault(variant.style, []).append((variant, card))
    found: dict[str, list[Variant]] = {}
    for members in groups.values():
        for variant in _of_one_style(members):
            found.setdefault(variant.style, []).append(variant)
    return {name: sorted(found[name], key=_rank) for name in sorted(found)}


def best(variants: Iterable[Variant]) -> Variant:
    """The best picture: highest grade, most exact precision."""
    return min(variants, key=_rank)


def ranking(
    variants: Sequence[Variant], preferred: Sequence[str], costs: Sequence[float] | None = None
) -> list[int]:
    """One file per grade: indices into `variants`, best picture first.

    Args:
        variants: the files of a style.
        preferred: precisions, fastest first (`ON_CPU`, `ON_GPU`), where nothing was measured.
        costs: measured time of each file; then the fastest counts, and a more exact one is taken
            if it is as fast (within 10 %, about what the measurement is good for).
    """
    chosen: list[int] = []
    for grade in GRADES:
        members = [k for k, variant in enumerate(variants) if variant.grade == grade]
        if not members:
            continue
        if costs is not None:
            least = min(costs[k] for k in members)
            equal = [k for k in members if costs[k] <= 1.1 * least]
            chosen.append(min(equal, key=lambda k: PRECISIONS.index(variants[k].precision)))
        else:
            chosen.append(min(members, key=lambda k: preferred.index(variants[k].precision)))
    return chosen


def first_choice(variants: Sequence[Variant], order: Sequence[int]) -> int:
    """The index to begin with: the default grade, before anything is known about the machine."""
    return min(order, key=lambda k: ("default", "fast", "quality").index(variants[k].grade))


def _of_one_style(members: list[tuple[Variant, ModelCard]]) -> list[Variant]:
    """A file whose card names another painting than the main file's is a style of its own, called
    by its whole name: "night-fast.onnx" may be a painting called "night fast"."""
    main = next((m for m in members if m[0].grade == "default"), members[0])
    title = main[1].style.get("title", "")
    return [
        variant
        if card.style.get("title", title) == title
        else Variant(variant.path, _stem(variant.path), "default", variant.precision)
        for variant, card in members
    ]


def _rank(variant: Variant) -> tuple[int, int]:
    return GRADES.index(variant.grade), PRECISIONS.index(variant.precision)


def _kinds(engine: str) -> list[str]:
    readers = formats.readers()
    return [
        kind
        for kind, engines in readers.items()
        if engine in (formats.AUTO, formats.FASTEST, *engines)
    ]


def _stem(path: Path) -> str:
    return path.name.removesuffix(formats.suffix_of(path))
