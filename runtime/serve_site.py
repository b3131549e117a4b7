"""python -m runtime.serve_site site/

Shows a page made by `python -m export --target web` in a browser. Only this machine can reach it
unless another address is asked for. Any static server will do, too; this one knows all types of
files and sends the headers that give WebAssembly its threads.

Browsers give the camera to secure pages only: those of this machine, and https. To try the page on
a phone, use --serve 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem, and the address it prints.
"""

import argparse
import functools
import http.server
import json
import re
import signal
import urllib.parse
from pathlib import Path
from typing import Any

from .card import JsonObject
from .cli import add_server_flags, command_main, new_parser, print_text, say, tls_of
from .errors import DONE, UsageError
from .inputs import inside
from .live.web.server import (
    Handling,
    Server,
    Tls,
    is_loopback,
    parse_address,
)

DEFAULT = "127.0.0.1:8080"
# Not the system's table: some systems call .mjs or .wasm something that browsers refuse.
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
OTHER = "application/octet-stream"
# Compressed copies that lie beside the files: coding (RFC 9110, section 8.4.1) and suffix, the
# smaller ones first.
CODINGS = (("br", ".br"), ("gzip", ".gz"))
REFUSED = re.compile(r"q=0(\.0{0,3})?")  # a weight that says no (RFC 9110, section 12.4.2)
HEADERS = {
    # Isolation from other origins: the condition for shared memory, so for threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Ask each time whether it changed: a page exported anew is seen at once.
    "Cache-Control": "no-cache",
}


class Handler(Handling, http.server.SimpleHTTPRequestHandler):
    """Files of one folder, nothing else: no listings, no links out of it, no hidden files."""

    _welcome = False
    _coding: str | None = None
    _varies = False

    def guess_type(self, path: Any) -> str:
        """By our own table; of a compressed copy, what it holds."""
        name = Path(path).with_suffix("") if self._coding else Path(path)
        return TYPES.get(name.suffix.lower(), OTHER)

    def end_headers(self) -> None:
        """With our headers on every answer."""
        for name, value in HEADERS.items():
            self.send_header(name, value)
        if self._varies:
            self.send_header("Vary", "Accept-Encoding")
        if self._coding is not None:
            self.send_header("Content-Encoding", self._coding)
        self._coding, self._varies = None, False  # the connection may go on
        if self._welcome and self.cookie is not None:
            self.send_header("Set-Cookie", self.cookie)
        super().end_headers()

    def send_head(self) -> Any:
        """The file asked for, if it is one of the folder's own; its compressed copy if there is one
        and the browser takes it."""
        # Browsers ask for a manifest without cookies; nothing in it is secret.
        refusal = None if self.path.endswith(".webmanifest") else self.refusal(linked=True)
        self._welcome = refusal is None
        if refusal is not None:
            self.send_error(*refusal)
            return None
        asked, folder = Path(self.translate_path(self.path)), Path(self.directory).resolve()
        hidden = any(part.startswith(".") for part in asked.relative_to(self.directory).parts)
        if hidden or not asked.resolve().is_relative_to(folder):
            self.send_error(404, "there is no such file")
            return None
        self._choose_copy(asked, folder)
        return super().send_head()

    def _choose_copy(self, asked: Path, folder: Path) -> None:
        """Go on with a compressed copy of a file where that may be sent."""
        if not asked.is_file():
            return
        accepted = accepted_codings(self.headers.get("Accept-Encoding", ""))
        for coding, suffix in CODINGS:
            copy = asked.with_name(asked.name + suffix)
            if not copy.is_file() or not copy.resolve().is_relative_to(folder):
                continue
            if copy.stat().st_mtime_ns < asked.stat().st_mtime_ns:
                continue  # the file was changed after it was compressed
            self._varies = True
            if coding in accepted:
                self._coding = coding
                self.path = urllib.parse.urlsplit(self.path).path + suffix
                return

    def list_directory(self, path: Any) -> None:
        """A folder without a page is not shown."""
        self.send_error(404, "there is no such file")


def accepted_codings(header: str) -> set[str]:
    """What a browser's Accept-Encoding names, but for what it refuses with `q=0`."""
    found: set[str] = set()
    for part in header.lower().split(","):
        coding, _, weight = part.replace(" ", "").partition(";")
        if not REFUSED.fullmatch(weight):
            found.add(coding)
    return found - {""}


def open_server(
    folder: Path, address: str, token: str | None = None, tls: Tls | None = None
) -> Server:
    """A server that listens; its `url` is the page's address. Call its `serve_forever`.

    Raises:
        UsageError: the folder holds no page, the address is wrong or taken, or the certificate
            cannot be read.
    """
    check_site(folder)
    return Server(address, functools.partial(Handler, directory=str(folder)), token, tls)


def check_site(folder: Path) -> JsonObject:
    """What the page's listing holds.

    Raises:
        UsageError: this is no folder of `python -m export --target web`, or files are missing.
    """
    try:
        listing = json.loads((folder / "site.json").read_text(encoding="utf-8"))
        urls = [*listing["page"], *(style["file"] for style in listing["styles"])]
        urls += [file["url"] for engine in listing["engines"] for file in engine["files"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise UsageError(
            f'"{folder}" holds no page; python -m export --target web --model starry --output '
            f"{folder} makes one"
        ) from None
    for url in urls:
        name = urllib.parse.unquote(urllib.parse.urlsplit(url).path)
        name = "index.html" if name == "./" else name
        if not inside(folder, name, f'"{folder}"').is_file():
            raise UsageError(f'"{folder}" lacks {name}; export it again')
    return listing


def build_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = new_parser("serve_site", __doc__)
    parser.add_argument("folder", type=Path, help="made by python -m export --target web")
    parser.add_argument(
        "--serve", metavar="HOST:PORT", default=DEFAULT, help=f"default: {DEFAULT}, this machine"
    )
    add_server_flags(parser)
    parser.add_argument("--quiet", "-q", action="store_true", help="errors only on stderr")
    return parser


def run(args: argparse.Namespace) -> int:
    """Serve until interrupted."""
    server = open_server(args.folder, args.serve, args.token, tls_of(args.tls_cert, args.tls_key))
    print_text(server.url)
    say("Ctrl-C ends it", quiet=args.quiet)
    host = parse_address(args.serve)[0]
    if not is_loopback(host) and args.tls_cert is None:
        say("other machines get no camera without https: add --tls-cert PEM", quiet=args.quiet)
    # A shell starts background commands deaf to interrupts; a server must hear them all the same.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        server.serve_forever(poll_interval=0.1)
    finally:
        server.server_close()
    return DONE


main = command_main(build_parser, run)


if __name__ == "__main__":
    raise SystemExit(main())
