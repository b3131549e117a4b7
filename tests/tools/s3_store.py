"""A store that speaks enough of S3 for pyarrow, in memory, on loopback.

    with running() as (query, objects):
        Place.parse(f"s3://bucket/a.txt{query}").write(b"...")

Buckets exist as soon as something is in them. No signatures are checked.
"""

import hashlib
import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.etree import ElementTree
from xml.sax.saxutils import escape

DATE = "Mon, 30 Nov 2026 05:00:00 GMT"
LISTED = "2026-11-30T05:00:00.000Z"


class Handler(BaseHTTPRequestHandler):
    """Answers from `server.objects`, "bucket/key" to bytes."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self):
        name, _ = self.asked()
        objects = self.server.objects
        if "/" not in name:  # a bucket
            self.answer(200 if any(o.startswith(name + "/") for o in objects) else 404)
        elif name in objects:
            self.answer(200, length=len(objects[name]))
        else:
            self.answer(404)

    def do_GET(self):
        name, words = self.asked()
        if "list-type" in words:
            self.list(name.rstrip("/"), words)
            return
        data = self.server.objects.get(name)
        if data is None:
            self.answer(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        span = self.headers.get("Range", "").removeprefix("bytes=")
        first, _, last = span.partition("-")
        part = data[int(first) : int(last) + 1 if last else None] if span else data
        self.answer(206 if span else 200, part)

    def list(self, bucket, words):
        prefix, mark = words.get("prefix", [""])[0], words.get("delimiter", [""])[0]
        start = bucket + "/"
        names = sorted(name for name in self.server.objects if name.startswith(start))
        keys = [name.removeprefix(start) for name in names]
        found, folders = [], []
        for key in (k for k in keys if k.startswith(prefix)):
            head, cut, _ = key[len(prefix) :].partition(mark) if mark else (key, "", "")
            if cut:
                folders.append(prefix + head + mark)
            else:
                size = len(self.server.objects[f"{bucket}/{key}"])
                found.append(
                    f"<Contents><Key>{escape(key)}</Key><Size>{size}</Size>"
                    f"<LastModified>{LISTED}</LastModified></Contents>"
                )
        found += [
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in dict.fromkeys(folders)
        ]
        head = f"<KeyCount>{len(found)}</KeyCount><IsTruncated>false</IsTruncated>"
        self.answer(200, f"<ListBucketResult>{head}{''.join(found)}</ListBucketResult>".encode())

    def do_PUT(self):
        name, words = self.asked()
        data = self.body()
        if "uploadId" in words:
            self.server.parts[words["uploadId"][0], int(words["partNumber"][0])] = data
        else:
            self.server.objects[name] = data
        self.answer(200, etag=hashlib.md5(data).hexdigest())

    def do_POST(self):
        name, words = self.asked()
        body = self.body()
        if "delete" in words:
            for element in ElementTree.fromstring(body).iter():
                if element.tag.endswith("Key"):
                    self.server.objects.pop(f"{name.rstrip('/')}/{element.text}", None)
            self.answer(200, b"<DeleteResult></DeleteResult>")
        elif "uploads" in words:
            upload = hashlib.md5(name.encode()).hexdigest()
            text = f"<InitiateMultipartUploadResult><UploadId>{upload}</UploadId>"
            self.answer(200, f"{text}</InitiateMultipartUploadResult>".encode())
        else:
            upload = words["uploadId"][0]
            mine = sorted(key for key in self.server.parts if key[0] == upload)
            self.server.objects[name] = b"".join(self.server.parts.pop(key) for key in mine)
            text = '<CompleteMultipartUploadResult><ETag>"1"</ETag>'
            self.answer(200, f"{text}</CompleteMultipartUploadResult>".encode())

    def do_DELETE(self):
        name, _ = self.asked()
        self.server.objects.pop(name, None)
        self.answer(204)

    def asked(self):
        address = urlsplit(self.path)
        return unquote(address.path).lstrip("/"), parse_qs(address.query, keep_blank_values=True)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            sent = unchunked(self.rfile)
            # HTTP's chunks hold those of the AWS protocol, and a checksum behind them.
            return unchunked(io.BytesIO(sent)) if "x-amz-trailer" in self.headers else sent
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self, code, data=b"", length=None, etag="1"):
        self.send_response(code)
        self.send_header("Content-Length", str(len(data) if length is None else length))
        self.send_header("Content-Type", "application/xml")
        self.send_header("Last-Modified", DATE)
        self.send_header("ETag", f'"{etag}"')
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


def unchunked(stream):
    """What the chunks of a stream hold; each has its length before it."""
    data = b""
    while size := int(stream.readline().split(b";")[0], 16):
        data += stream.read(size)
        stream.readline()
    while stream.readline().strip():  # what follows the last one
        pass
    return data


@contextmanager
def running() -> Iterator[tuple[str, dict[str, bytes]]]:
    """The store; what follows an address in it, and its objects."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.objects, server.parts = {}, {}
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        port = server.server_address[1]
        query = f"?endpoint_override=127.0.0.1:{port}&scheme=http&region=us-east-1"
        yield query, server.objects
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
