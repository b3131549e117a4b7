"""The commands on a tiny model: every row complete, every refusal in one line."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import end_to_end, latency, peers, startup
from benchmarks.measuring import cold, results, subjects
from runtime.model.session import open_session

from .conftest import TINY_MACS_PER_PIXEL, TINY_PARAMETERS, tiny_onnx

ROOT = Path(__file__).parent.parent.parent
COMMANDS = ("latency", "end_to_end", "startup", "frame_costs", "report", "peers", "soak")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_begins_with_a_command(name):
    done = run(f"benchmarks.{name}", "--help")
    assert done.returncode == 0 and f"python -m benchmarks.{name}" in done.stdout


def run(module, *flags):
    command = [sys.executable, "-m", module, *flags]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_pytorch_is_not_needed(tiny_model):
    """A whole latency run without torch and skimage: on a board or a phone."""
    code = (
        "import sys\n"
        "class No:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.split('.')[0] in ('torch', 'skimage', 'scipy', 'matplotlib'):\n"
        "            raise ImportError(name)\n"
        "sys.meta_path.insert(0, No())\n"
        "from benchmarks import end_to_end, frame_costs, latency, soak, startup\n"
        "from benchmarks.report import __main__, compare, plots\n"
        "sys.exit(latency.main(sys.argv[1:]))\n"
    )
    flags = ["--models", str(tiny_model), "--sizes", "64x48", "--duration", "0.1", "--json", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", code, *flags], capture_output=True, text=True, cwd=ROOT, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"][0]["metrics"]["parameters"] == TINY_PARAMETERS


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One small latency run with a peer, as a result file."""
    folder = tmp_path_factory.mktemp("latency")
    ours = tiny_onnx(folder / "ours.onnx", recipe={"style": "none"})
    others = folder / "peers"
    others.mkdir()
    tiny_onnx(others / "other.onnx", recipe={"weights": "random"})
    file = folder / "latency.json"
    flags = ["--models", str(ours), "--peers", str(others), "--sizes", "64x48,96x64,128x96"]
    flags += ["--peer-sizes", "64x48", "--duration", "0.5", "--cold-starts", "1", "--fit", "-q"]
    assert latency.main([*flags, "--json", str(file)]) == 0
    return results.read(file)


def row_of(data, name):
    return next(row for row in data["rows"] if row["id"] == name)


def test_rows_of_all_combinations(measured):
    ids = [row["id"] for row in measured["rows"]]
    tail = "onnxruntime/cpu/1"
    assert ids[:4] == [f"ours/{size}/{tail}" for size in ("64x48", "96x64", "128x96")] + [
        f"other/64x48/{tail}"
    ]
    assert ids[4:] == ["fit/pixels/ours/onnxruntime/cpu/1"]


def test_a_row_is_complete(measured):
    row = row_of(measured, "ours/96x64/onnxruntime/cpu/1")
    metrics = row["metrics"]
    assert metrics["parameters"] == TINY_PARAMETERS
    assert metrics["kmacs_per_pixel"] == TINY_MACS_PER_PIXEL / 1e3
    assert row["labels"]["role"] == "ours" and row["labels"]["weights"] == "trained"
    assert len(row["labels"]["sha256"]) == 64
    assert metrics["samples"] == len(metrics["total_times_ms"]) == len(metrics["model_times_ms"])
    assert metrics["fps"] == pytest.approx(1000 / metrics["total_p50_ms"], rel=0.01)
    for key in ("rate_gops", "peak_share_percent", "cold_start_ms", "file_mib", "post_p50_ms"):
        assert metrics[key] is not None and metrics[key] >= 0, key
    stages = [metrics[f"cold_{name}_ms"] for name in cold.STAGES]
    assert sum(stages) == pytest.approx(metrics["cold_start_ms"], abs=1.0)


def test_parts_add_up_to_the_whole(measured):
    for row in measured["rows"][:4]:
        pairs = zip(row["metrics"]["model_times_ms"], row["metrics"]["total_times_ms"], strict=True)
        assert all(model <= total for model, total in pairs)


def test_peers_are_labeled_and_are_the_baseline(measured):
    row = row_of(measured, "other/64x48/onnxruntime/cpu/1")
    assert row["labels"]["role"] == "peer" and row["labels"]["weights"] == "random"
    assert measured["settings"]["baseline"] == "other" and row["metrics"]["speedup"] == 1.0
    ours = row_of(measured, "ours/64x48/onnxruntime/cpu/1")["metrics"]
    assert ours["speedup"] > 0 and ours["speedup_cpu"] > 0 and ours["cpu_p50_ms"] > 0
    assert "speedup" not in row_of(measured, "ours/96x64/onnxruntime/cpu/1")["metrics"]


def test_environment_and_thermometer_are_there(measured):
    heat = measured["thermometer"]
    assert len(heat["readings"]) == measured["settings"]["rounds"] + 1
    assert heat["peak"]["t1"]["conv_gops"] > 0
    assert measured["environment"]["packages"]["onnxruntime"]
    assert "benchmarks" in measured["command"] or "python" in measured["command"]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--models", "stary"], 2, "no model"),
        (["--models", "MODEL", "--engines", "nope"], 2, "nope"),
        (["--models", "MODEL", "--devices", "cuda"], 3, "nothing to measure"),
        (["--models", "MODEL", "--precisions", "int4"], 3, "its precision is fp32"),
        (["--models", "MODEL", "--threads", "0"], 2, "--threads"),
        (["--models", "MODEL", "--peers", "FOLDER"], 2, "benchmarks.peers --output"),
        (["--models", "MODEL", "--json", "MODEL"], 2, "exists"),
    ],
)
def test_refusals(flags, code, words, tmp_path, capsys):
    if "cuda" in flags and "CUDAExecutionProvider" in ort_providers():
        pytest.skip("this machine has CUDA")
    model = str(tiny_onnx(tmp_path / "tiny.onnx"))
    (tmp_path / "empty").mkdir()
    known = {"MODEL": model, "FOLDER": str(tmp_path / "empty")}
    given = [known.get(flag, flag) for flag in flags]
    assert latency.main([*given, "--duration", "0.1", "--cold-starts", "0"]) == code
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert len(lines) == 1 and words in lines[0]


def ort_providers():
    import onnxruntime

    return onnxruntime.get_available_providers()


def test_bad_size_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as caught:
        latency.main(["--models", "x", "--sizes", "640by480"])
    assert caught.value.code == 2 and "640by480" in capsys.readouterr().err


def test_two_files_of_one_name_get_their_folders(tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        tiny_onnx(tmp_path / folder / "tiny.onnx")
    models = [str(tmp_path / folder / "tiny.onnx") for folder in ("a", "b")]
    axes = subjects.Axes(models, [], [(32, 32)], [], ["onnxruntime"], ["cpu"], [1], [])
    found = subjects.open_subjects(axes, [])
    assert [subject.model for subject in found] == ["a-tiny", "b-tiny"]
    subjects.close(found)


def test_stopwatch_changes_nothing(tiny_model):
    image = subjects.frames((40, 32), 1)[0]
    with open_session(tiny_model) as session:
        plain = session.stylize(image)
        session._engine = subjects.Stopwatch(session._engine)
        assert (session.stylize(image) == plain).all()


def test_startup_rows(tiny_model, capsys):
    flags = ["--models", str(tiny_model), "--sizes", "64x48", "--starts", "2", "-q", "--json"]
    assert startup.main(flags) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["id"] == "tiny/64x48/onnxruntime/cpu" and row["metrics"]["aim_ms"] == 150
    metrics = row["metrics"]
    assert metrics["cold_python_ms"] > 0 and metrics["samples"] == 2
    assert metrics["imports_alone_ms"] > 0 and metrics["session_x_imports"] > 0
    assert metrics["live_ms"] > 0 and metrics["live_x_imports"] > 0


def test_a_process_that_fails_is_reported(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"nonsense")
    with pytest.raises(Exception, match="could not style a frame"):
        cold.start(tmp_path / "broken.onnx", 32, 32)


def test_targets():
    assert end_to_end.parse_target("starry@1280x720/2=45") == ("starry", "1280x720", 2, 45.0)
    for wrong in ("starry=45", "starry@big/2=45", "starry@1280x720/two=45"):
        with pytest.raises(ValueError, match="CORES=FPS"):
            end_to_end.parse_target(wrong)


def test_too_many_cores_are_refused(tiny_model, capsys):
    flags = ["--models", str(tiny_model), "--cores", "4096"]
    assert end_to_end.main(flags) == 2
    assert "this process may use" in capsys.readouterr().err


def test_another_checkout_takes_turns(tiny_model, tmp_path, capsys):
    flags = ["--models", str(tiny_model), "--sizes", "64x48", "--frames", "4", "--cores", "1"]
    flags += ["--rounds", "1", "--stabilizers", "off", "--quiet"]
    assert end_to_end.main([*flags, "--against", str(tmp_path)]) == 2
    assert "no checkout" in capsys.readouterr().err
    assert end_to_end.main([*flags, "--against", str(ROOT), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    (ratio,) = row["metrics"]["x_against_wall_times"]
    assert ratio == row["metrics"]["x_against_wall"] > 0


def test_pinning_is_undone():
    before = end_to_end.usable_cores()
    with end_to_end.pinned(1):
        assert len(end_to_end.usable_cores()) == 1 or not before
    assert end_to_end.usable_cores() == before


def test_clip_has_the_frames_asked_for(tmp_path):
    import av

    path = end_to_end.make_clip((64, 48), 12, tmp_path)
    with av.open(path) as clip:
        assert sum(1 for _ in clip.decode(video=0)) == 12


def test_peer_export_keeps_the_answer(tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    from training import networks

    monkeypatch.setitem(peers.PEERS, "magenta", ("small", {"width": 4, "blocks": 1}))
    details = peers.export("magenta", tmp_path / "magenta.onnx")
    assert details.recipe["weights"] == "random" and details.network["config"]["width"] == 4
    with open_session(tmp_path / "magenta.onnx") as session:
        image = subjects.frames((48, 32), 1)[0]
        styled = session.stylize(image)
        assert session.card.license == "none: random weights"
    torch.manual_seed(0)
    network = networks.build("magenta", width=4, blocks=1).eval()
    for parameter in network.parameters():
        parameter.data += 1e-3 * torch.randn_like(parameter)
    with torch.no_grad():
        pixels = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
        expected = (network(pixels)[0].permute(1, 2, 0).clamp(0, 1) * 255).round().byte()
    difference = abs(styled.astype(int) - expected.numpy().astype(int))
    assert difference.max() <= 1


def test_unknown_peer(capsys):
    assert peers.main(["--network", "jonson"]) == 2
    assert 'Did you mean "johnson"?' in capsys.readouterr().err


def test_a_whole_clip(tiny_model, capsys):
    flags = ["--models", str(tiny_model), "--sizes", "64x48", "--frames", "10", "--rounds", "1"]
    flags += ["--cores", "1", "--stabilizers", "off", "--outputs", "encode,none", "--json", "-q"]
    assert end_to_end.main([*flags, "--aims", "tiny@64x48/1=30"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["labels"]["output"] for row in rows] == ["encode", "none"]
    for row in rows:
        assert row["metrics"]["frames"] == 10 and row["metrics"]["fps"] > 0
        assert row["metrics"]["style_p50_ms"] > 0 and row["metrics"]["stabilize_p50_ms"] == 0
        assert row["metrics"]["style_mean_ms"] > 0 and row["metrics"]["busy_pct"] > 0
        assert row["labels"]["clip"] == "synthetic" and len(row["labels"]["sha256"]) == 64
    assert rows[0]["metrics"]["kib_per_frame"] > 0 and rows[1]["metrics"]["kib_per_frame"] is None
    # A target is for stabilized and encoded video only.
    assert [row["metrics"]["aim_fps"] for row in rows] == [None, None]


def test_a_foreign_model_of_one_size(tmp_path, capsys):
    import numpy as np
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.full((3, 3, 3, 3), 1 / 27, np.float32), "w")
    shape = [1, 3, 96, 64]
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, shape) for n in ("x", "y")]
    node = helper.make_node("Conv", ["x", "w"], ["y"], pads=[1, 1, 1, 1])
    graph = helper.make_graph([node], "foreign", info[:1], info[1:], [weight])
    path = tmp_path / "foreign.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    flags = ["--models", str(path), "--range", "0..1", "--duration", "0.1", "--cold-starts", "1"]
    assert latency.main([*flags, "--json", "-q"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    # Whatever sizes were asked for, it can be timed at its own only.
    assert row["labels"]["size"] == "64x96" and row["metrics"]["kmacs_per_pixel"] == 0.081
    assert row["labels"]["weights"] == "unknown" and row["metrics"]["cold_start_ms"] > 0


def test_lists_name_nothing_twice(capsys):
    """Rows go by what is listed: the second would end a measurement when it is written."""
    with pytest.raises(SystemExit, match="2"):
        latency.main(["--models", "starry,starry"])
    assert "lists starry twice; give it once" in capsys.readouterr().err
