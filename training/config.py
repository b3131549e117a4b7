"""Recipes: TOML in, frozen dataclasses out, with a suggestion for every misspelled key."""

import dataclasses
import os
import re
import tomllib
import typing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from runtime.card import JsonObject
from runtime.errors import UsageError
from runtime.fields import Between, fill
from runtime.plugins import suggest

from .settings import BatchSize, Count, Decay, Enlargement, Positive, Seed, Share, Side, Weight

RECIPES = Path(__file__).parent / "recipes"
DATA_VARIABLE = "IMPASTO_DATA"
NETWORK = "network.name"


@dataclass(frozen=True)
class StyleConfig:
    """The painting."""

    image: str = ""  # file; relative names are looked up in $IMPASTO_DATA/style as well
    size: Side = 384  # px, short side; larger means larger strokes on the photo
    title: str = ""
    artist: str = ""
    license: str = ""
    source: str = ""


@dataclass(frozen=True)
class DataConfig:
    """The photos."""

    content: str = "content"  # folder; relative names are looked up in $IMPASTO_DATA as well
    limit: Count = 0  # photos to read; 0 reads all
    short_side: Side = 320  # px; photos are kept in memory at this size
    crop: Side = 192  # px; side of the training square
    zoom: Enlargement = 1.6  # crops are cut from squares up to this much larger
    enlarge: Enlargement = (
        1.0  # half of them from squares up to this much smaller: full-size frames
    )
    noise: Share = 0.2  # largest deviation of the input noise (half of the steps have none)


@dataclass(frozen=True)
class BackboneConfig:
    """The loss network."""

    name: str = "vgg19_16x"
    style_layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
    style_weights: tuple[Weight, ...] = ()  # one for each style layer; none: all alike
    content_layers: tuple[str, ...] = ("relu3_1",)

    def weighted_style(self) -> dict[str, float]:
        """Style layer -> its weight among them.

        Raises:
            UsageError: there are weights, but not one for each layer, or all of them are 0.
        """
        weights = self.style_weights or (1.0,) * len(self.style_layers)
        if len(weights) != len(self.style_layers):
            raise UsageError(
                f"backbone.style_weights has {len(weights)} numbers for {len(self.style_layers)} "
                f"style layers ({', '.join(self.style_layers)}): give one for each, or none"
            )
        if weights and not any(weights):
            raise UsageError("backbone.style_weights are all 0: give one of them a weight")
        return dict(zip(self.style_layers, weights, strict=True))


@dataclass(frozen=True)
class OptimizerConfig:
    """Adam with warm-up and cosine decay."""

    lr: Annotated[float, Between(0, 10)] = 1e-3  # Johnson et al. use 1e-3 as well
    warmup: Count = 20  # steps
    end: Share = 0.05  # the cosine ends at this share of lr
    clip: Weight = 1.0  # largest gradient norm; 0 turns clipping off
    beta1: Decay = 0.9
    beta2: Decay = 0.99  # 0.999 reacts too slowly for runs of this length


@dataclass(frozen=True)
class TextConfig:
    """Words as a style, for `objective.text`."""

    prompt: str = ""  # what the picture should be like
    source: str = "a photo"  # what the photos are, in words
    clip: str = ""  # folder of a CLIP model, as OpenCLIP stores it
    patches: Positive = 64  # squares of each picture that are looked at; the paper's


@dataclass(frozen=True)
class ComputeConfig:
    """How the work is done; the result is the same up to rounding, so a resume may change it."""

    accumulate: BatchSize = 1  # parts a batch is computed in, one after another: less memory
    recompute: bool = False  # forget activations, compute them again on the way back: less memory
    compile: bool = False  # torch.compile; a network it cannot compile runs as it is


@dataclass(frozen=True)
class DeliveryConfig:
    """What `export.train` makes of the trained network."""

    precision: Literal["fp32", "fp16", "int8"] = "fp32"  # of the model
    finetune: Count = 0  # steps of quantization-aware training before it is written in bytes


@dataclass(frozen=True)
class Recipe:
    """Everything that decides a training run; stored in every checkpoint."""

    name: str = ""
    method: str = "perceptual"
    steps: Count = 40_000
    batch: BatchSize = 2
    seed: Seed = 0  # of all random numbers
    ema: Decay = 0.999  # decay of the averaged weights that are exported; 0 turns it off
    precision: str = "bf16"  # "bf16" or "fp16" (autocast; fp16 with loss scaling), or "fp32"
    sheet_every: Positive = 2000  # steps between contact sheets
    save_every: Positive = 500  # steps between checkpoints
    network: JsonObject = field(default_factory=lambda: {"name": "lean"})
    objective: dict[str, Weight] = field(
        default_factory=lambda: {"style": 15.0, "content": 1.0, "tv": 0.1, "range": 2.0}
    )
    options: JsonObject = field(default_factory=dict)  # of the method
    style: StyleConfig = StyleConfig()
    text: TextConfig = TextConfig()
    data: DataConfig = DataConfig()
    backbone: BackboneConfig = BackboneConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    compute: ComputeConfig = ComputeConfig()
    delivery: DeliveryConfig = DeliveryConfig()

    def to_dict(self) -> JsonObject:
        """Plain dicts and lists, as TOML or JSON would have them."""
        return dataclasses.asdict(self)


def recipe_names() -> list[str]:
    """The bundled recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str, settings: list[str] | None = None) -> Recipe:
    """Read a bundled recipe by name, or a TOML file by path, and apply `key=value` settings.

    Raises:
        UsageError: no such recipe, broken TOML, unknown key (the near one is suggested), bad value.
    """
    path = Path(name) if name.endswith(".toml") else RECIPES / f"{name}.toml"
    if not path.is_file():
        raise UsageError(f'no recipe "{name}".{suggest(name, recipe_names())}')
    try:
        table = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"recipe {path} is not TOML: {error}") from None
    table.setdefault("name", path.stem)
    # Another network first: settings of this one follow.
    for setting in sorted(settings or [], key=lambda s: s.partition("=")[0].strip() != NETWORK):
        apply_setting(table, setting)
    return recipe_from_dict(table)


# Former names of keys, section by section, in recipes and checkpoints that have them.
FORMER_NAMES = {
    "data": {"seeds": "noise"},
    "objective": {"lock": "periodicity", "grid": "phase_roughness"},
    "options": {"judge": "discriminator", "judge_rate": "discriminator_rate"},
}


def recipe_from_dict(table: JsonObject) -> Recipe:
    """Build a recipe from plain dicts, refusing unknown keys; `FORMER_NAMES` are understood."""
    table = dict(table)
    for section, names in FORMER_NAMES.items():
        if isinstance(given := table.get(section), dict):
            # Of a name and its former one, the later wins: `--set` comes after the file.
            table[section] = {names.get(key, key): value for key, value in given.items()}
    recipe = fill(Recipe, table, "recipe", "key")
    if not isinstance(recipe.network.get("name"), str):
        raise UsageError('recipe key "network" lacks its name: network.name = "lean"')
    return recipe


def apply_setting(table: JsonObject, setting: str) -> None:
    """`--set data.crop=128` or, where the name is unique, `--set crop=128`. Another network's name
    takes the former one's settings with it, as they say nothing about the new one."""
    key, separator, text = setting.partition("=")
    if not separator:
        raise UsageError(f'--set takes key=value, not "{setting}"')
    path = key.strip().split(".")
    if len(path) == 1:
        path = _locate(path[0])
    for part in path[:-1]:
        table = table.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f'--set {key}: "{part}" is not a table')
    value = _parse(text.strip())
    if key.strip() == NETWORK and table.get("name") != value:
        table.clear()
    table[path[-1]] = value


def _locate(key: str) -> list[str]:
    """The full path of a bare key: a top-level one, or the only section that has it."""
    types = typing.get_type_hints(Recipe)
    key = FORMER_NAMES["data"].get(key, key)
    if key in types:
        return [key]
    sections = {
        s: typing.get_type_hints(t) for s, t in types.items() if dataclasses.is_dataclass(t)
    }
    homes = [section for section, keys in sections.items() if key in keys]
    if len(homes) == 1:
        return [homes[0], key]
    if homes:
        choices = " or ".join(f"{home}.{key}" for home in homes)
        raise UsageError(f"--set {key} could mean {choices}: write it out")
    every = [*types, *(f"{s}.{k}" for s, keys in sections.items() for k in keys)]
    raise UsageError(f'recipe has no key "{key}".{suggest(key, every)}')


def _parse(text: str) -> Any:
    """A TOML value; what is not one is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def with_painting(recipe: Recipe, name: str, path: Path) -> Recipe:
    """The recipe with another painting than its own: what it says of its own is left out, and the
    title is what the file is called.

    Args:
        recipe: as loaded, settings applied.
        name: what it was loaded by; facts that settings changed are kept.
        path: the painting's file.
    """
    if path.name == Path(recipe.style.image).name:
        return recipe
    own = load_recipe(name).style
    facts = {
        key: "" if getattr(recipe.style, key) == getattr(own, key) else getattr(recipe.style, key)
        for key in ("title", "artist", "license", "source")
    }
    facts["title"] = facts["title"] or re.sub(r"[\s_-]+", " ", path.stem).strip()
    return replace(recipe, style=replace(recipe.style, image=path.name, **facts))


def find_data(name: str, kind: str, run: Path | None = None) -> Path:
    """A file or folder by path, else below $IMPASTO_DATA (and its folder `kind`).

    Args:
        name: as the recipe has it.
        kind: "content", "style", "clips", "clip" (of keyframes) or "CLIP" (of words).
        run: a run folder; the painting that was stored in it comes first.

    Raises:
        UsageError: not found; says where it was looked for.
    """
    if not name:
        raise UsageError(f"no {kind} given: pass --{kind}")
    if run is not None and (run / Path(name).name).is_file():
        return run / Path(name).name
    roots = [Path(".")]
    if os.environ.get(DATA_VARIABLE):
        data = Path(os.environ[DATA_VARIABLE])
        roots += [data, data / kind]
    for root in roots:
        if (root / name).exists():
            return root / name
    looked = ", ".join(str(root) for root in roots)
    remedy = (
        f"pass --{kind}" if kind in ("content", "style", "clip") else "give its path in the recipe"
    )
    raise UsageError(f'no {kind} "{name}" in {looked}; {remedy}, or set {DATA_VARIABLE}')
