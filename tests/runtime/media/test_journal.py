"""Journal: what is listed survives, what is torn is forgotten, decoding times are right."""

import errno
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import OutputExists, SinkError, UsageError
from runtime.media import journal as journals
from runtime.media.journal import Journal, Packet, reordering


def packets(times, duration=10):
    return [Packet(time, duration, index == 0, bytes([index])) for index, time in enumerate(times)]


def start(tmp_path, **settings):
    return Journal.create(tmp_path / "out.mp4", {"settings": settings})


def store(journal, times, **facts):
    return journal.write_segment(packets(times), last_time=f"{max(times)}/1", **facts)


def test_segments_come_back(tmp_path):
    journal = start(tmp_path, a=1)
    store(journal, [0, 30, 10, 20])
    store(journal, [40, 50], restart=(3, "7/25"), damage={"concealed": 2})
    journal.close()
    again = Journal.reopen(tmp_path / "out.mp4")
    assert again is not None
    assert again.segments == journal.segments
    assert again.frames == 6
    assert again.segments[1].restart == (3, "7/25")
    assert [p.data for p in again.read_segment(again.segments[0])] == [b"\0", b"\1", b"\2", b"\3"]
    again.remove()
    assert not journal.folder.exists()


def test_nothing_to_reopen(tmp_path):
    assert Journal.reopen(tmp_path / "out.mp4") is None


def test_torn_line_cut_segment_and_short_segment_are_forgotten(tmp_path):
    for harm in ("line", "cut", "flip", "short", "stray"):
        journal = start(tmp_path)
        store(journal, [0, 10])
        store(journal, [20, 30], short=harm == "short")
        journal.close()
        listing = journal.folder / journals.LISTING
        if harm == "line":
            listing.write_bytes(listing.read_bytes()[:-20])
        if harm == "cut":
            path = journal.folder / "00001.seg"
            path.write_bytes(path.read_bytes()[:-1])
        if harm == "flip":
            path = journal.folder / "00001.seg"
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
            path.write_bytes(data)
        if harm == "stray":
            (journal.folder / "00002.seg").write_bytes(b"half a segment")
        again = Journal.reopen(tmp_path / "out.mp4")
        assert again is not None
        assert again.frames == (4 if harm == "stray" else 2), harm
        assert len(list(journal.folder.glob("*.seg"))) == len(again.segments)
        again.remove()


def test_other_settings_are_named(tmp_path):
    journal = start(tmp_path, quality=17, model="a")
    journal.require(quality=17, model="a")
    with pytest.raises(UsageError, match="quality was 17, is 20"):
        journal.require(quality=20, model="a")
    with pytest.raises(UsageError, match="size was None"):
        journal.require(quality=17, model="a", size=(1, 2))


def test_a_second_run_on_the_same_output_is_refused(tmp_path):
    pytest.importorskip("fcntl")
    journal = start(tmp_path)
    store(journal, [0])
    with pytest.raises(OutputExists, match="another run"):
        Journal.reopen(tmp_path / "out.mp4")
    with pytest.raises(OutputExists, match="another run"):
        start(tmp_path)
    assert (journal.folder / "00000.seg").exists()
    journal.close()


def test_a_full_disk_keeps_what_was_stored(tmp_path, monkeypatch):
    journal = start(tmp_path)
    store(journal, [0, 10])

    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(journals, "open_for_writing", full)
    with pytest.raises(SinkError, match=r"No space left.*2 frames before are safe.*--resume"):
        store(journal, [20])
    journal.close()
    again = Journal.reopen(tmp_path / "out.mp4")
    assert again is not None
    assert again.frames == 2


def test_reordering_of_known_orders():
    assert reordering([0, 1, 2]) == 0
    assert reordering([0, 2, 1]) == 1
    assert reordering([0, 4, 2, 1, 3]) == 2


@settings(deadline=None, max_examples=50)  # it waits for the disk
@given(data=st.data())
def test_decoding_times_increase_and_never_pass_the_picture(data, tmp_path_factory):
    """For any closed groups of pictures, in any order within each."""
    journal = start(tmp_path_factory.mktemp("j"))
    base, expected = data.draw(st.integers(-50, 10_000)), []
    for _ in range(data.draw(st.integers(1, 3))):
        steps = data.draw(st.lists(st.integers(1, 500), min_size=1, max_size=8))
        times = []
        for step in steps:
            times.append(base)
            base += step
        order = data.draw(st.permutations(times))
        store(journal, order)
        expected += order
    got = list(journal.packets())
    journal.remove()
    assert [packet.time for packet, _ in got] == expected
    decoding = [time for _, time in got]
    assert all(a < b for a, b in pairwise(decoding))
    assert all(time <= packet.time for packet, time in got)


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, '{"file": "../../x.seg"}', "null", '{"restart": []}', "\0", '{"delay": 1e9}'],
)
def test_nonsense_in_a_journal_ends_what_is_whole(tmp_path, line):
    journal = start(tmp_path)
    store(journal, [0, 10])
    journal.close()
    listing = journal.folder / journals.LISTING
    changed = listing.read_text().splitlines()[1].replace('"00000.seg"', '"../x.seg"')
    for text in (line, changed, changed.replace('"delay": 0', '"delay": 1000000000')):
        with listing.open("a", encoding="utf-8") as file:
            file.write(text + "\n")
        again = Journal.reopen(tmp_path / "out.mp4")
        assert again is not None
        assert again.frames == 2
        again.close()
    listing.write_text(line)
    try:
        assert Journal.reopen(tmp_path / "out.mp4") is None
    except UsageError as error:
        assert "another version" in str(error)
