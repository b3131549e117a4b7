"""Two nodes of Ray on this machine, of which one leaves while it paints."""

import json
import subprocess
import sys

import pytest

pytest.importorskip("ray", reason="needs the ray extra (make test-batch)")

from archives import MODEL, ROOT, start, take, wait_for, write_clip

from runtime.batch.manifest import NAME
from runtime.clips.batch import Job
from runtime.clips.options import ClipOptions
from runtime.clips.painter import paint_clip
from runtime.errors import DONE
from runtime.meter import Meter
from runtime.model.options import StylizeOptions, open_stylizer

STABILITY, TAKE_FRAMES = 0.4, 300  # parts of 6 frames: a take is divided behind 120 of them


def test_the_page_has_a_cluster_that_ray_accepts():
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    page = (ROOT / "docs" / "guide" / "batch.md").read_text("utf-8")
    blocks = [yaml.safe_load(text.partition("```")[0]) for text in page.split("```yaml\n")[1:]]
    (config,) = [block for block in blocks if "cluster_name" in block]
    prepared = prepare_config(config)
    validate_config(prepared)
    assert prepared["head_node_type"] == "head"
    with pytest.raises(Exception, match="misspelled"):
        validate_config({**prepared, "misspelled": 1})


# Ray keeps back what it said before, and tells it at last when it is shut down: here two nodes.
REPEATED = """
import os
os.environ["RAY_ADDRESS"] = "127.0.0.1:1"  # nobody asked for that cluster
from runtime.batch.cluster import Resources, _ray
with _ray(Resources(jobs=1)) as ray:
    from ray._private.worker import print_to_stdstream
    for node in range(3):
        said = {"lines": [f"Task failed on node {node}."], "pid": node, "is_err": False}
        print_to_stdstream(said, ignore_prefix=False)
print("facts")
"""


@pytest.mark.timeout(300)
def test_what_ray_says_when_it_is_shut_down_does_not_reach_stdout():
    run = subprocess.run(
        [sys.executable, "-c", REPEATED], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert run.stdout == "facts\n"


@pytest.fixture
def cluster(monkeypatch):
    """A head that paints nothing, and two nodes with a processor each."""
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_worker_niceness", "0")
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    try:
        yield made
    finally:
        made.shutdown()


@pytest.mark.timeout(1200)
def test_a_node_that_leaves_costs_its_pieces_and_nothing_else(cluster, tmp_path):
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    cluster.wait_for_nodes()
    archive, output = tmp_path / "in", tmp_path / "out"
    archive.mkdir()
    for number in range(3):
        write_clip(archive / f"clip{number}.mp4", number)
    write_clip(archive / "take.mp4", 0, TAKE_FRAMES, take)
    wishes = ("--stability", str(STABILITY), "--ray-address", cluster.address, "--json")
    run = start(archive, output, *wishes)
    # Both nodes are at a piece, and one piece is painted.
    wait_for(lambda: list(output.glob("*.pieces/0000?.json")), run)
    wait_for(lambda: len([p for p in output.glob("*.pieces/0*.tries") if begun(p)]) >= 2, run)
    divided = json.loads((output / "take.mp4.pieces" / "plan.json").read_text())["pieces"]
    assert [piece["first"] for piece in divided] == [0, 120, 240]
    cluster.remove_node(nodes[0], allow_graceful=False)
    facts, told = run.communicate(timeout=400)
    assert run.returncode == DONE, told
    assert json.loads(facts)["painted"] == 4  # and nothing but that on stdout
    assert {path.name for path in output.iterdir()} == {p.name for p in archive.iterdir()} | {NAME}
    options = ClipOptions(sink={"preset": "ultrafast"}, stabilizer="best", stability=STABILITY)
    with open_stylizer(StylizeOptions([(str(MODEL), 1.0)], device="cpu")) as stylizer:
        for path in archive.iterdir():
            whole = tmp_path / path.name
            paint_clip(Job(str(path), str(whole)), stylizer, options, Meter())
            assert whole.read_bytes() == (output / path.name).read_bytes(), path.name


def begun(tries):
    """Whether a piece is being painted: what stands there is that its process died."""
    return bool(json.loads(tries.read_text()))
