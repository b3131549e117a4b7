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


def page_data(path):
    return json.loads(re.search(r"const data = (.*);\n", path.read_text("utf-8"))[1])


def test_pictures_that_one_folder_lacks_are_left_out_and_named(folders, tmp_path, capsys):
    (folders[1] / "tram.png").unlink()
    page = tmp_path / "vote.html"
    assert main([*map(str, folders), "--output", str(page)]) == 0
    told = capsys.readouterr().err
    assert told == "pictures compared: 1; left out, as not every folder holds them: 1 (tram)\n"
    assert {question["picture"] for question in page_data(page)["questions"]} == {"face"}


def test_two_pictures_of_one_name_are_refused(folders, tmp_path, capsys):
    Image.new("RGB", (8, 8)).save(folders[2] / "tram.jpg")
    assert main([*map(str, folders), "--output", str(tmp_path / "vote.html")]) == 2
    assert 'two pictures named "tram"' in capsys.readouterr().err


def test_folders_have_names_however_they_are_given(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(folders[0])
    assert main([".", "../theirs", "--output", str(tmp_path / "vote.html")]) == 0
    assert {q["left"] for q in page_data(tmp_path / "vote.html")["questions"]} <= {"ours", "theirs"}


def test_photos_are_shown_upright_and_deep_ones_as_they_are(folders, tmp_path):
    import base64
    import io

    turned = Image.new("RGB", (40, 30))
    exif = turned.getexif()
    exif[274] = 6  # Orientation: a quarter turn
    turned.save(folders[0] / "turned.jpg", exif=exif)
    deep = np.full((30, 40), 128 * 257, np.uint16)
    Image.fromarray(deep).save(folders[1] / "turned.png")
    assert main([*map(str, folders[:2]), "--output", str(tmp_path / "vote.html")]) == 0
    pictures = {
        name: Image.open(io.BytesIO(base64.b64decode(text.split(",")[1])))
        for name, text in page_data(tmp_path / "vote.html")["pictures"].items()
    }
    assert pictures["ours/turned"].size == (30, 40)
    assert abs(np.asarray(pictures["theirs/turned"]).mean() - 128) < 2


def test_files_of_different_studies_are_not_scored_together(tmp_path, capsys):
    files = [tmp_path / "1.json", tmp_path / "2.json"]
    files[0].write_text(voted("a", "b", "a"))
    files[1].write_text(voted("c", "d", "c"))
    assert main(["--scores", *map(str, files)]) == 2
    assert 'nobody compared "a" with "c"' in capsys.readouterr().err
    files[1].write_text(voted("b", "d", "d"))
    assert main(["--scores", *map(str, files)]) == 0


def test_scores_make_no_page(folders, tmp_path, capsys):
    (tmp_path / "v.json").write_text(voted())
    assert main([str(folders[0]), "--scores", str(tmp_path / "v.json")]) == 2
    assert "--scores takes no folders" in capsys.readouterr().err


def test_a_page_takes_one_answer_a_key_and_warns_of_unsaved_ones(folders, tmp_path):
    """In a browser: a key that is held is one answer, Alt and an arrow none; both sides vote."""
    from headless import Browser, chromium

    from benchmarks.measuring.chromium import wait_for

    program, page, saved = chromium(), tmp_path / "vote.html", tmp_path / "saved"
    assert main([*map(str, folders), "--output", str(page)]) == 0
    browser = Browser(program, tmp_path / "profile")
    try:
        browser.watch()
        browser.call("Page.navigate", url=page.as_uri())
        wait_for(lambda: browser.value("document.readyState") == "complete")
        browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(saved))

        def press(key, **more):
            browser.call("Input.dispatchKeyEvent", type="rawKeyDown", key=key, **more)

        press("ArrowRight")
        press("ArrowRight", autoRepeat=True)
        press("ArrowLeft", modifiers=1)  # Alt: the browser's way back
        assert browser.value("answers.length") == 1
        leaves = "window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
        assert not browser.value(leaves)
        for _ in range(5):
            press("ArrowLeft")
        assert "Done" in browser.value("document.getElementById('count').textContent")
        browser.tap("Enter")  # the focus is on "save"
        wait_for((saved / "votes.json").exists)
        assert browser.value(leaves)
        assert browser.complaints() == []
    finally:
        browser.close()
    votes = json.loads((saved / "votes.json").read_text())["votes"]
    assert [vote["preferred"] == vote["right"] for vote in votes] == [True] + 5 * [False]
    assert main(["--scores", str(saved / "votes.json")]) == 0


def test_folders_without_common_pictures(folders, capsys):
    (folders[1] / "tram.png").unlink()
    (folders[1] / "face.png").unlink()
    words = [str(folder) for folder in folders[:2]]
    assert main([*words, "--output", str(folders[0].parent / "v.html")]) == 2
    assert "same names" in capsys.readouterr().err
