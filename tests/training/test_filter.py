"""Filters learned from pairs and from keyframes: small problems with known answers."""

from fractions import Fraction

import numpy as np
import pytest
import torch
from PIL import Image

from runtime.errors import UsageError
from runtime.frame import Frame
from runtime.sinks import open_sink
from runtime.sources import SourceInfo, open_source
from training.checkpoint import load_checkpoint
from training.config import load_recipe
from training.data.keyframes import Keyframes
from training.engine import Engine
from training.methods import Assets
from training.methods.filter import Filter
from training.methods.keyframes import Keyframes as KeyframesMethod
from training.train import main

SMALL = [
    "network={name='lean', width=16, blocks=1, normalization='none', padding='replicate'}",
    "backbone.content_layers=['relu1_1']",
    "data.short_side=64",
    "data.crop=32",
    "batch=2",
    "sheet_every=10000",
    "save_every=10000",
    "options.motion_every=2",
    "options.discriminator={width=8, layers=1}",
]


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads of small tensors wait for each other most of the time."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pairs(tmp_path, photo_folder):
    """Photos and their negatives."""
    for name in ("before", "after"):
        (tmp_path / "pairs" / name).mkdir(parents=True)
    for path in photo_folder.iterdir():
        picture = np.asarray(Image.open(path).convert("RGB"))
        Image.fromarray(picture).save(tmp_path / "pairs" / "before" / f"{path.stem}.png")
        Image.fromarray(255 - picture).save(tmp_path / "pairs" / "after" / f"{path.stem}.png")
    return tmp_path / "pairs"


def build(pairs, random_weights, *more):
    recipe = load_recipe("filter", [*SMALL, f'options.teacher=["{pairs}"]', *more])
    return Filter(recipe, Assets(None, None, random_weights))


def test_a_negative_is_learned(pairs, random_weights):
    more = ("steps=120", "optimizer.lr=4e-3", "precision='fp32'", "objective.content=0.0")
    method = build(pairs, random_weights, *more)
    assert len(method.held) == 1 and len(method.pairs.images) == 5
    values = [method.step(step) for step in range(120)]
    assert np.mean([v["l1"] for v in values[-10:]]) < 0.5 * values[0]["l1"]  # of flat gray
    before, after = (torch.from_numpy(p.copy()).permute(2, 0, 1)[None] / 255
                     for p in method.held[0])  # fmt: skip
    with torch.no_grad():
        made = method.networks["generator"](before)
    assert float((made - after).abs().mean()) < 0.5 * float((before - after).abs().mean())


@pytest.mark.parametrize("gan", [0.0, 0.5])
def test_resume_is_bit_equal(gan, pairs, random_weights, tmp_path):
    def make():
        return build(pairs, random_weights, "steps=5", f"objective.gan={gan}")

    Engine(make(), tmp_path / "whole", quiet=True).run()
    Engine(make(), tmp_path / "broken", quiet=True).run(stop=3)
    torch.manual_seed(99)
    again = Engine(make(), tmp_path / "broken", quiet=True)
    again.resume()
    again.run()
    one, two = (load_checkpoint(tmp_path / n / "last.safetensors") for n in ("whole", "broken"))
    assert one.tensors.keys() == two.tensors.keys()
    assert ("discriminator.blocks.0.weight" in one.tensors) == bool(gan)
    assert all(torch.equal(t, two.tensors[k]) for k, t in one.tensors.items())
    assert len(list((tmp_path / "whole" / "judged" / "after").iterdir())) == 1
    assert len(list((tmp_path / "whole" / "seen").iterdir())) == 5
    assert (tmp_path / "whole" / "sheet_000005.png").is_file()


def test_a_batch_in_parts_gives_the_same_terms(pairs, random_weights):
    more = ("steps=5", "precision='fp32'", "objective.gan=0.5")
    whole = build(pairs, random_weights, *more)
    parts = build(pairs, random_weights, *more, "compute.accumulate=2")
    for step in range(3):
        one, two = whole.step(step), parts.step(step)
        assert one == pytest.approx(two, rel=2e-3, abs=1e-4)


def test_pairs_that_do_not_overlay_are_named_and_left_out(pairs, random_weights):
    wrong = pairs / "after" / "coffee.png"
    moved = np.roll(np.asarray(Image.open(wrong)), (0, 14), (0, 1))
    Image.fromarray(moved).save(wrong)
    method = build(pairs, random_weights)
    (note,) = [note for note in method.notes if "do not lie" in note]
    assert note.startswith("1 pairs do not lie on one another and are left out: coffee (lies 14 px")
    kept = build(pairs, random_weights, "options.aligned=false")
    assert len(kept.pairs.images) == len(method.pairs.images) + 1
    assert any("6 pairs are few" in note for note in kept.notes)


def test_from_photos_and_a_function_to_a_run(tmp_path, photo_folder, random_weights, capsys):
    words = ["--recipe", "filter", "--teacher", "training.pairs.effects:grade", "--steps", 2]
    words += ["--content", photo_folder, "--weights", random_weights, "--threads", 1]
    words += ["--output", tmp_path / "run", "--device", "cpu"]
    words += [word for setting in SMALL for word in ("--set", setting)]
    words = [str(word) for word in words]
    assert main(words) == 0
    assert "6 pairs are few" in capsys.readouterr().err
    found = load_checkpoint(tmp_path / "run")
    assert found.step == 2 and found.recipe["options"]["teacher"] == [
        "training.pairs.effects:grade"
    ]
    assert main([*words, "--resume", "--steps", "3"]) == 0
    assert load_checkpoint(tmp_path / "run").step == 3


@pytest.mark.parametrize(
    ("teacher", "said"),
    [
        ("training.pairs.effects:absent", 'no function "absent"'),
        ("cp {input} x.png", "{output} is missing"),
        ("", "no teacher given"),
    ],
)
def test_bad_teachers_are_one_line(teacher, said, tmp_path, photo_folder, random_weights, capsys):
    words = ["--recipe", "filter", "--content", photo_folder, "--weights", random_weights]
    words += ["--output", tmp_path / "run", "--quiet"]
    words += ["--teacher", teacher] if teacher else []
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ") and said in line


@pytest.mark.parametrize("teacher", ["os:getcwd", "touch {folder}/run {{input}} {{output}}"])
def test_programs_of_recipes_are_run_only_if_the_command_line_names_them(
    tmp_path, photo_folder, random_weights, capsys, teacher
):
    """A recipe, or a run folder, may come from a stranger."""
    text = teacher.format(folder=tmp_path)
    recipe = tmp_path / "theirs.toml"
    recipe.write_text(f'name = "theirs"\nmethod = "filter"\n[options]\nteacher = ["{text}"]\n')
    words = ["--recipe", recipe, "--content", photo_folder, "--weights", random_weights]
    assert main([str(word) for word in [*words, "--output", tmp_path / "run", "--quiet"]]) == 2
    said = capsys.readouterr().err
    assert "that is done only if the command line says so" in said and said.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_missing_weights_are_said_before_the_teacher_is_asked(tmp_path, photo_folder, capsys):
    """A teacher may take hours for its pictures: nothing of it is begun in vain."""
    empty = tmp_path / "weights"
    empty.mkdir()
    words = ["--recipe", "filter", "--teacher", "training.pairs.effects:grade"]
    words += ["--content", str(photo_folder), "--weights", str(empty)]
    assert main([*words, "--output", str(tmp_path / "run"), "--quiet"]) == 2
    assert "no weight file" in capsys.readouterr().err
    assert not list(tmp_path.glob("run/pairs-*"))


@pytest.fixture(scope="module")
def clip(tmp_path_factory, photo):
    """Twelve frames: a window moves over the cat."""
    path = tmp_path_factory.mktemp("clip") / "cat.mkv"
    sink = open_sink(path, SourceInfo("cat", 96, 64, Fraction(10)))
    for number in range(12):
        frame = np.ascontiguousarray(photo[100:164, 60 + 4 * number : 156 + 4 * number])
        sink.write(Frame(frame, Fraction(number, 10), number))
    sink.close()
    return path


@pytest.fixture
def keys(tmp_path, clip):
    """Frames 0 and 9, painted: swapped channels."""
    with open_source(clip) as source:
        frames = [frame.image for frame in source]
    for number in (0, 9):
        Image.fromarray(frames[number][:, :, ::-1].copy()).save(tmp_path / f"key_{number:03d}.png")
    return [tmp_path / f"key_{number:03d}.png" for number in (0, 9)]


def test_keyframes_are_learned(clip, keys, random_weights, tmp_path):
    settings = [*SMALL, f'options.clip="{clip}"', f"options.keys={[str(k) for k in keys]}"]
    settings += ["steps=40", "data.crop=36", "batch=4", "objective.content=0.0"]
    method = KeyframesMethod(load_recipe("keyframes", settings), Assets(None, None, random_weights))
    assert method.networks.keys() == {"generator", "discriminator"}
    values = [method.step(step) for step in range(40)]
    assert np.mean([v["l1"] for v in values[-8:]]) < 0.8 * np.mean([v["l1"] for v in values[:8]])
    method.begin(tmp_path / "run")
    assert len(list((tmp_path / "run" / "judged" / "before").iterdir())) == 2
    assert len(list((tmp_path / "run" / "seen").iterdir())) == 12
    frames, made = method.sheet(method.networks["generator"].eval())
    assert [f.shape for f in frames] == [m.shape for m in made]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_number.png", "its name has no number"),
        ("012.png", "is frame 12, .* has 12, the last one is 11"),
        ("absent_003.png", 'no keyframe "'),
        ("second_009.png", "are both of frame 9"),
        ("005.png", "its pair is 40x64 px, this is 96x64 px"),
        (None, "no keyframe given: pass --keys"),
    ],
)
def test_bad_keyframes(name, said, clip, keys, tmp_path):
    given = [*keys]
    if name is None:
        given = []
    else:
        size = (40, 64) if name == "005.png" else (96, 64)
        if not name.startswith("absent"):
            Image.new("RGB", size).save(tmp_path / name)
        given.append(tmp_path / name)
    with pytest.raises(UsageError, match=said):
        Keyframes(clip, given)
