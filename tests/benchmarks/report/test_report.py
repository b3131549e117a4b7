"""Reports show the numbers of a file and nothing else; blocks of README and docs are reports."""

import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from benchmarks import latency_tables
from benchmarks.measuring import results, scaling
from benchmarks.quality import rows as quality_rows
from benchmarks.quality import table as quality_table
from benchmarks.report import __main__ as report
from benchmarks.report import compare, plots, tables
from benchmarks.report.machine import machine
from runtime.errors import UsageError
from tests.benchmarks.conftest import latency_row

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(
    r"<!-- benchmarks:([\w-]+) begin -->\n(.*?)<!-- benchmarks:\1 end -->", re.DOTALL
)


@pytest.fixture
def speeds(make_document):
    """Ours and a peer at two sizes, with speedups."""
    rows = [
        latency_row("starry", "640x480", 5.126, precision="int8"),
        latency_row("starry", "1280x720", 13.32, precision="int8"),
        latency_row("johnson", "640x480", 655.4, role="peer", weights="random"),
        latency_row("johnson", "1280x720", 1931.7, role="peer", weights="random"),
    ]
    for row, speedup in zip(rows, (127.9, 145.02, 1.0, 1.0), strict=True):
        row["metrics"] |= {
            "speedup": speedup,
            "speedup_low": speedup * 0.98,
            "speedup_high": speedup * 1.02,
        }
    return make_document(rows, baseline="johnson")


def numbers_of(data):
    """Every number of a result file, written as the tables write them."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            for item in value.values():
                walk(item)
        elif isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found.add(tables.number(value))
        elif isinstance(value, str):
            found.update(re.findall(NUMBER, value))

    walk(data)
    return found


# A number that is not part of a word (int8, p95) or of a size (1280x720).
NUMBER = re.compile(r"(?<![\w.])-?\d[\d,]*(?:\.\d+)?(?![\w])")


def shown_numbers(text):
    """Numbers in the body of a table or a list of laws."""
    body = [line for line in text.splitlines() if not line.startswith("| ---")]
    lines = [line for line in body if re.search(r"\d", line)]
    without_ranges = re.sub(r"(\d)\.\.(-?\d)", r"\1 \2", "\n".join(lines))
    return set(NUMBER.findall(without_ranges)) - {"95"}  # "95 % interval", a column's name


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0.00"),
        (0.0871, "0.087"),
        (0.5, "0.50"),
        (9.616, "9.62"),
        (13.32, "13.3"),
        (148.6, "149"),
        (1931.7, "1,932"),
        (1679235, "1,679,235"),
        (7, "7"),
        (-1.5, "-1.50"),
    ],
)
def test_number(value, text):
    assert tables.number(value) == text


def test_tables_show_only_numbers_of_the_file(speeds):
    for make in (latency_tables.ours, latency_tables.peers):
        text = make(speeds)
        assert shown_numbers(text) and shown_numbers(text) <= numbers_of(speeds)
    assert "145" in latency_tables.peers(speeds) and "random weights" in latency_tables.peers(
        speeds
    )
    assert "13.3" in latency_tables.ours(speeds) and "johnson" not in latency_tables.ours(speeds)


def test_objective_comes_from_the_quality_file(speeds, make_document):
    labels = {"what": "equivalents", "model": "starry", "size": 256, "init": "content"}
    judged = {"iterations_mean": 63.14, "iterations_low": 55.2, "iterations_high": 71.9}
    judged["objective_ratio"] = 1.034
    rows = [
        results.row({**labels, "backbone": name}, {**judged, "iterations_mean": mean, "photos": 20})
        for name, mean in (("vgg16", 63.14), ("squeezenet", 41.5))
    ]
    quality = make_document(rows, "quality")
    line = next(
        line for line in latency_tables.peers(speeds, quality).splitlines() if "starry" in line
    )
    assert line.endswith("| 63.1 | 1.03 |") and "41.5" in quality_table.usual(quality)
    assert shown_numbers(quality_table.usual(quality)) <= numbers_of(quality) | {"16"}
    assert "pareto" in plots.draw(speeds, quality)


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_numbers_of_a_page_are_those_of_the_committed_files(page):
    """Every number in a generated block is a number of the JSON it was made from."""
    for name, body in BLOCK.findall(page.read_text(encoding="utf-8")):
        if name in ("machine", "models"):  # no figures; tests/benchmarks/report/test_provenance.py
            continue
        files = [report.RESULTS / f"{file}.json" for file in report.BLOCKS[name][0]]
        table, _, provenance = body.rstrip().rpartition("\n\n")
        known = set().union(*(numbers_of(results.read(f)) for f in files if f.is_file()))
        assert shown_numbers(table) <= known, f"block {name}"
        assert "easured" in provenance


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_blocks_are_up_to_date(page):
    text = page.read_text(encoding="utf-8")
    said = "run: python -m benchmarks.report --write README.md docs/"
    assert report.render(text, report.RESULTS) == text, said


def test_every_kind_of_table_has_a_page():
    shown = {name for page in PAGES for name, _ in BLOCK.findall(page.read_text("utf-8"))}
    assert shown == {"models", *report.BLOCKS} - {"scaling"}  # "laws" says the same, shorter


def test_committed_results_are_valid():
    files = sorted(report.RESULTS.glob("*.json"))
    if not files:
        pytest.skip("no committed results")
    for file in files:
        results.read(file)


def page(tmp_path, data):
    folder = tmp_path / "results"
    results.write(folder / "latency.json", data)
    readme = tmp_path / "README.md"
    readme.write_text(
        "# Title\n<!-- benchmarks:peers begin -->\nold\n<!-- benchmarks:peers end -->\ntail\n"
    )
    return folder, readme


def test_write_fills_and_check_notices(tmp_path, speeds, capsys):
    folder, readme = page(tmp_path, speeds)
    flags = ["--results", str(folder), "-q"]
    assert report.main(["--check", str(readme), *flags]) == 4
    assert report.main(["--write", str(readme), *flags]) == 0
    text = readme.read_text()
    assert text.startswith("# Title\n") and text.endswith("tail\n") and "old" not in text
    assert latency_tables.peers(speeds) in text
    assert report.main(["--check", str(readme), *flags]) == 0
    readme.write_text(text.replace("13.3", "12.3"))
    assert report.main(["--check", str(readme), *flags]) == 4


def test_a_missing_file_is_admitted(tmp_path, speeds):
    folder, readme = page(tmp_path, speeds)
    readme.write_text(readme.read_text().replace("peers", "startup"))
    assert report.main(["--write", str(readme), "--results", str(folder), "-q"]) == 0
    assert "there is no `startup.json`" in readme.read_text()


def test_unknown_block_is_named(tmp_path, speeds, capsys):
    folder, readme = page(tmp_path, speeds)
    readme.write_text("<!-- benchmarks:nope begin -->\n<!-- benchmarks:nope end -->\n")
    assert report.main(["--write", str(readme), "--results", str(folder)]) == 2
    assert 'no benchmark block "nope"' in capsys.readouterr().err


def test_publish_makes_one_folder(tmp_path, speeds, capsys):
    folder, _ = page(tmp_path, speeds)
    bundle = tmp_path / "bundle"
    command = [str(folder / "latency.json"), "--publish", str(bundle), "--json", "-q"]
    assert report.main(command) == 0
    listed = {Path(name).name for name in json.loads(capsys.readouterr().out)["files"]}
    assert listed == {path.name for path in bundle.iterdir()}
    assert {"README.md", "latency.json", "latency-stages.svg", "latency-comparison.svg"} <= listed
    assert machine(speeds) in (bundle / "README.md").read_text()
    assert report.main(command) == 2
    assert "not empty" in capsys.readouterr().err


def test_every_plot_is_well_formed(speeds, make_document):
    rows = [
        latency_row("starry", f"{16 * n}x{9 * n}", 1.0 + 1.7 * n, threads=threads)
        for n in (20, 40, 80)
        for threads in (1, 2)
    ]
    law = make_document(rows + scaling.fit_rows(rows))
    drawn = plots.draw(speeds) | plots.draw(law)
    assert set(drawn) == {*plots.PLOTS} - {"front"}  # of pruning's own files
    for svg in drawn.values():
        picture = ElementTree.fromstring(svg)
        assert picture.tag.endswith("svg") and len(list(picture.iter())) > 10
        for corner in re.findall(r"(?:cx|x1|x)='(-?[\d.]+)'", svg):
            assert -1 <= float(corner) <= 721


def slower(data, factor, model="starry"):
    made = json.loads(json.dumps(data))
    for row in made["rows"]:
        if row["labels"]["model"] == model:
            times = row["metrics"]["total_times_ms"]
            row["metrics"]["total_times_ms"] = [ms * factor for ms in times]
            row["metrics"]["total_p50_ms"] *= factor
    return made


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.0, "same"), (1.04, "same"), (1.2, "slower"), (0.8, "faster")]
)
def test_compare_flags_what_noise_cannot_explain(speeds, factor, verdict):
    found = compare.compare(speeds, slower(speeds, factor))
    ours = [change for change in found if change.name.startswith("starry")]
    assert {change.verdict for change in ours} == {verdict}
    assert all(change.ratio == pytest.approx(factor) for change in ours)
    assert all(change.low <= change.ratio <= change.high for change in ours)
    others = [change for change in found if change.name.startswith("johnson")]
    assert {change.verdict for change in others} == {"same"}


def test_compare_relative_to_a_peer_forgives_a_slow_machine(speeds):
    slow = slower(slower(speeds, 2.0), 2.0, "johnson")
    assert {c.verdict for c in compare.compare(speeds, slow)} == {"slower"}
    fair = compare.compare(speeds, slow, relative_to="johnson")
    assert [c.verdict for c in fair] == ["same", "same"]
    assert fair[0].ratio == pytest.approx(1.0)


def test_few_samples_are_unsure(speeds):
    new = slower(speeds, 2.0)
    for row in new["rows"]:
        row["metrics"]["total_times_ms"] = row["metrics"]["total_times_ms"][:3]
    assert {c.verdict for c in compare.compare(speeds, new)} == {"unsure"}


def test_compare_exits_4_on_a_regression(tmp_path, speeds, capsys):
    old = results.write(tmp_path / "a.json", speeds)
    new = results.write(tmp_path / "b.json", slower(speeds, 1.5))
    assert report.main(["--compare", str(old), str(new)]) == 4
    assert "2 of 4 became slower" in capsys.readouterr().err
    assert report.main(["--compare", str(old), str(old), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 4


def test_incomparable_files_are_refused(speeds, make_document):
    with pytest.raises(UsageError, match="cannot compare"):
        compare.compare(speeds, make_document([], "startup"))
    with pytest.raises(UsageError, match="no row in common"):
        compare.compare(speeds, make_document([latency_row("other", "8x8", 1.0)]))
    with pytest.raises(UsageError, match='no row of the model "x"'):
        compare.compare(speeds, speeds, relative_to="x")


def test_line_is_found_again():
    pixels = [57_600, 230_400, 921_600, 2_073_600, 8_294_400]
    law = scaling.fit_line(pixels, [1.5 + 12.0 * p / 1e6 for p in pixels])
    assert law["fixed"] == pytest.approx(1.5) and law["per_megapixel"] == pytest.approx(12.0)
    assert law["worst_percent"] == pytest.approx(0.0, abs=1e-6)
    power = scaling.fit_line(pixels, [(p / 1e6) ** 1.1 for p in pixels])
    assert power["exponent"] == pytest.approx(1.1) and power["worst_percent"] > 1


def test_serial_share_is_found_again():
    times = [100 * (0.2 + 0.8 / n) for n in (1, 2, 4)]
    law = scaling.fit_threads([1, 2, 4], times)
    assert law["serial_percent"] == pytest.approx(20.0)
    assert law["speedup"] == pytest.approx(2.5)
    with pytest.raises(ValueError, match="more threads"):
        scaling.fit_threads([1], [3.0])
    with pytest.raises(ValueError, match="three points"):
        scaling.fit_line([1, 2], [1.0, 2.0])


def test_figures_of_another_file_of_that_name_are_left_out():
    rows = [
        {"labels": {"model": name}, "metrics": {"iterations_mean": 12.0, "objective_ratio": 1.0}}
        for name in ("new", "same")
    ]
    quality = {"rows": rows, "settings": {"sha256": {"new": "0", "same": "2"}}}
    files = {"new": "1", "same": "2"}
    assert quality_table.objectives(quality, files) == {"same": 12.0}
    assert quality_table.objective_ratios(quality, files) == {"same": 1.0}
    assert quality_table.objectives(quality) == {"new": 12.0, "same": 12.0}


def test_objectives_are_relative_to_the_best_model_of_the_same_painting():
    def judged(model, total, backbone="a"):
        labels = {"what": "equivalents", "model": model, "backbone": backbone, "size": 256}
        return {"labels": labels, "metrics": {"total": total}}

    rows = [judged("starry", 1.1), judged("starry", 9.0, "b"), judged("starry-quality", 1.0)]
    rows.append(judged("wave-fast", 3.0))
    quality_rows.relate(rows)
    found = quality_table.objective_ratios({"rows": rows})
    assert found == {"starry": 1.1, "starry-quality": 1.0, "wave-fast": 1.0}
    assert quality_table.objective_ratios(None) == {}


def test_every_committed_result_can_be_drawn():
    quality = report.RESULTS / "quality.json"
    judged = results.read(quality) if quality.is_file() else None
    for file in sorted(report.RESULTS.glob("*.json")):
        assert all(
            svg.startswith("<svg") for svg in plots.draw(results.read(file), judged).values()
        )
