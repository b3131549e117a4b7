"""Pictures saved by a key, encoded and written in a thread so that the show does not stop."""

import re
import threading
from datetime import datetime
from pathlib import Path
from time import monotonic

import cv2

from ..errors import SinkError, StyleError
from ..frame import Image
from ..outputs import replacing
from ..provenance import carriers, provenance_of, xmp
from ..provenance.signing import Signer

# Seconds that the end of a run waits for pictures: an encoder needs one, a disk that spins up ten.
PATIENCE_S = 15.0
# Pictures that wait to be written: each is held in memory.
MOST = 16


class Snapshots:
    """Saves pictures as PNG files under names that are not taken.

    Args:
        folder: where they go; made when the first one is saved.
        provenance: say in them what made them.
        signer: signs what they say; None for nobody.
    """

    def __init__(
        self, folder: Path, *, provenance: bool = True, signer: Signer | None = None
    ) -> None:
        self.folder, self._provenance, self._signer = folder, provenance, signer
        self.files: list[str] = []
        self._news: list[str] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def save(self, image: Image, style: str) -> None:
        """Write `image` (not changed any more by anybody) in the background, unless the folder is
        behind."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        if len(self._threads) >= MOST:
            with self._lock:
                self._news.append(f'snapshot left out: "{self.folder}" has {MOST} to write')
            return
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        word = re.sub(r"[^\w.-]+", "-", style).strip("-") or "picture"
        thread = threading.Thread(
            target=self._write,
            args=(image, f"impasto-{word}-{stamp}", style),
            name="snapshot",
            daemon=True,  # a folder that does not answer must not keep the program
        )
        self._threads.append(thread)
        thread.start()

    def news(self) -> list[str]:
        """What was saved, or could not be, since the last call."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def close(self, limit: float = PATIENCE_S) -> None:
        """Wait until everything is written.

        Args:
            limit: seconds.

        Raises:
            SinkError: the folder does not take it.
        """
        until = monotonic() + limit
        for thread in self._threads:
            thread.join(max(0.0, until - monotonic()))
        late = sum(thread.is_alive() for thread in self._threads)
        if late:
            raise SinkError(
                f'pictures not saved: "{self.folder}" has not taken {late} of them in {limit:g} s'
            )

    def _write(self, image: Image, stem: str, style: str) -> None:
        good, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
        data = encoded.tobytes() if good else b""
        made = provenance_of([(style, "")]) if self._provenance else None
        if made is not None:
            data = carriers.in_png(data, xmp.state(made))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with self._lock:
                number = 1
                path = self.folder / f"{stem}.png"
                while path.exists():
                    number += 1
                    path = self.folder / f"{stem}-{number}.png"
                with replacing(path, overwrite=False) as temporary:
                    temporary.write_bytes(data)
                    if self._signer is not None and made is not None:
                        self._signer.sign(temporary, path, made)
                self.files.append(str(path))
                self._news.append(f"saved {path}")
        except OSError as error:
            with self._lock:
                self._news.append(f'snapshot not saved: "{self.folder}": {error.strerror}')
        except StyleError as error:
            with self._lock:
                self._news.append(f"snapshot not saved: {error}")
