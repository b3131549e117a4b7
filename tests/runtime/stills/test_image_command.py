"""python -m runtime.image as a user runs it."""

import json

import numpy as np
import onnx
import pytest
from PIL import Image

from runtime import image
from runtime.card import KEY
from runtime.pictures import writing
from runtime.pictures.reading import Album, Picture, read_rgb


def photo(height: int = 30, width: int = 44) -> np.ndarray:
    from skimage import data

    return np.ascontiguousarray(data.astronaut()[:height, 180 : 180 + width])


@pytest.fixture
def command(invert_model, capsys):
    """Run the command; gives (exit code, stdout, stderr)."""

    def run(*words: object) -> tuple[int, str, str]:
        code = image.main(["--model", str(invert_model), *(str(word) for word in words)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def save(path, pixels=None, **options):
    Image.fromarray(photo() if pixels is None else pixels).save(path, **options)
    return path


def test_one_file(tmp_path, command):
    source, target = save(tmp_path / "in.png"), tmp_path / "out.png"
    code, out, err = command("--input", source, "--output", target, "--json")
    assert code == 0 and np.array_equal(read_rgb(target), 255 - photo())
    result = json.loads(out)
    assert (result["frames_in"], result["frames_out"]) == (1, 1)
    assert (result["width"], result["height"]) == (44, 30)
    assert set(result["stages_ms"]) == {"decode", "style", "encode"}
    assert {"p50", "p95"} <= set(result["stages_ms"]["style"])
    assert result["engine"] == "onnxruntime" and result["device"] == "cpu"
    assert result["model"] == "invert.onnx" and len(result["model_sha256"]) == 64
    assert "out.png" in err


@pytest.mark.parametrize(
    ("learned", "given", "noisy"),
    [
        (0.3, (), True),
        (0.3, ("--noise", "0"), False),
        (0.0, (), False),
        (0.0, ("--noise", "0.5"), True),
    ],
)
def test_flat_pictures_get_noise_where_the_model_learned_it(
    tmp_path, invert_model, command, learned, given, noisy
):
    model = onnx.load(invert_model)
    (entry,) = [each for each in model.metadata_props if each.key == KEY]
    entry.value = json.dumps(json.loads(entry.value) | {"recipe": {"data": {"noise": learned}}})
    onnx.save(model, invert_model)
    flat = save(tmp_path / "in.png", np.full((40, 60, 3), 100, np.uint8))
    target = tmp_path / "out.png"
    assert command(*given, "--input", flat, "--output", target)[0] == 0
    assert bool(read_rgb(target).std() > 1) is noisy


def test_nothing_is_overwritten_unasked(tmp_path, command):
    source, target = save(tmp_path / "in.png"), save(tmp_path / "out.png")
    before = target.read_bytes()
    code, out, err = command("--input", source, "--output", target)
    assert code == 2 and out == "" and err.startswith("error: output") and err.count("\n") == 1
    assert target.read_bytes() == before
    assert command("--input", source, "--output", target, "--overwrite")[0] == 0
    assert target.read_bytes() != before


def test_default_names(tmp_path, command):
    source = save(tmp_path / "in.png")
    assert command("--input", source, "--quiet") == (0, "", "")
    assert np.array_equal(read_rgb(tmp_path / "in-invert.png"), 255 - photo())


@pytest.mark.parametrize("how", ["folder", "pattern", "list"])
def test_many_files(tmp_path, command, how):
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(3):
        save(folder / f"{k}.png", np.roll(photo(), k, axis=1))
    (folder / "notes.txt").write_text("not a picture")
    inputs = {
        "folder": [folder],
        "pattern": [f"{folder}/*.png"],
        "list": [folder / f"{k}.png" for k in range(3)],
    }[how]
    code, out, _ = command("--input", *inputs, "--output", tmp_path / "painted", "--json")
    assert code == 0 and json.loads(out)["frames_out"] == 3
    for k in range(3):
        painted = read_rgb(tmp_path / "painted" / f"{k}.png")
        assert np.array_equal(painted, 255 - np.roll(photo(), k, axis=1))


def test_a_bad_file_in_a_batch_is_counted(tmp_path, command):
    folder = tmp_path / "photos"
    folder.mkdir()
    save(folder / "good.png")
    (folder / "bad.png").write_text("no picture")
    code, out, err = command("--input", folder, "--output", tmp_path / "painted", "--json")
    assert code == 1 and "bad.png" in err and "1 failed" in err
    result = json.loads(out)
    assert (result["frames_out"], result["failed"]) == (1, 1)
    again = command("--input", folder / "good.png", folder, "--output", tmp_path / "painted")
    assert again[0] == 2 and "exists" in again[2]
    code, out, _ = command(
        "--input", folder, "--output", tmp_path / "painted", "--skip-existing", "--json"
    )
    assert code == 2 or json.loads(out)["skipped"] == 1


def test_same_names_from_two_folders_are_refused(tmp_path, command):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        save(tmp_path / name / "x.png")
    code, _, err = command(
        "--input", tmp_path / "a", tmp_path / "b", "--output", tmp_path / "painted"
    )
    assert code == 2 and "both be written" in err


def test_several_inputs_need_a_folder(tmp_path, command):
    one, two = save(tmp_path / "1.png"), save(tmp_path / "2.png")
    code, _, err = command("--input", one, two, "--output", tmp_path / "out.png")
    assert code == 2 and "folder" in err


@pytest.mark.parametrize(
    ("name", "content"), [("text.jpg", b"words"), ("empty.png", b""), ("missing.png", None)]
)
def test_bad_pictures(tmp_path, command, name, content):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    code, out, err = command("--input", path, "--output", tmp_path / "out.png")
    assert code == 2 and out == "" and err.startswith("error: ") and err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (900, 3)])
def test_odd_sizes(tmp_path, command, size):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    source = save(tmp_path / "in.png", pixels)
    assert command("--input", source, "--output", tmp_path / "out.png")[0] == 0
    assert np.array_equal(read_rgb(tmp_path / "out.png"), 255 - pixels)


def test_16_bits_and_alpha_stay(tmp_path, command):
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 65536, (9, 13, 3)).astype(np.uint16)
    alpha = rng.integers(0, 65536, (9, 13)).astype(np.uint16)
    source, target = tmp_path / "in.tif", tmp_path / "out.png"
    writing.write(source, [Picture(pixels, alpha)])
    assert command("--input", source, "--output", target)[0] == 0
    with Album(target) as album:
        back = next(iter(album))
    assert np.array_equal(back.alpha, alpha)
    assert np.abs(back.pixels.astype(int) - (65535 - pixels.astype(int))).max() <= 1


def test_animation(tmp_path, command):
    source, target = tmp_path / "in.png", tmp_path / "out.webp"
    frames = [Picture(np.roll(photo(), k, axis=1), duration_ms=70 + k) for k in (0, 9, 18)]
    writing.write(source, frames, animated=True)
    code, out, _ = command("--input", source, "--output", target, "--json", "--quality", 100)
    assert code == 0 and json.loads(out)["frames_out"] == 3
    with Album(target) as album:
        assert [round(p.duration_ms) for p in album] == [70, 79, 88]
    code, _, err = command("--input", source, "--output", tmp_path / "still.jpg")
    assert code == 0 and "only the first frame" in err


def test_size_fits_into_a_box(tmp_path, command):
    source = save(tmp_path / "in.png", photo(30, 60))
    assert command("--input", source, "--output", tmp_path / "o.png", "--size", "40x40")[0] == 0
    assert read_rgb(tmp_path / "o.png").shape == (20, 40, 3)


def test_strip(tmp_path, command):
    made = Image.Exif()
    made[271] = "Maker"
    source = save(tmp_path / "in.jpg", exif=made)
    command("--input", source, "--output", tmp_path / "kept.jpg")
    command("--input", source, "--output", tmp_path / "bare.jpg", "--strip")
    assert Image.open(tmp_path / "kept.jpg").getexif()[271] == "Maker"
    assert 271 not in Image.open(tmp_path / "bare.jpg").getexif()


def test_effects_and_mixing(tmp_path, command, identity_model):
    source = save(tmp_path / "in.png")
    mask = save(tmp_path / "mask.png", np.zeros((5, 5), np.uint8))
    target = tmp_path / "out.png"

    def painted(*flags) -> np.ndarray:
        assert command("--input", source, "--output", target, "--overwrite", *flags)[0] == 0
        return read_rgb(target).astype(int)

    assert np.array_equal(painted("--strength", 0), photo())
    assert np.array_equal(painted("--mask", mask), photo())
    assert np.abs(painted("--model", f"{identity_model}:1") - 127.5).max() <= 1
    assert not np.array_equal(painted("--keep-color"), painted("--keep-color", "histogram"))
    assert np.array_equal(
        painted("--seeds", 0.5, "--seed", 3), painted("--seeds", 0.5, "--seed", 3)
    )
    assert not np.array_equal(painted("--seeds", 0.5), painted())


@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--tile", "big"], "auto, off"),
        (["--knob", "gain"], "NAME=NUMBER"),
        (["--knob", "gain=1"], "gain"),
        (["--mask", "nowhere.png"], "nowhere.png"),
    ],
)
def test_bad_flags(tmp_path, command, flags, word):
    source = save(tmp_path / "in.png")
    code, _, err = command("--input", source, "--output", tmp_path / "o.png", *flags)
    assert code == 2 and word in err and err.count("\n") == 1


@pytest.mark.parametrize(
    "flags", [["--quality", "0"], ["--memory", "-1"], ["--size", "big"], ["--strength", "2"]]
)
def test_bad_values(tmp_path, command, flags):
    with pytest.raises(SystemExit) as caught:
        command("--input", tmp_path, *flags)
    assert caught.value.code == 2


def test_interruption_leaves_no_half_file(tmp_path, command, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    source = save(tmp_path / "in.png")
    monkeypatch.setattr(writing, "write_png", interrupted)
    assert command("--input", source, "--output", tmp_path / "out.png")[0] == 130
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.png", "invert.onnx"]


def test_a_clip_is_sent_to_the_other_command(tmp_path, command):
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(100))
    code, _, err = command("--input", clip, "--output", tmp_path / "o.png")
    assert code == 2 and "python -m runtime.video" in err


def test_style_picture(tmp_path, build_model, capsys):
    """A two-input model gets its style from --style."""
    from onnx import helper

    from runtime.card import ModelCard, Port

    make = helper.make_tensor_value_info
    nodes = [
        helper.make_node("ReduceMean", ["style"], ["m"], axes=[2, 3], keepdims=1),
        helper.make_node("Mul", ["image", "zero"], ["z"]),
        helper.make_node("Add", ["z", "m"], ["y"]),
    ]
    card = ModelCard("mean", "test", (Port("image"), Port("style", "style")), (Port("y"),))
    free = ["N", 3, "H", "W"]
    model = build_model(
        tmp_path / "mean.onnx",
        nodes,
        [make("image", 1, free), make("style", 1, [1, 3, "h", "w"])],
        [make("y", 1, free)],
        {"zero": np.array(0.0, np.float32)},
        card=card,
    )
    source = save(tmp_path / "in.png")
    style = save(tmp_path / "style.png", np.full((8, 9, 3), (10, 20, 30), np.uint8))
    words = ["--model", str(model), "--input", str(source), "--output", str(tmp_path / "o.png")]
    assert image.main(words) == 2
    assert "--style FILE" in capsys.readouterr().err
    assert image.main([*words, "--style", str(style)]) == 0
    assert (read_rgb(tmp_path / "o.png") == (10, 20, 30)).all()


def test_explicit_cuda_without_a_gpu(tmp_path, command):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA; test_session.py covers the fallback")
    source = save(tmp_path / "in.png")
    code, _, err = command("--input", source, "--output", tmp_path / "o.png", "--device", "cuda")
    assert code == 3 and "onnxruntime-gpu" in err


def test_unknown_model(tmp_path, capsys, invert_model):
    source = save(tmp_path / "in.png")
    code = image.main(
        ["--model", str(invert_model.with_name("invrt.onnx")), "--input", str(source)]
    )
    assert code == 2 and 'no model "' in capsys.readouterr().err
