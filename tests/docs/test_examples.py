"""The scripts that people start from do what they say."""

import numpy as np
from PIL import Image

SMALL = ("steps=2", "batch=1", "data.crop=64", "style.size=64", "network.width=16")


def test_a_folder_is_stylized(checkout):
    checkout("python", "examples/stylize_folder.py", "photos", "painted", "--model", "starry-fast")
    photos = sorted(path.stem for path in (checkout.folder / "photos").iterdir())
    painted = sorted((checkout.folder / "painted").iterdir())
    assert [path.stem for path in painted] == photos
    first = Image.open(checkout.folder / "photos" / f"{photos[0]}.jpg")
    assert Image.open(painted[0]).size == first.size


def test_a_clip_stands_in_for_the_camera(checkout):
    script = ("python", "examples/styled_camera.py", "--source", "clip.mp4", "--frames", "4")
    checkout(*script, "--output", "last.png")
    picture = np.asarray(Image.open(checkout.folder / "last.png"))
    assert picture.shape == (64, 96, 3) and picture.std() > 5


def test_a_style_is_trained_and_exported(checkout):
    inputs = ("--style", "painting.jpg", "--content", "photos", "--output", "runs/mine")
    changes = [word for change in SMALL for word in ("--set", change)]
    checkout("python", "examples/train_and_export.py", *inputs, *changes)
    assert (checkout.folder / "runs/mine/model.onnx").is_file()
    assert (checkout.folder / "runs/mine/model.json").is_file()
