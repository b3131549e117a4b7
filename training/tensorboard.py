"""The log in TensorBoard as well; one of the engine's watchers."""

from pathlib import Path

import numpy as np

from runtime.errors import EngineUnavailable
from runtime.pictures.opening import open_picture


class TensorBoard:
    """Writes scalars and contact sheets as an event file into the run folder.

    Raises:
        EngineUnavailable: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise EngineUnavailable(
                '--tensorboard needs TensorBoard: pip install -e ".[tensorboard]"'
            ) from None
        self.writer = SummaryWriter(str(folder))

    def log(self, step: int, means: dict[str, float]) -> None:
        """Every mean as a scalar."""
        for name, value in means.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def sheet(self, step: int, path: Path) -> None:
        """The contact sheet as an image."""
        with open_picture(path) as file:
            self.writer.add_image("sheet", np.asarray(file.convert("RGB")), step, dataformats="HWC")
        self.writer.flush()
