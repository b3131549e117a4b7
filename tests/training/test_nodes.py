"""Training past one machine: every photo once per epoch, two nodes, workers that die."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from waiting import wait_for

from training import distributed
from training.checkpoint import load_checkpoint
from training.data.epochs import shown
from training.data.images import Photos

ROOT = Path(__file__).resolve().parents[2]
TINY = [
    "network={name = 'lean', width = 8, blocks = 1}",
    "backbone.style_layers=['relu1_1', 'relu2_1']",
    "backbone.content_layers=['relu2_1']",
    "data.short_side=64",
    "data.crop=48",
    "style.size=32",
    "batch=2",
    "steps=60",
    "save_every=5",
    "sheet_every=1000",
]


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 3))
@settings(max_examples=50, deadline=None)
def test_every_picture_is_shown_once_per_epoch(total, count, seed):
    steps = 3 * total  # whole epochs
    order = [index for step in range(steps) for index in shown(step, count, total, seed)]
    epochs = [order[k : k + total] for k in range(0, len(order), total)]
    assert all(sorted(epoch) == list(range(total)) for epoch in epochs)


def test_epochs_differ_and_so_do_seeds():
    first = [shown(step, 10, 20) for step in range(4)]
    assert first[0] + first[1] != first[2] + first[3]
    assert first[0] != shown(0, 10, 20, seed=1)


def test_processes_share_a_batch_without_a_photo_twice(photo_folder):
    photos = Photos(photo_folder, 64, seed=5)
    batch = lambda own: photos.batch(  # noqa: E731
        1, 4, 48, 1.5, np.random.default_rng(3), own
    )
    whole, first, second = batch(slice(None)), batch(slice(0, 2)), batch(slice(2, 4))
    assert torch.equal(torch.cat([first[:2], second[2:]]), whole)
    assert not first[2:].any() and not second[:2].any()
    counts = Counter(
        shown(step, 4, len(photos.images), 5)[row] for step in range(3) for row in range(4)
    )
    assert set(counts.values()) == {2}  # six photos, twelve places


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def workers(agent):
    """Training processes that this agent has started."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_text()
            if "training.train" in command and parent(int(folder.name)) == agent.pid:
                found.append(int(folder.name))
        except (OSError, ValueError, IndexError):
            continue
    return found


def test_each_start_meets_for_itself_in_a_store_that_is_kept():
    """Whoever comes first, and whatever the starts before have left, even one that broke off."""
    from concurrent.futures import ThreadPoolExecutor

    store, world, names = torch.distributed.HashStore(), 3, []
    store.set_timeout(timedelta(seconds=60))
    store.set("start", "of a main process that died before it had heard of all")
    with ThreadPoolExecutor(world) as pool:
        for order in permutations(range(world)):
            waiting = []
            for rank in order:
                waiting.append(pool.submit(distributed._meet, store, rank, world))
                time.sleep(0.1)
            (name,) = {each.result(60) for each in waiting}
            names.append(name)
    assert len(set(names)) == len(names)


@pytest.mark.slow  # half a minute each
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="finds the workers in /proc")
@pytest.mark.parametrize("victim", [1, 0])
def test_a_worker_that_dies_on_one_of_two_nodes_changes_nothing(
    victim, photo_folder, painting, random_weights, tmp_path
):
    """Two agents that meet over loopback, a folder each as without a common disk; a worker is
    killed, both are started anew, and the result is that of a run in which nobody was killed."""
    words = ["--recipe", "starry", "--device", "cpu", "--threads", "1", "--quiet"]
    words += ["--content", photo_folder, "--style", painting, "--weights", random_weights]
    words += [part for text in TINY for part in ("--set", text)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    address = f"127.0.0.1:{free_port()}"

    def agent(node):
        launch = ["-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "1"]
        launch += ["--rdzv-backend", "c10d", "--rdzv-id", "starry", "--rdzv-endpoint", address]
        launch += ["--max-restarts", "3", "--monitor-interval", "0.2"]
        output = tmp_path / f"node{node}" / "run"
        return subprocess.Popen(
            [sys.executable, *launch, "-m", "training.train", *map(str, words), "--output", output],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=(tmp_path / f"node{node}.txt").open("w"),
        )

    agents = [agent(node) for node in (0, 1)]
    try:
        # Rank 0, which writes, is on either node: that is for the agents to agree on.
        newest = [tmp_path / f"node{node}" / "run" / "last.safetensors" for node in (0, 1)]

        def saved():
            assert all(a.poll() is None for a in agents)
            return any(map(Path.exists, newest))

        wait_for(saved, 200)
        writer = 0 if newest[0].exists() else 1
        killed = workers(agents[writer if victim == 0 else 1 - writer])
        assert len(killed) == 1
        os.kill(killed[0], signal.SIGKILL)
        codes = [a.wait(240) for a in agents]
    finally:
        for each in agents:
            each.kill()
    told = [(tmp_path / f"node{node}.txt").read_text() for node in (0, 1)]
    assert codes == [0, 0], told
    assert any("exitcode: -9" in text for text in told), told
    whole = tmp_path / "whole"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [sys.executable, *launch, "-m", "training.train", *map(str, words)]
    subprocess.run(
        [*command, "--output", whole],
        cwd=ROOT,
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    one, two = load_checkpoint(whole), load_checkpoint(max(newest, key=Path.exists))
    assert one.step == two.step == 60
    assert one.state == two.state
    assert one.tensors.keys() == two.tensors.keys()
    for name, tensor in one.tensors.items():
        assert torch.equal(tensor, two.tensors[name]), name
