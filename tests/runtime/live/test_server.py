"""The server under both pages: tokens, https, names, and strangers who hold connections."""

import http.client
import json
import queue
import shutil
import socket
import ssl
import subprocess
import threading

import numpy as np
import pytest

from runtime.cli import tls_of
from runtime.errors import UsageError
from runtime.live.web.preview import Preview
from runtime.serve_site import open_server

PATIENCE_S = 30


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for this machine, signed by itself, and its key."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command, to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    words += ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    paths = (folder / "cert.pem", folder / "key.pem")
    words += ["-out", str(paths[0]), "-keyout", str(paths[1])]
    subprocess.run(words, check=True, capture_output=True)
    return paths


@pytest.fixture
def site(tmp_path):
    folder = tmp_path / "site"
    folder.mkdir()
    for name in ("index.html", "manifest.webmanifest"):
        (folder / name).write_text("hello")
    (folder / "site.json").write_text(json.dumps({"page": ["./"], "engines": [], "styles": []}))
    return folder


def ask(server, path, **headers):
    """Status, headers and body, asked of a server at whatever address it has on this machine."""
    port = server.server_address[1]
    if server.scheme == "https":
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=PATIENCE_S, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


@pytest.fixture
def running(site):
    """Opens the exported page's server and lets it run."""
    servers = []

    def start(address, **options):
        server = open_server(site, address, **options)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_the_exported_page_asks_for_a_token_where_others_can_reach_it(running):
    server = running("0.0.0.0:0")
    assert f"/?token={server.token}" in server.url and len(server.token) > 16
    assert ask(server, "/")[0] == 401
    assert ask(server, "/?token=wrong")[0] == 401
    status, headers, body = ask(server, f"/?token={server.token}")
    assert (status, body) == (200, b"hello")
    assert ask(server, "/index.html", Cookie=headers["Set-Cookie"].split(";")[0])[0] == 200
    assert ask(server, "/manifest.webmanifest")[0] == 200  # asked for without cookies
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert not running("127.0.0.1:0").token


def test_hosts_and_sites(running):
    local, wide = running("127.0.0.1:0"), running("0.0.0.0:0", token="word")
    assert ask(wide, "/?token=word", Host="evil.example")[0] == 403
    assert ask(wide, "/?token=word", Host="192.168.1.7:8080")[0] == 200
    assert ask(wide, "/?token=word", Host=socket.gethostname())[0] == 200
    assert ask(local, "/", Host="192.168.1.7")[0] == 403
    assert ask(local, "/", Sec_Fetch_Site="cross-site")[0] == 403
    # A link from elsewhere opens the page.
    assert ask(local, "/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200


def test_half_addresses_get_an_answer(running):
    """The connection was closed without one."""
    local, wide = running("127.0.0.1:0"), running("0.0.0.0:0", token="word")
    assert ask(wide, "/?token=word", Host="[x")[0] == 403
    with socket.create_connection(local.server_address, PATIENCE_S) as connection:
        connection.sendall(b"GET http://[x/ HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400")


def test_port_80(running):
    """Browsers leave it out of Host and Origin."""
    try:
        server = running("127.0.0.1:80")
    except UsageError as error:
        pytest.skip(str(error))  # not ours to open, or taken
    assert server.url == "http://127.0.0.1:80/"
    for host in ("127.0.0.1", "localhost", "localhost:80"):
        assert ask(server, "/", Host=host)[0] == 200
    assert ask(server, "/", Host="evil.example")[0] == 403


@pytest.mark.parametrize("joined", [False, True])
def test_https(running, certificate, tmp_path, joined):
    cert, key = certificate
    if joined:
        whole = tmp_path / "both.pem"
        whole.write_bytes(cert.read_bytes() + key.read_bytes())
        cert, key = whole, None
    server = running("127.0.0.1:0", tls=(cert, key), token="word")
    assert server.url.startswith("https://127.0.0.1:")
    status, headers, _ = ask(server, "/?token=word")
    assert status == 200 and headers["Set-Cookie"].endswith("; Secure")


def test_the_live_page_by_https(certificate):
    with Preview("127.0.0.1:0", queue.SimpleQueue(), tls=certificate) as preview:
        port = preview._server.server_address[1]
        assert preview.url == f"https://127.0.0.1:{port}/"
        assert ask(preview._server, "/state")[0] == 200


def test_certificates_that_are_none(site, certificate, tmp_path):
    (tmp_path / "none.pem").write_text("none")
    for tls in ((tmp_path / "none.pem", None), (certificate[0], None), (tmp_path / "absent", None)):
        with pytest.raises(UsageError):
            open_server(site, "127.0.0.1:0", tls=tls)
    with pytest.raises(UsageError, match="--tls-key needs --tls-cert"):
        tls_of(None, certificate[1])


def test_strangers_who_hold_connections_hold_nobody_up():
    """Half requests, and streams that nobody reads: pictures are handed over as before, and who
    asks for the state gets it."""
    with Preview("127.0.0.1:0", queue.SimpleQueue()) as preview:
        address = preview._server.server_address[:2]
        held = []
        for index in range(24):
            connection = socket.create_connection(address, timeout=PATIENCE_S)
            lines = b"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n" % address[1]
            connection.sendall(lines + (b"\r\n" if index % 2 else b""))
            held.append(connection)
        noise = np.random.default_rng(0).integers(256, size=(480, 640, 3), dtype=np.uint8)
        for _ in range(50):  # more than any buffer holds
            preview.offer(noise)
        assert ask(preview._server, "/state")[0] == 200
        assert ask(preview._server, "/frame.jpg")[1]["Content-Type"] == "image/jpeg"
        for connection in held:
            connection.close()
