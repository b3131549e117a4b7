"""Artefacts of one file, several files and folders: delivered whole, refused by name."""

import json

import pytest

from export.targets import Target, Written
from export.verify.delivery import check_place, deliver
from export.verify.report import make_report, report_path, write_report
from runtime.checksum import sha256
from runtime.errors import OutputExists, ParityError, StyleError, UsageError


class _Fake(Target):
    @staticmethod
    def write(source, path, options):
        return Written(None, [])


class Pair(_Fake):
    suffix = ".xml"
    beside = (".bin",)


class Site(_Fake):
    folder = True


class Package(_Fake):
    suffix = ".package"
    folder = True


def pair(text):
    def write(path):
        path.write_text(text)
        path.with_suffix(".bin").write_text(text)

    return write


def folder(text):
    def write(path):
        (path / "inner").mkdir(parents=True)
        (path / "inner" / "a.txt").write_text(text)

    return write


def refuse(path):
    raise ParityError("not the same")


def names(place):
    return sorted(path.relative_to(place).as_posix() for path in place.rglob("*"))


def accept(path):
    pass


def test_several_files_are_delivered_together(tmp_path):
    path = check_place(tmp_path / "a", Pair, overwrite=False)
    assert deliver(path, pair("1"), accept) == [path, path.with_suffix(".bin")]
    assert names(tmp_path) == ["a.bin", "a.xml"]


def test_the_check_sees_the_final_names(tmp_path):
    seen = []
    deliver(tmp_path / "a.xml", pair("1"), lambda path: seen.extend(names(path.parent)))
    assert seen == ["a.bin", "a.xml"]


def test_refused_files_lie_in_one_folder_and_older_ones_are_gone(tmp_path):
    path = tmp_path / "a.xml"
    deliver(path, pair("old"), accept)
    report_path(path).write_text("{}")
    with pytest.raises(ParityError):
        deliver(path, pair("new"), refuse)
    assert names(tmp_path) == ["a.xml.rejected", "a.xml.rejected/a.bin", "a.xml.rejected/a.xml"]
    deliver(path, pair("good"), accept)
    assert names(tmp_path) == ["a.bin", "a.xml"]


def test_another_error_leaves_the_older_artefact(tmp_path):
    path = tmp_path / "a.xml"
    deliver(path, pair("old"), accept)

    def fail(path):
        path.write_text("half")
        raise StyleError("disk full")

    with pytest.raises(StyleError, match="disk full"):
        deliver(path, fail, accept)
    assert names(tmp_path) == ["a.bin", "a.xml"] and path.read_text() == "old"


def test_folders_are_replaced_whole_and_refused_by_name(tmp_path):
    path = check_place(tmp_path / "a", Package, overwrite=False)
    deliver(path, folder("1"), accept)
    (path / "left over").write_text("")
    deliver(path, folder("2"), accept)
    assert names(path) == ["inner", "inner/a.txt"]
    with pytest.raises(ParityError):
        deliver(path, folder("3"), refuse)
    assert names(tmp_path) == [
        "a.package.rejected", "a.package.rejected/inner", "a.package.rejected/inner/a.txt",
    ]  # fmt: skip


@pytest.mark.parametrize("taken", ["a.xml", "a.bin", "a.xml.json", "a.xml.card.json"])
def test_no_file_of_an_artefact_is_overwritten_unasked(tmp_path, taken):
    (tmp_path / taken).write_text("mine")
    with pytest.raises(OutputExists, match="--overwrite"):
        check_place(tmp_path / "a.xml", Pair, overwrite=False)
    check_place(tmp_path / "a.xml", Pair, overwrite=True)


def test_a_folder_of_strangers_is_never_replaced(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    check_place(home, Site, overwrite=False)  # empty: welcome
    (home / "letters.txt").write_text("dear")
    with pytest.raises(OutputExists):
        check_place(home, Site, overwrite=False)
    with pytest.raises(UsageError, match="no report"):
        check_place(home, Site, overwrite=True)
    write_report({"file": "home"}, home)
    assert check_place(home, Site, overwrite=True) == home
    with pytest.raises(UsageError, match="writes a folder"):
        check_place(home / "letters.txt", Site, overwrite=True)


def test_the_receipt_counts_every_file(tmp_path):
    path = tmp_path / "a.xml"
    delivered = deliver(path, pair("12"), accept)
    report = make_report({}, delivered, [], ["looks right"], {})
    assert report["bytes"] == 4 and report["sha256"] == sha256(path)
    assert [entry["file"] for entry in report["files"]] == ["a.xml", "a.bin"]
    assert report["verdict"] == "checked, not run" and "parity" not in report
    delivered = deliver(tmp_path / "p.package", folder("x"), accept)
    report = make_report({}, delivered, [], ["looks right"], {})
    before = report["sha256"]
    (tmp_path / "p.package" / "inner" / "a.txt").write_text("y")
    assert sha256(tmp_path / "p.package") != before
    json.dumps(report)
