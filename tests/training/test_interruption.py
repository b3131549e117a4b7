"""Runs that are stopped, spoiled or doubled: what is saved is a state between two steps."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from waiting import wait_for

from runtime.errors import OutputExists, StyleError
from tests.training.toy import SETTINGS
from training.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from training.config import load_recipe
from training.engine import Engine
from training.interruption import Interruption, only_run_in
from training.methods import Assets
from training.methods.perceptual import Perceptual

ROOT = Path(__file__).resolve().parents[2]
TINY = [*SETTINGS, "steps=6"]


@pytest.fixture
def build(photo_folder, painting, random_weights):
    def method(*more):
        assets = Assets(painting, photo_folder, random_weights)
        return Perceptual(load_recipe("starry", [*TINY, *more]), assets)

    return method


def states_equal(left: Path, right: Path) -> bool:
    first, second = load_checkpoint(left), load_checkpoint(right)
    same = all(torch.equal(tensor, second.tensors[name]) for name, tensor in first.tensors.items())
    return same and first.state == second.state and first.step == second.step


def spoil(method, at: int):
    """From step `at` on the objective is not a number."""
    objective = method.objective

    def forward(*arguments, **options):
        values = objective(*arguments, **options)
        return {name: value * float("nan") for name, value in values.items()}

    step = method.step

    def spoiled(number: int):
        if number == at:
            method.objective = forward
            forward.content_features = objective.content_features
        return step(number)

    method.step = spoiled
    return method


def test_a_step_that_is_not_a_number_changes_nothing(build, tmp_path):
    """The state before it is saved, and a run resumed from there is the unbroken run."""
    Engine(build(), tmp_path / "whole", quiet=True).run()
    with pytest.raises(StyleError, match=r'step 3: the term "\w+" is nan. Lower optimizer.lr'):
        Engine(spoil(build(), 3), tmp_path / "spoiled", quiet=True).run()
    engine = Engine(build(), tmp_path / "spoiled", quiet=True)
    engine.resume()
    assert engine.done == 3
    engine.run()
    assert states_equal(tmp_path / "whole" / "last.safetensors", engine.checkpoint_path)


def test_a_state_that_is_not_finite_is_not_written(tmp_path):
    path = tmp_path / "last.safetensors"
    save_checkpoint(Checkpoint({"name": "lean"}, {}, 1, {"generator.w": torch.ones(2)}), path)
    with pytest.raises(StyleError, match=r'last.safetensors is not written: "generator.w" holds'):
        save_checkpoint(
            Checkpoint({"name": "lean"}, {}, 2, {"generator.w": torch.tensor([1.0, torch.inf])}),
            path,
        )
    assert load_checkpoint(path).step == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.safetensors"]


def test_the_state_before_the_last_is_kept(build, tmp_path):
    engine = Engine(build("save_every=2"), tmp_path, quiet=True)
    engine.run(stop=4)
    engine.run(stop=5)
    assert load_checkpoint(engine.checkpoint_path).step == 5
    assert load_checkpoint(engine.previous_path).step == 4


def test_a_second_run_in_the_folder_is_refused(build, tmp_path):
    engine = Engine(build(), tmp_path, quiet=True)
    with only_run_in(tmp_path), pytest.raises(OutputExists, match="another run trains in"):
        engine.run()
    engine.run(stop=1)  # the lock went with its holder
    assert not (tmp_path / ".lock").exists()


def test_signals_wait_for_the_end_of_a_step():
    with Interruption() as interruption:
        interruption.obey()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # the handler runs between two bytecodes
        with pytest.raises(KeyboardInterrupt):
            interruption.obey()
        with pytest.raises(KeyboardInterrupt):  # the second is obeyed at once
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_stopped_at_any_moment_goes_on_as_if_unbroken(
    build, tmp_path, photo_folder, painting, random_weights, number
):
    words = ["--recipe", "starry", "--device", "cpu", "--threads", "1", "--content", photo_folder]
    words += ["--style", painting, "--weights", random_weights]
    words += [part for text in [*TINY, "steps=40"] for part in ("--set", text)]

    def command(folder: str, *more: str) -> list[str]:
        line = [sys.executable, "-m", "training.train", *map(str, words), *more]
        return [*line, "--output", str(tmp_path / folder), "--quiet"]

    subprocess.run(command("whole"), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    run = subprocess.Popen(command("broken"), cwd=ROOT, stdout=subprocess.DEVNULL)
    log = tmp_path / "broken" / ".lock"
    wait_for(lambda: run.poll() is not None or log.exists(), 60)  # the steps have begun
    time.sleep(0.25)
    run.send_signal(number)
    assert run.wait(60) in (130, 0)  # 0: it was done before the signal came
    subprocess.run(command("broken", "--resume"), cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    names = [tmp_path / folder / "last.safetensors" for folder in ("whole", "broken")]
    assert states_equal(*names)
