"""Single pictures, batches, files: the server's answers are those of the runtime, byte for byte."""

import json
import shutil
import subprocess
import urllib.request

import numpy as np
import pytest
from PIL import Image
from waiting import wait_for

from runtime import image, input_noise
from runtime.input_noise.still import flat_noise
from tests.serving.asking import ROOT, ask, number, tensors, words


@pytest.fixture(params=["grpc", "http"])
def client(request, grpc, http):
    return {"grpc": grpc, "http": http}[request.param]


def painted(session, picture, **conditions):
    session.reset()
    return session.stylize(picture, **conditions)


def test_it_is_ready_and_says_what_it_has(http, configs):
    assert http.is_server_live() and http.is_server_ready()
    assert http.get_server_metadata()["version"].startswith("2.")
    told = http.get_model_metadata("starry")
    assert told["inputs"][0] == {"name": "image", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}
    assert told["outputs"] == [{"name": "styled", "datatype": "UINT8", "shape": [-1, -1, -1, 3]}]
    served = http.get_model_config("many")["parameters"]
    assert "starry_night" in served["styles"]["string_value"].split(", ")
    assert configs["starry"].model_warmup and configs["starry"].max_batch_size == 8


def test_one_picture_and_several_in_a_request(client, direct, photographs):
    expected = [painted(direct("starry"), photo) for photo in photographs]
    single = ask(client, "starry", "styled", image=photographs[0][None])
    assert np.array_equal(single[0], expected[0])
    together = ask(client, "starry", "styled", image=np.stack(photographs))
    assert np.array_equal(together, np.stack(expected))


@pytest.mark.parametrize("size", [(33, 47), (8, 8), (1, 5)])
def test_any_size(grpc, direct, photographs, size):
    part = np.ascontiguousarray(photographs[0][: size[0], : size[1]])
    answer = ask(grpc, "starry", "styled", image=part[None])
    assert np.array_equal(answer[0], painted(direct("starry"), part))


def test_strength_styles_and_weights(client, direct, photographs):
    photo, other = photographs[:2]
    half = ask(client, "starry", "styled", image=photo[None], strength=number(0.5))
    assert np.array_equal(half[0], painted(direct("starry"), photo, strength=0.5))
    mixed = ask(
        client, "many", "styled",
        image=photo[None],
        style=words("starry_night", "udnie"),
        weights=np.array([[1, 3]], np.float32),
    )  # fmt: skip
    wanted = [("starry_night", 1.0), ("udnie", 3.0)]
    assert np.array_equal(mixed[0], direct("many").stylize(photo, style=wanted))
    named = ask(client, "many", "styled", image=photo[None], style=words("udnie"))
    assert not np.array_equal(named, mixed)
    any_style = ask(
        client, "adain", "styled", image=photo[None], style=other[None], alpha=number(0.7)
    )
    assert np.array_equal(any_style[0], direct("adain").stylize(photo, style=other, alpha=0.7))


def test_a_still_gets_the_noise_that_stills_get(client, direct, photographs):
    photo = photographs[0]
    answer = ask(client, "starry", "styled", image=photo[None], still=np.array([[True]]))
    noise = flat_noise(photo, input_noise.USUAL).whole()
    assert np.array_equal(answer[0], painted(direct("starry"), photo, offset=noise))
    frame = ask(client, "starry", "styled", image=photo[None], still=np.array([[False]]))
    assert np.array_equal(frame[0], painted(direct("starry"), photo))


@pytest.fixture
def photo_file(photographs, tmp_path):
    """A JPEG that lies on its side and says so."""
    path = tmp_path / "photo.jpg"
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(photographs[1])))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(path, quality=95, exif=exif)
    return path


def test_a_file_becomes_the_file_that_the_command_writes(client, photo_file):
    answer = ask(
        client, "starry_jpeg", "painted", file=np.array([[photo_file.read_bytes()]], object)
    )
    output = photo_file.with_name("painted.jpg")
    words_ = [str(photo_file), str(output), "--model", str(ROOT / "models/starry.onnx"), "--strip"]
    assert image.main([*words_, "--no-provenance", "--device", "cpu", "--quiet"]) == 0
    assert answer[0, 0] == output.read_bytes()
    assert Image.open(output).size == (80, 60)


def test_a_file_with_conditions(grpc, photo_file):
    file = np.array([[photo_file.read_bytes()]], object)
    plain = ask(grpc, "many_jpeg", "painted", file=file)
    styled = ask(grpc, "many_jpeg", "painted", file=file, style=words("udnie"))
    half = ask(grpc, "many_jpeg", "painted", file=file, style=words("udnie"), strength=number(0.5))
    assert len({bytes(answer[0, 0]) for answer in (plain, styled, half)}) == 3


WRONG = {
    "type": ("starry", {"image": np.zeros((1, 8, 8, 3), np.float32)}, "'FP32'"),
    "channels": ("starry", {"image": np.zeros((1, 8, 8, 4), np.uint8)}, "Expected [-1,-1,-1,3]"),
    "axes": ("starry", {"image": np.zeros((8, 3), np.uint8)}, "Expected [-1,-1,-1,3]"),
    "batch": ("starry", {"image": np.zeros((9, 8, 8, 3), np.uint8)}, "<= 8"),
    "name": ("starry", {"imge": np.zeros((1, 8, 8, 3), np.uint8)}, "imge"),
    "empty": (
        "starry", {"image": np.zeros((1, 0, 8, 3), np.uint8)},
        "the picture is 8x0, allowed are 1 to 16777216 pixels; send a smaller one",
    ),
    "large": (
        "starry", {"image": np.zeros((1, 4097, 4096, 3), np.uint8)},
        "the picture is 4096x4097, allowed are 1 to 16777216 pixels; send a smaller one",
    ),
    "strength": (
        "starry", {"image": np.zeros((1, 8, 8, 3), np.uint8), "strength": number(7)},
        "strength is 7, allowed is 0..1",
    ),
    "not a number": (
        "starry", {"image": np.zeros((1, 8, 8, 3), np.uint8), "strength": number(np.nan)},
        "strength is nan, allowed is 0..1",
    ),
    "style": (
        "many", {"image": np.zeros((1, 8, 8, 3), np.uint8), "style": words("nobody")},
        'style is "nobody"; this model knows its own by name',
    ),
    "weights": (
        "many",
        {"image": np.zeros((1, 8, 8, 3), np.uint8), "style": words("udnie"), "weights": number(-1)},
        "1 styles have the weights [-1.0], allowed is one number above 0 for each",
    ),
    "no style": ("adain", {"image": np.zeros((1, 16, 16, 3), np.uint8)}, "['style']"),
    "no picture": (
        "starry_jpeg", {"file": np.array([[b"nonsense"]], object)},
        "the picture is not a picture, or of a kind that cannot be read",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_in_one_line(http, grpc, case):
    """The server's own line where it never asks a model, ours where it does; 400 in both cases."""
    from tritonclient.utils import InferenceServerException

    model, arrays, said = WRONG[case]
    for client, code in ((http, "400"), (grpc, "StatusCode.INVALID_ARGUMENT")):
        with pytest.raises(InferenceServerException) as caught:
            client.infer(model, tensors(client, arrays))
        assert caught.value.status() == code
        assert said in caught.value.message() and "\n" not in caught.value.message()


def test_the_server_lives_on_after_all_that(http, direct, photographs):
    answer = ask(http, "starry", "styled", image=photographs[2][None])
    assert np.array_equal(answer[0], painted(direct("starry"), photographs[2]))


def test_shared_memory(grpc, direct, photographs):
    """Pictures go in and out without being sent."""
    from tritonclient.grpc import InferInput, InferRequestedOutput
    from tritonclient.utils import shared_memory

    photo = photographs[0][None]
    regions = {
        name: shared_memory.create_shared_memory_region(name, f"/impasto_{name}", photo.nbytes)
        for name in ("given", "made")
    }
    try:
        shared_memory.set_shared_memory_region(regions["given"], [photo])
        for name in regions:
            grpc.register_system_shared_memory(name, f"/impasto_{name}", photo.nbytes)
        given = InferInput("image", list(photo.shape), "UINT8")
        given.set_shared_memory("given", photo.nbytes)
        made = InferRequestedOutput("styled")
        made.set_shared_memory("made", photo.nbytes)
        grpc.infer("starry", [given], outputs=[made])
        answer = shared_memory.get_contents_as_numpy(regions["made"], np.uint8, list(photo.shape))
        assert np.array_equal(answer[0], painted(direct("starry"), photographs[0]))
    finally:
        grpc.unregister_system_shared_memory()
        for region in regions.values():
            shared_memory.destroy_shared_memory_region(region)


def counted(server, model, what="request_success"):
    """Requests that a model has answered, or runs of it, by the server's metrics."""
    address = f"http://127.0.0.1:{server.metrics_port}/metrics"
    with urllib.request.urlopen(address, timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    (line,) = [
        line
        for line in lines
        if line.startswith(f"nv_inference_{what}{{") and f'model="{model}"' in line
    ]
    return line, int(float(line.rpartition(" ")[2]))


def test_two_hundred_at_once(server, grpc, direct, photographs):
    """All are answered, each with its own picture, and the metrics have counted them."""
    expected = [painted(direct("starry"), photo) for photo in photographs]
    before = counted(server, "starry")[1]
    answers = {}

    def keep(index):
        return lambda result, error: answers.update({index: error or result.as_numpy("styled")})

    for n in range(200):
        grpc.async_infer("starry", tensors(grpc, {"image": photographs[n % 3][None]}), keep(n))
    wait_for(lambda: len(answers) == 200, 120)
    assert sorted(answers) == list(range(200))
    assert all(np.array_equal(answers[n][0], expected[n % 3]) for n in range(200))
    line, after = counted(server, "starry")
    assert after - before == 200
    assert 'style="starry"' in line and 'precision="int8"' in line


def test_float_pictures_are_put_together_where_the_python_backend_has_the_graph(
    server, grpc, at_once, photographs
):
    """Each is to the last bit what it is alone, however many went through the graph with it."""
    import onnxruntime as ort

    name = "starry-fast_fp32"
    session = ort.InferenceSession(str(ROOT / "models/starry-fast-fp32.onnx"))
    floats = [photo.transpose(2, 0, 1)[None] / np.float32(255) for photo in photographs]
    floats.append(np.ascontiguousarray(floats[0][:, :, :48]))  # of another size
    expected = [session.run(None, {"image": each})[0] for each in floats]
    before = [counted(server, name, what)[1] for what in ("request_success", "exec_count")]
    jobs = [lambda n=n: ask(grpc, name, "styled", image=floats[n % 4]) for n in range(24)]
    answers = at_once(jobs)
    assert all(np.array_equal(answer, expected[n % 4]) for n, answer in enumerate(answers))
    after = [counted(server, name, what)[1] for what in ("request_success", "exec_count")]
    requests, runs = (now - then for now, then in zip(after, before, strict=True))
    assert requests == 24 > runs  # some were put together
    together = ask(grpc, name, "styled", image=np.concatenate(floats[:3]))
    assert np.array_equal(together, np.concatenate(expected[:3]))


def test_the_float_graph_says_what_it_takes(http):
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="47x33, allowed are sides that 4 divides"):
        ask(http, "starry-fast_fp32", "styled", image=np.zeros((1, 3, 33, 47), np.float32))


def test_the_float_graph_stops_at_its_backend_only(grpc):
    """This server has none for ONNX; up to there it has accepted the configuration."""
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException) as caught:
        grpc.load_model("starry_fp32")
    assert "onnxruntime" in caught.value.message()
    assert "unable to find" in caught.value.message().lower()


def test_the_server_refuses_a_configuration_with_a_slip(server, grpc):
    """What our check of configurations stands for."""
    from tritonclient.utils import InferenceServerException

    config = json.dumps({"name": "starry_fp32", "backend": "python", "max_batch_sise": 4})
    with pytest.raises(InferenceServerException, match="failed to load"):
        grpc.load_model("starry_fp32", config=config)
    assert "max_batch_sise" in server.log.read_text("utf-8")


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js: apt install nodejs")
def test_the_page_asks_as_the_python_client_does(server, grpc, repository, photo_file):
    script = (
        'import { readFileSync, writeFileSync } from "node:fs";'
        'import { paint } from "./paint.mjs";'
        "const [server, model, from, to] = process.argv.slice(2);"
        "const file = readFileSync(from);"
        "const bytes = file.buffer.slice(file.byteOffset, file.byteOffset + file.length);"
        "writeFileSync(to, await paint(server, model, bytes, 0.5));"
        'try { await paint(server, model, new TextEncoder().encode("no").buffer); }'
        "catch (error) { console.log(error.message); }"
    )
    page = repository / "page"
    (page / "test.mjs").write_text(script)
    output = photo_file.with_name("by_page.jpg")
    address = f"http://127.0.0.1:{server.http_port}"
    command = ["node", "test.mjs", address, "starry_jpeg", str(photo_file), str(output)]
    done = subprocess.run(command, cwd=page, capture_output=True, text=True, check=False)
    (page / "test.mjs").unlink()
    assert done.returncode == 0, done.stderr
    assert "the picture is not a picture" in done.stdout
    file = np.array([[photo_file.read_bytes()]], object)
    expected = ask(grpc, "starry_jpeg", "painted", file=file, strength=number(0.5))
    assert output.read_bytes() == expected[0, 0]
