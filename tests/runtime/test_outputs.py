"""Outputs: temporary files nobody can guess, names that are never taken from another file."""

import os
import stat

import pytest

from runtime import outputs
from runtime.errors import OutputExists, UsageError
from runtime.outputs import check_output, place, replacing

AS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0


def test_the_file_appears_whole_with_ordinary_permissions(tmp_path):
    path = tmp_path / "out.txt"
    with replacing(path) as temporary:
        assert temporary.parent == tmp_path
        assert stat.S_IMODE(temporary.stat().st_mode) == 0o600
        temporary.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~outputs.UMASK
    assert list(tmp_path.iterdir()) == [path]


def test_a_failure_leaves_nothing_and_the_old_file(tmp_path):
    path = tmp_path / "out.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]


@pytest.mark.parametrize("links", [True, False])
def test_what_appears_meanwhile_is_left_alone(tmp_path, monkeypatch, links):
    if not links:

        def refuse(*_, **__):
            raise OSError(1, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "out.txt"
    with (
        pytest.raises(OutputExists, match="left alone"),
        replacing(path, overwrite=False) as temporary,
    ):
        temporary.write_text("mine")
        path.write_text("theirs")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["theirs"]
    path.unlink()
    with replacing(path, overwrite=False) as temporary:
        temporary.write_text("mine")
    assert path.read_text() == "mine"


def test_links_are_replaced_and_not_followed(tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    link = tmp_path / "out.txt"
    link.symlink_to(target)
    with pytest.raises(OutputExists):
        check_output(link, overwrite=False)
    with replacing(link) as temporary:
        temporary.write_text("new")
    assert (target.read_text(), link.read_text()) == ("precious", "new")
    dangling = tmp_path / "dangling"
    dangling.symlink_to(tmp_path / "nowhere")
    made = tmp_path / "made"
    made.write_text("new")
    with pytest.raises(OutputExists):
        place(made, dangling, overwrite=False)
    assert not (tmp_path / "nowhere").exists()


def test_names_and_folders_that_cannot_be_are_refused_before_the_work(tmp_path):
    with pytest.raises(UsageError, match="300 bytes, at most 255"):
        check_output(tmp_path / ("ä" * 148 + ".mp4"), overwrite=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot make the folder"):
        check_output(tmp_path / "file" / "out.mp4", overwrite=False)
    with pytest.raises(UsageError, match="folder"):
        check_output(tmp_path, overwrite=True)


@pytest.mark.skipif(AS_ROOT, reason="root may write everywhere")
def test_a_read_only_folder_is_one_line(tmp_path):
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(UsageError, match="not writable"):
            check_output(tmp_path / "out.mp4", overwrite=False)
    finally:
        tmp_path.chmod(0o700)


def test_the_disk_is_asked_and_not_the_permission_bits(tmp_path, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(outputs.tempfile, "mkstemp", full)
    with pytest.raises(UsageError, match="No space left"):
        check_output(tmp_path / "out.mp4", overwrite=False)
