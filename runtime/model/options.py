"""What a stylizer is made from, as plain values: `StylizeOptions([("starry", 1.0)])`.

The commands fill the options from their flags (`runtime.model.flags`), Python callers by hand.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..card import CardFacts
from ..checksum import sha256
from ..errors import UsageError
from ..frame import Image
from ..provenance import Provenance, provenance_of
from . import loops, store, variants
from .conditions import Condition, Style, load_style
from .session import StyleSession, open_remote, open_session
from .stylizer import COLOR_MODES, Effects, Stylizer, label_of


@dataclass(frozen=True, slots=True)
class StylizeOptions:
    """Models, how they run, and the effects around them.

    Attributes:
        models: (path or name, weight above 0) of each model; several are mixed. A bare style name
            ("starry") means its best picture; name a file for another one.
        engine: a module of `runtime.engines`, or "auto": by the file's suffix.
        device: "auto" (a GPU if one really works), "cpu", "cuda" or "cuda:1", and what else the
            engine knows.
        precision_hint: lets the engine compute faster and less exactly ("bf16"); None is exact.
        threads: of the engine; None takes all cores.
        live: frames must not wait, see `StyleSession.hurry`.
        strength: 0 the photo, 1 the full style.
        keep_color: "luminance", "histogram" or "", see `Effects`.
        mask: picture, or the path of one: style only where it is white.
        style_encoder: model that turns style pictures into codes; None is the one the card names.
        styles: (picture, its path, or the name of a style that the model knows; weight).
        scalars: values of the model's own scalar inputs, by name.
        variation: which of its answers a model gives that has many; None is the middle one.
        facts: what replaces the card's.
        probe_timeout: seconds in which a model must open (on a GPU: one without a card), and a
            graph with loops, or without a card, answer to a small picture.
        server: address of the server that runs the models ("grpc://host:8001"), which are then
            names of its own; "" runs them here.

    Raises:
        UsageError: no model, or a value outside what is allowed.
    """

    models: Sequence[tuple[str, float]]
    engine: str = "auto"
    device: str = "auto"
    precision_hint: str | None = None
    threads: int | None = None
    live: bool = False
    strength: float = 1.0
    keep_color: str = ""
    mask: Image | Path | None = None
    styles: Sequence[tuple[Style, float]] = ()
    style_encoder: str | Path | None = None
    scalars: Mapping[str, float] = field(default_factory=dict[str, float])
    variation: int | None = None
    facts: CardFacts = field(default_factory=CardFacts)
    probe_timeout: float = loops.TIMEOUT_S
    server: str = ""

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("no model is given; name one, as in --model starry")
        chosen = self.engine != "auto" or self.device != "auto" or self.facts or self.style_encoder
        if self.server and chosen:
            raise UsageError(
                "engine, device, style encoder and what describes a model are chosen where the "
                f"server is started, not for {self.server}"
            )
        if not 0.0 <= self.strength <= 1.0:
            raise UsageError(f"strength is {self.strength}, allowed is 0..1")
        if "strength" in self.scalars:
            raise UsageError("strength is an option of its own, not one of the scalars")
        if self.keep_color not in ("", *COLOR_MODES):
            allowed = ", ".join(COLOR_MODES)
            raise UsageError(f'keep_color is "{self.keep_color}", allowed are "", {allowed}')

    @property
    def name(self) -> str:
        """What outputs beside their inputs are called after: "starry", "starry-wave"."""
        return "-".join(Path(model).stem for model, _ in self.models)


def model_files(options: StylizeOptions) -> list[Path]:
    """The files that `open_stylizer` opens on this machine.

    Raises:
        ModelNotFound: one is not there.
    """
    names = [name for name, _ in options.models]
    found = [variants.find(name, options.engine) for name in names]
    return [
        store.resolve(variants.best(files).path if files else name)
        for name, files in zip(names, found, strict=True)
    ]


def provenance_on(all_options: Sequence[StylizeOptions]) -> Provenance | None:
    """What `runtime.model.stylizer.together` says of the stylizers that are opened for these
    options, without opening them."""
    painting = [options for options in all_options if options.strength > 0.0]
    models: list[tuple[str, str]] = []
    for options in painting:
        files = model_files(options)
        total = sum(weight for _, weight in options.models)
        weights = [weight / total for _, weight in options.models]
        label = label_of([(f.name, w) for f, w in zip(files, weights, strict=True)])
        models.append((label, "+".join(sha256(file) for file in files)))
    return provenance_of(models) if models else None


def open_stylizer(options: StylizeOptions) -> Stylizer:
    """Open the models of the options. What a user should know about it is in the stylizer's
    `notes`; which file a bare name stood for is said there, too.

    Raises:
        StyleError: a model, the mask or a style picture cannot be opened; see `open_session`.
    """
    around = _effects(options)
    sessions: list[tuple[StyleSession, float]] = []
    notes: list[str] = []
    try:
        for name, weight in options.models:
            files = [] if options.server else variants.find(name, options.engine)
            session = _open(variants.best(files).path if files else name, options)
            sessions.append((session, weight))
            if options.live:
                session.hurry()
            elif len(files) > 1:
                notes.append(f"{name}: {session.model_path.name}")
    except BaseException:
        for session, _ in sessions:
            session.close()
        raise
    stylizer = Stylizer(sessions, around)
    stylizer.notes = [*notes, *stylizer.notes]
    return stylizer


def _open(model: str | Path, options: StylizeOptions) -> StyleSession:
    if options.server:
        return open_remote(options.server, str(model))
    return open_session(
        model,
        engine=options.engine,
        device=options.device,
        threads=options.threads,
        precision_hint=options.precision_hint,
        style_encoder=options.style_encoder,
        probe_timeout=options.probe_timeout,
        **options.facts,
    )


def _effects(options: StylizeOptions) -> Effects:
    conditions = dict[str, Condition](options.scalars)
    if options.styles:
        conditions["style"] = [(_loaded(style), weight) for style, weight in options.styles]
    if options.variation is not None:
        conditions["variation"] = options.variation
    mask = options.mask
    if isinstance(mask, Path):
        from ..pictures.reading import read_rgb

        mask = read_rgb(mask)
    return Effects(options.strength, options.keep_color, mask, conditions)


def _loaded(style: Style) -> Style:
    """Pictures are read once. A word without a suffix is no file: models of many styles know
    theirs by name."""
    return style if isinstance(style, str) and not Path(style).suffix else load_style(style)
