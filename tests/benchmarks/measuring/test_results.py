"""The schema refuses what a report could not trust, and files appear whole or not at all."""

import json

import pytest

from benchmarks.measuring import environment, results
from runtime.errors import OutputExists, UsageError

X86 = """processor : 0
vendor_id : AuthenticAMD
cpu family : 26
model : 2
model name : AMD EPYC
stepping : 1
flags : fpu sse4_2 avx avx2 fma avx512f avx512_vnni hypervisor

processor : 1
model name : something else
"""
ARM = """processor : 0
BogoMIPS : 108.00
Features : fp asimd evtstrm aes asimddp
CPU implementer : 0x41
CPU part : 0xd0b
Hardware : Raspberry Pi 4
"""


def test_cpuinfo_of_x86():
    found = environment.parse_cpuinfo(X86)
    assert found["model"] == "AMD EPYC" and found["family_model_stepping"] == "26/2/1"
    assert found["isa"] == ["sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni"]
    assert found["virtual"] is True and found["arm_part"] is None


def test_cpuinfo_of_arm():
    found = environment.parse_cpuinfo(ARM)
    assert found["model"] == "Raspberry Pi 4" and found["arm_part"] == "0x41/0xd0b"
    assert found["isa"] == ["asimd", "asimddp"]


def test_unknown_machines_have_no_facts_made_up():
    found = environment.parse_cpuinfo("")
    assert found["model"] is None and found["isa"] == [] and found["virtual"] is None


def test_this_machine_fits_the_schema(make_document):
    data = make_document([results.row({"a": 1}, {"x_ms": 1.5, "times": [1, 2.5], "none": None})])
    assert results.violations(data) == []
    assert data["rows"][0]["id"] == "1"
    assert data["environment"]["cpu"]["cores"] >= 1


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.update(kind="speed"), "$.kind"),
        (lambda d: d.pop("environment"), "$: 'environment' is a required"),
        (lambda d: d.update(extra=1), "'extra' was unexpected"),
        (lambda d: d["rows"][0]["metrics"].update(bad_ms="12"), "bad_ms"),
        (lambda d: d["rows"][0]["metrics"].update(bad_ms=float("nan")), "bad_ms"),
        (lambda d: d["rows"][0]["metrics"].update(bad=True), "bad"),
        (lambda d: d["rows"][0]["metrics"].update(times=[1, "2"]), "times[1]"),
        (
            lambda d: d["rows"].append({"id": "x", "labels": {}}),
            "$.rows[1]: 'metrics' is a required",
        ),
        (lambda d: d["environment"]["cpu"].pop("isa"), "$.environment.cpu: 'isa' is a required"),
        (lambda d: d["thermometer"]["peak"].update(t1=3), "$.thermometer.peak.t1"),
        (lambda d: d["rows"].append(d["rows"][0]), "two rows"),
    ],
)
def test_broken_files_are_named(make_document, tmp_path, change, complaint):
    data = make_document([results.row({"a": "b"}, {"x_ms": 1.0})])
    change(data)
    with pytest.raises(ValueError) as caught:
        results.write(tmp_path / "r.json", data)
    assert complaint in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "r.json").write_text(json.dumps(data))
    with pytest.raises(UsageError):
        results.read(tmp_path / "r.json")


def test_write_then_read(make_document, tmp_path):
    data = make_document([results.row({"a": "b"}, {"x_ms": 1.0}) for _ in range(1)])
    path = results.write(tmp_path / "deep" / "r.json", data)
    assert results.read(path) == data
    assert len([line for line in path.read_text().splitlines() if '"metrics"' in line]) == 1
    assert [p.name for p in path.parent.iterdir()] == ["r.json"]


def test_an_existing_file_is_kept(make_document, tmp_path):
    data = make_document([])
    path = results.write(tmp_path / "r.json", data)
    with pytest.raises(OutputExists, match="--overwrite"):
        results.write(path, make_document([], "startup"))
    assert results.read(path)["kind"] == "latency"
    results.write(path, make_document([], "startup"), overwrite=True)
    assert results.read(path)["kind"] == "startup"


def test_missing_and_broken_files_are_user_errors(tmp_path):
    with pytest.raises(UsageError, match="no result file"):
        results.read(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match="not a result file"):
        results.read(tmp_path / "bad.json")


def test_a_row_can_be_named_by_some_labels():
    row = results.row({"model": "a", "size": "1x1", "sha256": "f0", "threads": None}, {}, ["size"])
    assert row["id"] == "1x1"
    assert results.row({"model": "a", "threads": None}, {})["id"] == "a"


def result(make_document, kind="scoreboard", photos=10, **figures):
    rows = [results.row({"model": name}, {"style": value}) for name, value in figures.items()]
    digests = {name: f"{value}" for name, value in figures.items()}
    return make_document(rows, kind, photos=photos, sha256=digests)


def test_models_measured_anew_take_their_place_among_the_others(make_document):
    earlier = result(make_document, a=1.0, b=2.0, c=3.0)
    earlier["created"] = "2026-11-30T10:00:00+00:00"
    data = results.joined(result(make_document, b=5.0, d=6.0), earlier)
    assert [row["metrics"]["style"] for row in data["rows"]] == [1.0, 5.0, 3.0, 6.0]
    days = [row["labels"].get("measured") for row in data["rows"]]
    assert days == ["2026-11-30", None, "2026-11-30", None]
    assert data["settings"]["sha256"] == {"a": "1.0", "b": "5.0", "c": "3.0", "d": "6.0"}
    assert not results.violations(data)
    again = results.joined(result(make_document, c=7.0), data)
    assert again["rows"][0]["labels"]["measured"] == "2026-11-30"


def test_rows_of_other_settings_are_not_kept(make_document):
    new = result(make_document, a=1.0)
    assert results.joined(new, None) is new
    with pytest.raises(UsageError, match=r"measured with other settings \(photos\)"):
        results.joined(new, result(make_document, photos=3, b=1.0))
    with pytest.raises(UsageError, match='it is a result of "students", not "scoreboard"'):
        results.joined(new, result(make_document, kind="students", b=1.0))


def test_the_command_names_no_folder_of_the_machine(monkeypatch):
    words = ["benchmarks", "--photos", "../data/photos", "--output", "/home/somebody/runs", "-q"]
    monkeypatch.setattr("sys.argv", words)
    command = results.document("scoreboard", [])["command"]
    assert command.endswith("--photos ../data/photos --output runs -q")
