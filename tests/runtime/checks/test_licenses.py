"""The summary of the doctor, and the list of licenses."""

import json

from runtime import doctor
from runtime.checks import licenses
from runtime.checks.machine import Check
from runtime.checks.summary import NAMES, abilities
from runtime.errors import DONE, USAGE


def test_the_summary_says_what_can_be_done():
    good = [
        *(Check("packages", name, "ok") for name in ("numpy", "OpenCV", "Pillow", "PyAV")),
        Check("engine", "CPU", "ok"),
        Check("engine", "CUDA", "optional", "no GPU", "buy one"),
        Check("encoders", "h264", "ok", "libx264"),
        Check("screen", "window", "optional", "headless build", "pip install opencv-python"),
        Check("cameras", "camera:0", "ok", "a camera"),
        Check("models", "starry.onnx", "ok"),
    ]
    found = {ability.name: ability for ability in abilities(good)}
    assert tuple(found) == NAMES
    assert {name for name, ability in found.items() if ability.works} == {
        *("pictures", "clips", "camera", "models")
    }
    assert found["window"].mend == "pip install opencv-python"
    assert (found["GPU"].detail, found["GPU"].mend) == ("no GPU", "buy one")
    broken = [*(c for c in good if c.name != "OpenCV"), Check("packages", "OpenCV", "broken", "x")]
    assert not abilities(broken)[0].works


def test_options_are_not_called_missing():
    assert doctor.detail_lines([Check("engine", "ncnn", "optional", "reads .param", "pip")]) == [
        "engine",
        "  option  ncnn: reads .param",
        "          -> pip",
    ]


def test_licenses_name_every_wheel_and_explain_the_gpl(capsys):
    assert doctor.main(["--licenses"]) == DONE
    said = capsys.readouterr().out
    for name in ("impasto", "numpy", "pillow", "onnxruntime", "opencv-python", "protobuf"):
        assert name in said
    assert "in av: x264" in said and "not legal advice" in said


def test_the_sbom_is_cyclonedx_and_replaces_nothing_unasked(tmp_path, capsys):
    path = tmp_path / "sbom.json"
    assert doctor.main(["--sbom", str(path)]) == DONE
    found = json.loads(path.read_text("utf-8"))
    assert (found["bomFormat"], found["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["name"]: part for part in found["components"]}
    assert parts["numpy"]["purl"] == f"pkg:pypi/numpy@{parts['numpy']['version']}"
    assert {part["name"] for part in parts["av"]["components"]} == {"ffmpeg", "x264", "x265"}
    references = [part["bom-ref"] for part in found["components"]]
    assert len(set(references)) == len(references)
    assert doctor.main(["--sbom", str(path)]) == USAGE


def test_a_license_that_is_no_expression_is_a_name():
    assert licenses._licenses("MIT") == [{"expression": "MIT"}]
    assert licenses._licenses("BSD-3-Clause AND MIT") == [{"expression": "BSD-3-Clause AND MIT"}]
    assert licenses._licenses("My own terms") == [{"license": {"name": "My own terms"}}]
