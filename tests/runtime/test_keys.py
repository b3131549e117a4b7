"""Key map, scripts and what the actions change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import input_noise
from runtime.errors import UsageError
from runtime.keys import ACTIONS, KEYS, action_named, action_of, help_lines, parse_script
from runtime.live.controls import EFFECTS, Settings, apply


def test_no_key_means_two_things():
    names = [name for key in KEYS for name in key.keys]
    assert len(names) == len(set(names))
    assert all(key.flag.startswith("--") for key in KEYS)


def test_codes_of_the_window():
    assert action_of(ord("n")) == "next"
    assert action_of(ord("N")) == "next"
    assert action_of(32) == "freeze"
    assert action_of(27) == "quit"
    assert action_of(ord("7")) == "style 7"
    assert action_of(-1) is None
    assert action_of(ord("z")) is None
    assert action_of(0x100000 | ord("q")) == "quit"  # GTK adds modifier bits


def test_script_is_sorted_and_takes_keys_and_names():
    assert parse_script("90:q 30:n, 60:space 60:style-2") == [
        (30, "next"),
        (60, "freeze"),
        (60, "style 2"),
        (90, "quit"),
    ]
    assert parse_script("1:+,2:-") == [(1, "stronger"), (2, "weaker")]


@pytest.mark.parametrize("text", ["²:n", "", "n", "x:n", "3:", "3:frieze", "-1:n"])
def test_bad_scripts_say_what_to_write(text):
    with pytest.raises(UsageError):
        parse_script(text)


def test_a_near_word_is_suggested():
    with pytest.raises(UsageError, match='Did you mean "freeze"'):
        action_named("frieze")


def test_help_names_every_action():
    text = "\n".join(help_lines())
    assert all(key.text in text for key in KEYS if not key.action.startswith("style "))
    assert "1-9" in text


@given(st.lists(st.sampled_from(sorted(ACTIONS)), max_size=60), st.integers(1, 12))
def test_any_sequence_leaves_valid_settings(actions, num_styles):
    settings = Settings()
    for action in actions:
        changed = apply(settings, action, num_styles)
        if action in EFFECTS:
            assert changed is settings
        settings = changed
        assert 0 <= settings.style < num_styles
        assert 0.0 <= settings.strength <= 1.0


def test_next_goes_round_and_a_missing_number_does_nothing():
    assert apply(Settings(style=2), "next", 3).style == 0
    assert apply(Settings(style=0), "previous", 3).style == 2
    assert apply(Settings(style=1), "style 9", 3).style == 1


@pytest.mark.parametrize("action", ["stabilizer", "split", "freeze", "mirror", "help", "stats"])
def test_switches_switch_back(action):
    once = apply(Settings(), action, 1)
    assert once != Settings()
    assert apply(once, action, 1) == Settings()


def test_the_noise_key_brings_the_usual_amount_and_takes_it_away():
    once = apply(Settings(), action_named("e"), 1)
    assert once.noise == input_noise.USUAL
    assert apply(once, "noise", 1) == Settings()


def test_ten_steps_down_and_up_are_exact():
    settings = Settings()
    for action in ["weaker"] * 10 + ["stronger"] * 10:
        settings = apply(settings, action, 1)
    assert settings.strength == 1.0


@pytest.mark.parametrize(
    ("action", "field", "value"),
    [
        ("strength 0.4", "strength", 0.4),
        ("mix 1", "mix", 1.0),
        ("stability 0", "stability", 0.0),
        ("noise 0.3", "noise", 0.3),
        ("divider 0.25", "divider", 0.25),
        ("split on", "split", True),
        ("stats off", "stats", False),
        ("freeze on", "frozen", True),
        ("part person", "region", "person"),
        ("colors histogram", "colors", "histogram"),
        ("beside 2", "beside", 1),
        ("beside 0", "beside", -1),
    ],
)
def test_actions_with_a_value(action, field, value):
    once = apply(Settings(), action_named(action), 3)
    assert getattr(once, field) == value
    assert apply(once, action, 3) == once


@pytest.mark.parametrize(
    "action",
    ["strength 1.1", "strength x", "split 2", "part people", "style 0", "style", "mix nan"],
)
def test_values_that_are_not_allowed_are_refused(action):
    with pytest.raises(UsageError):
        action_named(action)


def test_the_rest_goes_round_through_the_styles_and_none():
    settings, seen = Settings(), []
    for _ in range(4):
        settings = apply(settings, "beside", 3)
        seen.append(settings.beside)
    assert seen == [0, 1, 2, -1]


def test_parts_go_round_and_one_style_for_all_is_everywhere():
    settings = Settings(style=1, beside=0)
    seen = []
    for _ in range(3):
        settings = apply(settings, "part", 3)
        seen.append(settings.region)
    assert seen == ["person", "background", "all"]
    assert Settings(style=1, beside=1, region="person").seen == "all"
    assert Settings(style=1, beside=0, region="person").seen == "person"


def test_colors_go_round():
    settings, seen = Settings(), []
    for _ in range(3):
        settings = apply(settings, "colors", 1)
        seen.append(settings.colors)
    assert seen == ["luminance", "histogram", ""]
    assert apply(Settings(colors="luminance"), "colors style", 1).colors == ""


def test_a_new_style_is_not_mixed():
    assert apply(Settings(mix=0.5), "next", 3).mix == 0
