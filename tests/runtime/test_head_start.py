import importlib.util
import subprocess
import sys
import threading

from runtime import head_start


def test_opencv_works_after_a_head_start():
    code = (
        "from runtime import head_start; head_start.begin(); import cv2, numpy; "
        "print(cv2.mean(numpy.full((2, 2), 7, numpy.uint8))[0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "7.0\n"


def test_commands_know_their_flags_without_numpy():
    code = "import sys, runtime.webcam; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_missing_or_damaged_library_is_left_to_the_import(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    head_start._load()
    (tmp_path / "cv2.so").write_bytes(b"no library")
    spec = importlib.util.spec_from_file_location("cv2", tmp_path / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    head_start._load()


def test_opencv_that_is_there_gets_no_head_start():
    import cv2  # noqa: F401

    before = threading.active_count()
    head_start.begin()
    assert threading.active_count() == before
