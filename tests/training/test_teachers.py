"""Teachers: each kind, chains, and what a person gets wrong."""

import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from runtime.errors import EngineUnavailable, UsageError
from training.pairs import effects
from training.teachers import TeacherFailed, open_teacher

PICTURE = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
# A program that turns {input} into its negative, or ends with an error.
NEGATIVE = (
    "import sys; from PIL import Image, ImageOps; "
    "ImageOps.invert(Image.open(sys.argv[1])).save(sys.argv[2])"
)


def command(code: str) -> str:
    return f"{sys.executable} -c '{code}' {{input}} {{output}}"


@pytest.fixture
def halving(tmp_path):
    """An ONNX file that halves every value, 0..1."""
    shape = [1, 3, "h", "w"]
    half = helper.make_tensor("half", TensorProto.FLOAT, [], [0.5])
    graph = helper.make_graph(
        [helper.make_node("Mul", ["image", "half"], ["product"]),
         helper.make_node("Clip", ["product", "", "one"], ["styled"])],
        "halving",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("styled", TensorProto.FLOAT, shape)],
        [half, helper.make_tensor("one", TensorProto.FLOAT, [], [1.0])],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "halving.onnx")
    return tmp_path / "halving.onnx"


def test_a_command_is_a_teacher():
    found = open_teacher([command(NEGATIVE)])(PICTURE)
    np.testing.assert_array_equal(found, 255 - PICTURE)


@pytest.mark.parametrize(
    ("code", "said"),
    [('import sys; sys.exit("no memory")', "code 1: no memory"), ("pass", "left no picture")],
)
def test_a_command_that_fails_says_why(code, said):
    with pytest.raises(TeacherFailed, match=said):
        open_teacher([command(code)])(PICTURE)


def test_a_function_is_a_teacher():
    teacher = open_teacher(["training.pairs.effects:grade"])
    np.testing.assert_array_equal(teacher(PICTURE), effects.grade(PICTURE))
    assert teacher.parallel


def test_a_file_is_a_teacher_and_a_chain_goes_through_all(halving):
    teacher = open_teacher([f"{halving}?range=0..1", command(NEGATIVE)])
    found = teacher(PICTURE).astype(int)
    assert abs(found - (255 - PICTURE / 2)).max() <= 1
    assert not teacher.parallel  # a session paints one picture at a time
    assert teacher.digest != open_teacher([command(NEGATIVE), f"{halving}?range=0..1"]).digest
    teacher.close()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("training.pairs.effects:pencl", 'no function "pencl". Did you mean "pencil"'),
        ("training.nowhere:pencil", 'no module "training.nowhere"'),
        ("cp {input} there.png", "{output} is missing"),
        ("cp there.png {output}", "{input} is missing"),
        ("cp one two", "{input} is missing"),
        ("cp {input} {output} 'quote", "No closing quotation"),
        ("nothing", "is no teacher; write a folder of pairs"),
        ("absent.onnx", "absent.onnx"),
        ("absent.onnx?stile=7", 'no "stile". Did you mean "style"'),
        ("absent.onnx?strength=much", 'strength "much" is no number'),
    ],
)
def test_what_is_no_teacher(text, said):
    with pytest.raises(UsageError) as error:
        open_teacher([text])
    assert said in str(error.value)


def test_a_program_that_is_not_here():
    with pytest.raises(EngineUnavailable, match='no program "absent-program"'):
        open_teacher(["absent-program {input} {output}"])


def test_nobody_is_no_teacher():
    with pytest.raises(UsageError, match="no teacher given: pass --teacher"):
        open_teacher([])


def test_what_a_function_raises_or_returns_is_told(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "def angry(picture):\n    raise RuntimeError('too dark')\n"
        "def small(picture):\n    return picture[::2]\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(TeacherFailed, match="RuntimeError: too dark"):
        open_teacher(["mine:angry"])(PICTURE)
    with pytest.raises(TeacherFailed, match=r"gave uint8 \[6, 16, 3\].*must keep the size"):
        open_teacher(["mine:small"])(PICTURE)


@pytest.mark.parametrize("effect", [effects.pencil, effects.toon, effects.grade])
def test_effects_keep_the_size_and_know_gray_from_black(effect):
    flat = np.full((32, 48, 3), 128, np.uint8)
    made = effect(flat)
    assert made.shape == flat.shape and made.dtype == np.uint8
    assert np.ptp(made.reshape(-1, 3), axis=0).max() <= 1, "a flat picture stays flat"
    assert effect(np.zeros_like(flat)).mean() < made.mean()
