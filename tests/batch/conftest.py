import pytest
from archives import CLIPS, PICTURES, picture, write_clip
from PIL import Image


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """Twelve items, one of which is no clip."""
    folder = tmp_path_factory.mktemp("archive")
    for number in range(CLIPS):
        write_clip(folder / f"clip{number}.mp4", number)
    for number in range(PICTURES):
        Image.fromarray(picture(7 * number)).save(folder / f"photo{number}.png")
    (folder / "bad.mp4").write_bytes(b"no clip" * 100)
    return folder
