"""What is decided before a server is asked. tests/serving has one."""

import socket

import pytest

from runtime import plugins, video
from runtime.engines import _triton
from runtime.errors import EngineUnavailable, UsageError
from runtime.model.options import StylizeOptions
from runtime.model.session import open_remote, open_session


@pytest.mark.parametrize(
    "address", ["host:8001", "http://host:8001", "grpc://host", "grpc://:8001", "grpc://h/x:1", ""]
)
def test_an_address_that_is_none(address):
    with pytest.raises(UsageError, match="allowed is grpc://HOST:PORT"):
        open_remote(address, "starry")


def test_without_the_library_one_line_says_how_to_get_it(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(plugins, "installed", lambda name: name != "tritonclient")
    words = ["synthetic", str(tmp_path / "x.mp4"), "--server", "grpc://localhost:1"]
    assert video.main([*words, "--server-model", "starry_stream"]) == 3
    said = capsys.readouterr().err
    assert "pip install 'tritonclient[grpc]'" in said and said.count("\n") == 1


def test_nobody_answers():
    pytest.importorskip("tritonclient", reason="pip install -e '.[triton-client]'")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    with pytest.raises(EngineUnavailable, match=f"grpc://127.0.0.1:{port}: "):
        open_remote(f"grpc://127.0.0.1:{port}", "starry")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--server", "grpc://h:1"], "belong together"),
        (["--server-model", "starry"], "belong together"),
        (["--server", "grpc://h:1", "--server-model", "x", "--model", "y"], "and not both"),
    ],
)
def test_a_model_here_or_there(words, said, capsys):
    assert video.main(["clip.mp4", "x.mp4", *words]) == 2
    assert said in capsys.readouterr().err


def test_what_the_server_chooses_is_not_chosen_here():
    with pytest.raises(UsageError, match="chosen where the server is started"):
        StylizeOptions([("starry", 1.0)], device="cpu", server="grpc://h:1")


def test_a_served_card_takes_bytes_and_style_pictures():
    """Padding, conversion and encoders are on the other side; names of styles stay."""
    with open_session("adain") as session:
        served = _triton.as_served(session.card)
    assert [(port.name, port.role) for port in served.inputs] == [
        ("image", "image"),
        ("alpha", "scalar"),
        ("style", "style"),
    ]
    image, style = served.inputs[0], served.inputs[2]
    assert {(port.dtype, port.layout, port.high) for port in (image, style)} == {
        ("uint8", "NHWC", 255.0)
    }
    assert (served.multiple_of, served.minimum, served.outputs[0].name) == (1, 1, "styled")
    with open_session("many") as session:
        code = _triton.as_served(session.card).inputs[1]
    assert code.name == "code" and "udnie" in code.names


def test_streams_have_numbers_that_the_protocol_holds():
    numbers = {_triton._new_stream() for _ in range(100)}
    assert len(numbers) == 100 and all(0 < number < 2**63 for number in numbers)
