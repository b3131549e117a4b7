"""The user study: preferences that are known come back, the page is blind, files are checked."""

import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from benchmarks.vote.__main__ import main
from benchmarks.vote.scores import Vote, fit, scores


def test_two_by_hand():
    """3 votes against 1, with half a vote each way: p = 3.5 / 1.5."""
    found = fit(np.array([[0.0, 3.0], [1.0, 0.0]]))
    assert found[0] - found[1] == pytest.approx(np.log(3.5 / 1.5))
    assert found.sum() == pytest.approx(0)


def test_a_tie_is_half_a_vote_each():
    one, other = scores([Vote("a", "b", "")] * 6)
    assert one.strength == pytest.approx(other.strength) == pytest.approx(0)
    assert one.wins == other.wins == 3


def test_simulated_voters_are_recovered():
    """Strengths within their intervals, and in their order."""
    true = {"a": 1.0, "b": 0.2, "c": -0.4, "d": -0.8}
    rng = np.random.default_rng(3)
    votes = []
    for _ in range(600):
        left, right = rng.choice(list(true), 2, replace=False)
        chance = 1 / (1 + np.exp(true[right] - true[left]))
        votes.append(Vote(left, right, left if rng.random() < chance else right))
    found = scores(votes)
    assert [score.name for score in found] == list(true)
    for score in found:
        assert score.low < true[score.name] < score.high
        assert score.high - score.low < 0.8


def test_who_never_lost_has_a_finite_score():
    best, worst = scores([Vote("a", "b", "a")] * 10)
    assert best.name == "a" and np.isfinite([best.strength, best.high, worst.low]).all()


@pytest.fixture
def folders(tmp_path):
    for index, name in enumerate(("ours", "theirs", "others")):
        (tmp_path / name).mkdir()
        for picture in ("tram", "face"):
            Image.new("RGB", (40, 30), (80 * index, 99, 0)).save(tmp_path / name / f"{picture}.png")
    return [tmp_path / name for name in ("ours", "theirs", "others")]


def test_the_page_is_one_blind_file(folders, tmp_path, capsys):
    page = tmp_path / "vote.html"
    words = [str(folder) for folder in folders]
    assert main([*words, "--output", str(page)]) == 0
    text = page.read_text("utf-8")
    assert not re.search(r'(?:src|href)="http', text)
    body = text[: text.index("<script>")]
    assert "ours" not in body and "theirs" not in body
    data = json.loads(re.search(r"const data = (.*);\n", text)[1])
    assert len(data["questions"]) == 2 * 3  # two pictures, three pairs
    assert len(data["pictures"]) == 6
    assert main([*words, "--output", str(page)]) == 2  # not overwritten


def test_names_of_pictures_stay_data(tmp_path, capsys):
    """What would end the script, or hide its end."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / folder / "<!--<script>\x1b\u202e.png")
    words = [str(tmp_path / "a"), str(tmp_path / "b"), "--output", str(tmp_path / "vote.html")]
    assert main(words) == 0
    line = re.search(r"const data = (.*);\n", (tmp_path / "vote.html").read_text("utf-8"))[1]
    assert "<" not in line and line.isprintable()
    assert json.loads(line)["questions"][0]["picture"] == "<!--<script>\x1b\u202e"


def test_votes_of_several_are_scored_together(tmp_path, capsys):
    files = []
    for index in range(2):
        votes = [{"picture": "x", "left": "a", "right": "b", "preferred": "a"}] * 3
        files.append(tmp_path / f"{index}.json")
        files[-1].write_text(json.dumps({"format": 1, "seed": 0, "votes": votes}))
    assert main(["--scores", *map(str, files), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    first = found["scores"][0]
    assert found["voters"] == 2
    assert (first["name"], first["wins"], first["votes"]) == ("a", 6, 6)
    assert main(["--scores", str(files[0])]) == 0
    written = capsys.readouterr()
    assert "100 % of 3" in written.out and written.err == "1 voter\n"
    assert main(["--scores", str(files[0]), str(files[0])]) == 2  # intervals would be too narrow
    assert "names a file twice" in capsys.readouterr().err


def voted(left="a", right="b", preferred="a"):
    votes = [{"left": left, "right": right, "preferred": preferred}]
    return json.dumps({"format": 1, "votes": votes})


@pytest.mark.parametrize(
    "text",
    [
        *("", "[]", '{"format": 1, "votes": []}', '{"format": 9}', "[" * 100_000),
        voted(preferred="c"),
        voted(preferred=None),
        voted(right="a"),  # the fit never arrived
        voted(left=math.nan),
        json.dumps(
            {"format": 1, "votes": [json.loads(voted(str(k)))["votes"][0] for k in range(65)]}
        ),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, capsys, text):
    (tmp_path / "v.json").write_text(text)
    assert main(["--scores", str(tmp_path / "v.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_names_of_votes_print_no_control_characters_and_no_rows(tmp_path, capsys):
    (tmp_path / "v.json").write_text(voted("\x1b[2J", "b|\nc", "b|\nc"))
    assert main(["--scores", str(tmp_path / "v.json")]) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out and "| b\\| c |" in out and len(out.splitlines()) == 4


def test_a_damaged_picture_is_named(folders, tmp_path, capsys):
    path = next(folders[0].iterdir())
    path.write_bytes(path.read_bytes()[:60])
    words = [*folders, "--output", tmp_path / "page.html"]
    assert main([str(word) for word in words]) == 2
    assert f'"{path}" is truncated or damaged' in capsys.readouterr().err


def test_folders_without_common_pictures(folders, capsys):
    (folders[1] / "tram.png").unlink()
    (folders[1] / "face.png").unlink()
    words = [str(folder) for folder in folders[:2]]
    assert main([*words, "--output", str(folders[0].parent / "v.html")]) == 2
    assert "same names" in capsys.readouterr().err
