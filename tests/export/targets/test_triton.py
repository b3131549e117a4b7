"""The model repository for Triton: its configurations, its graphs, what it refuses. The server
itself reads it in tests/serving."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

pytest.importorskip("tritonclient", reason="pip install -e '.[triton-client]'")

from export import targets
from export.__main__ import main
from export.targets import Options
from export.triton import batch_axis, config, deployment, repository, settings
from runtime import plugins
from runtime.errors import ParityError, UsageError
from tests.hostile import seeds

ROOT = Path(__file__).resolve().parents[3]
MODELS = ROOT / "models"
TRITON = plugins.load(targets, "triton")


def written(folder, *models, **extra):
    TRITON.write([MODELS / name for name in models], folder, Options(extra=extra, size=(64, 48)))
    return repository.read(folder / "models")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("out") / "served"
    written(folder, "starry.onnx", "many.onnx", "adain.onnx", instances="2", batch="4", queue="9")
    return folder


@pytest.fixture(scope="module")
def configs(folder):
    return repository.read(folder / "models")


def test_each_style_is_served_in_every_way_that_it_can(configs):
    kinds = ("", "_stream", "_jpeg")
    expected = {name + kind for name in ("starry", "many", "adain") for kind in kinds}
    assert set(configs) == expected | {"starry_fp32", config.DECODE, config.ENCODE}


def test_what_was_asked_for_is_in_the_configuration(configs):
    starry = configs["starry"]
    assert (starry.backend, starry.max_batch_size) == ("python", 4)
    (group,) = starry.instance_group
    assert group.count == 2 and group.kind == group.KIND_CPU
    (resource,) = group.rate_limiter.resources
    assert (resource.name, resource.count) == ("painters", 1)
    assert getattr(resource, "global")
    assert starry.dynamic_batching.default_queue_policy.max_queue_size == 9
    assert dict(starry.metric_tags) == {"style": "starry", "precision": "int8"}
    (warm,) = starry.model_warmup
    assert list(warm.inputs["image"].dims) == [48, 64, 3] and list(warm.inputs) == ["image"]
    assert starry.parameters["title"].string_value == "The Starry Night (1889)"


def test_styles_are_inputs(configs):
    def given(name):
        return {each.name: (each.data_type, each.optional) for each in configs[name].input}

    types = config.messages().DataType
    words, bytes_ = types.Value("TYPE_STRING"), types.Value("TYPE_UINT8")
    assert given("many")["style"] == (words, True)
    assert given("adain")["style"] == (bytes_, False)
    assert given("adain_stream")["style"] == (bytes_, True), "it comes with the first frame"
    assert set(given("starry")) == {"image", "strength", "still"}
    assert set(given("starry_jpeg")) == {"file", "strength"}, "a file is a still"
    assert "still" not in given("starry_stream"), "and a frame is none"
    assert list(configs["adain"].model_warmup[0].inputs["style"].dims) == [64, 64, 3]


def test_a_stream_is_a_sequence(configs):
    stream = configs["starry_stream"]
    assert stream.model_transaction_policy.decoupled and stream.max_batch_size == 0
    assert stream.sequence_batching.oldest.max_candidate_sequences == 8
    assert stream.sequence_batching.max_sequence_idle_microseconds == 60_000_000
    names = [control.name for control in stream.sequence_batching.control_input]
    assert names == ["begin", "end", "stream"]


def test_a_gpu_is_asked_for(tmp_path):
    configs = written(tmp_path / "gpu", "starry.onnx", device="gpu", environment="/opt/e.tar.gz")
    (group,) = configs["starry_fp32"].instance_group
    assert group.kind == group.KIND_GPU
    accelerators = configs["starry_fp32"].optimization.execution_accelerators
    assert [each.name for each in accelerators.gpu_execution_accelerator] == ["tensorrt"]
    (group,) = configs[config.DECODE].instance_group
    assert group.kind == group.KIND_CPU, "files are decoded on the CPU"
    assert configs["starry"].parameters["EXECUTION_ENV_PATH"].string_value == "/opt/e.tar.gz"
    services = yaml.safe_load((tmp_path / "gpu/compose.yaml").read_text("utf-8"))["services"]
    (device,) = services["triton"]["deploy"]["resources"]["reservations"]["devices"]
    assert device["capabilities"] == ["gpu"]
    kserve = yaml.safe_load((tmp_path / "gpu/inference_service.yaml").read_text("utf-8"))
    assert kserve["spec"]["predictor"]["model"]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_the_float_graph_may_run_in_the_python_backend(tmp_path):
    output = tmp_path / "out"
    configs = written(output, "starry.onnx", graph="python", threads="2", environment="/e.tar.gz")
    made = configs["starry_fp32"]
    assert (made.backend, made.max_batch_size) == ("python", 8)
    told = {key: each.string_value for key, each in made.parameters.items()}
    assert (told["model"], told["threads"], told["multiple_of"]) == ("model.onnx", "2", "4")
    assert told["EXECUTION_ENV_PATH"] == "/e.tar.gz"
    files = {path.name for path in (output / "models/starry_fp32/1").iterdir()}
    assert files == {"model.onnx", "model.py", "served.py"}
    found = TRITON.check([MODELS / "starry.onnx"], output, Options(extra={"graph": "python"}))
    assert any("starry_fp32" in line and "same to the last bit" in line for line in found)


def test_what_starts_the_server_fits_the_models(folder):
    services = yaml.safe_load((folder / "compose.yaml").read_text("utf-8"))["services"]
    assert "--rate-limit-resource=painters:2" in services["triton"]["command"]
    assert all(
        port.startswith("127.0.0.1:") for each in services.values() for port in each["ports"]
    )
    kserve = yaml.safe_load((folder / "inference_service.yaml").read_text("utf-8"))
    assert kserve["kind"] == "InferenceService"
    assert "painters:2" in kserve["spec"]["predictor"]["model"]["args"][-1]
    page = (folder / "page/index.html").read_text("utf-8")
    assert '"starry_jpeg"' in page and "The Starry Night" in page
    assert "@" not in "".join(
        (folder / name).read_text("utf-8") for name in ("Dockerfile", "page/index.html")
    )
    text = (folder / "README.md").read_text("utf-8")
    assert all(f"`{name}`" in text for name in repository.read(folder / "models"))


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_the_compose_file_is_one(tmp_path, device):
    models = pytest.importorskip("compose_spec.models", reason="pip install -e '.[dev]'")
    written(tmp_path / "out", "starry.onnx", device=device)
    file = yaml.safe_load((tmp_path / "out/compose.yaml").read_text("utf-8"))
    models.ComposeSpecification.model_validate(file)
    # The schema lets unknown keys pass.
    for known, given in ((models.ComposeSpecification, file), *services(models, file)):
        names = {field.alias or name for name, field in known.model_fields.items()}
        assert set(given) <= names


def services(models, file):
    return [(models.Service, service) for service in file["services"].values()]


@pytest.mark.parametrize("device", ["cpu", "gpu"])
def test_kubernetes_takes_the_containers(tmp_path, device):
    """Those of the KServe service, and the pods of the page on batches."""
    kubernetes = pytest.importorskip("kubernetes_validate", reason="pip install -e '.[dev]'")
    written(tmp_path / "out", "starry.onnx", device=device)
    text = (tmp_path / "out/inference_service.yaml").read_text("utf-8")
    model = yaml.safe_load(text)["spec"]["predictor"]["model"]
    served = {name: model[name] for name in ("image", "args", "resources")}
    assert set(model) == {*served, "modelFormat", "protocolVersion", "storageUri"}
    page = (ROOT / "docs/guide/batch.md").read_text("utf-8")
    blocks = [yaml.safe_load(part.partition("```")[0]) for part in page.split("```yaml\n")[1:]]
    (job,) = [block for block in blocks if block.get("kind") == "RayJob"]
    cluster = job["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    pods = [{"spec": {"containers": [{"name": "served", **served}]}}]
    for pod in [*pods, *(group["template"] for group in groups)]:
        whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a-pod"}, **pod}
        kubernetes.validate(whole, "1.34", strict=True)
        with pytest.raises(kubernetes.ValidationError):
            kubernetes.validate({**whole, "spec": {"contianers": []}}, "1.34", strict=True)


@pytest.mark.parametrize("name", ["starry-fp32.onnx", "monet-fp32.onnx", "scream-fast-fp32.onnx"])
def test_a_batch_is_its_pictures(name, tmp_path):
    """To the last bit; and the graph with a free axis is the graph, for one picture."""
    import onnxruntime as ort

    path = tmp_path / "model.onnx"
    batch_axis.write(MODELS / name, path)
    rng = np.random.default_rng(0)
    photos = [rng.integers(0, 256, (40, 56, 3), np.uint8) for _ in range(3)]
    assert "3 pictures at once" in batch_axis.check(path, photos, 4)
    picture = rng.random((1, 3, 40, 56), np.float32)
    answers = [
        ort.InferenceSession(str(each)).run(None, {"image": picture})[0]
        for each in (MODELS / name, path)
    ]
    assert np.array_equal(*answers)


def test_a_graph_that_mixes_its_pictures_is_refused(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    shape = ["batch", 3, "height", "width"]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["image", "axes"], ["mean"], keepdims=1),
            helper.make_node("Sub", ["image", "mean"], ["styled"]),
        ],
        "mixes",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
        [helper.make_tensor("axes", TensorProto.INT64, [1], [0])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, tmp_path / "mixes.onnx")
    photos = [np.full((8, 8, 3), value, np.uint8) for value in (10, 200)]
    with pytest.raises(ParityError, match="picture 0 of a batch is not what it is alone"):
        batch_axis.check(tmp_path / "mixes.onnx", photos, 4)


def broken(folder, tmp_path, name, change):
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    change(copy / "models" / name)
    return copy


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda model: (model / "1/model.py").unlink(), "model.py"),
        (lambda model: (model / "1/starry.onnx").unlink(), "starry.onnx"),
        (lambda model: (model / "config.pbtxt").write_text('nmae: "starry"'), "nmae"),
        (lambda model: (model / "config.pbtxt").write_text('name: "x"'), "is called x"),
    ],
)
def test_what_was_damaged_is_refused(folder, tmp_path, change, said):
    copy = broken(folder, tmp_path, "starry", change)
    with pytest.raises(ParityError, match=said):
        repository.read(copy / "models")


def test_a_configuration_of_another_graph_is_refused(folder, configs):
    path = folder / "models/starry_fp32/1/model.onnx"
    repository.check_graph(path, configs["starry_fp32"])
    wrong = type(configs["starry_fp32"])()
    wrong.CopyFrom(configs["starry_fp32"])
    wrong.input[0].dims[0] = 4
    with pytest.raises(ParityError, match="its configuration says"):
        repository.check_graph(path, wrong)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("device", "tpu"),
        ("graph", "tensorrt"),
        ("instances", "0"),
        ("quality", "101"),
        ("batch", "-1"),
        ("queue", "x"),
    ],
)
def test_a_wrong_option(key, value):
    with pytest.raises(UsageError, match=f"--option {key}={value}: allowed"):
        settings.read({key: value})


def test_as_many_at_once_as_instances_unless_said():
    assert settings.read({"instances": "3"}).at_once == 3
    assert settings.read({"instances": "3", "at_once": "1"}).at_once == 1


def test_two_models_of_one_name(tmp_path):
    with pytest.raises(UsageError, match='two models would be called "starry"'):
        written(tmp_path / "out", "starry.onnx", "starry.onnx")


def test_a_float_file_is_its_own_counterpart(tmp_path):
    configs = written(tmp_path / "out", "starry-fp32.onnx")
    assert "starry-fp32_fp32" in configs and "starry-fp32_stream" in configs


def plan(folder, library):
    """An engine file as `--target tensorrt` leaves it; nobody here can run one."""
    from runtime.card import beside
    from runtime.engines.tensorrt.plan import PlanFacts, write_facts
    from runtime.model.session import open_session

    path = folder / "starry.engine"
    path.write_bytes(b"plan")
    write_facts(PlanFacts(library, "10.13", "13", "NVIDIA L4", ("8.9",), "fp16"), path)
    with open_session(MODELS / "starry-fp32.onnx") as session:
        beside(path).write_text(session.card.to_json())
    return path


def test_a_plan_is_taken_as_it_is(tmp_path):
    path = plan(tmp_path, "TensorRT")
    made = repository.write([path], tmp_path / "models", settings.Settings(), (64, 48))
    trt = made.models["starry_trt"]
    assert (trt.platform, trt.max_batch_size) == ("tensorrt_plan", 0)
    assert list(trt.input[0].dims) == [1, 3, -1, -1]
    assert (tmp_path / "models/starry_trt/1/model.plan").read_bytes() == b"plan"
    assert "TensorRT 10.13" in made.notes[0] and list(repository.read(tmp_path / "models"))
    with pytest.raises(UsageError, match="built by TensorRT-RTX, Triton loads plans of TensorRT"):
        repository.write(
            [plan(tmp_path, "TensorRT-RTX")], tmp_path / "x", settings.Settings(), (8, 8)
        )


@pytest.mark.parametrize(
    "name", ["a b", '";alert(1);"', "$(touch x)", ".", "-x", "é", "a\n", "\x1b"]
)
def test_names_that_a_page_or_a_path_would_misread_are_refused(tmp_path, name):
    path = tmp_path / f"{name}.onnx"
    shutil.copy(MODELS / "starry-fast.onnx", path)
    with pytest.raises(UsageError, match="no name for a model of a server"):
        repository.write([path], tmp_path / "models", settings.Settings(), (64, 48))


def test_titles_are_text_on_the_page(tmp_path):
    """A card's title is its maker's."""
    from runtime.model import zoo

    path = tmp_path / "evil.onnx"
    shutil.copy(MODELS / "starry-fast.onnx", path)
    card = zoo.read_card(path)
    style = {**card.style, "title": "<img src=x onerror=alert(1)>"}
    path.write_bytes(seeds.model(replace(card, style=style).to_json(), path.read_bytes()))
    made = repository.write([path], tmp_path / "models", settings.Settings(), (64, 48))
    deployment.write(tmp_path, made, settings.Settings())
    page = (tmp_path / "page" / "index.html").read_text()
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;</h1>" in page


def test_the_command(tmp_path, capsys):
    output = tmp_path / "served"
    words = ["--target", "triton", "--model", "starry-fast", "--output", str(output)]
    assert main([*words, "--option", "instances=2", "--json", "--quiet"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "checked, not run" and "starry-fast_stream" in report["models"]
    assert any("same to the last bit" in check for check in report["checks"])
    assert main([*words, "--quiet"]) == 2, "it is there"
    assert main([*words, "--option", "instances=zero", "--overwrite", "--quiet"]) == 2
    assert (output / "models/starry-fast/config.pbtxt").is_file(), "the older one is untouched"
