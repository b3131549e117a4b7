"""How the tests of a stack begin: one network, exported once for all tests of a file."""

import pytest


def exported(target: str, file: str, *words: str):
    """A fixture: (file, report) of a small network with instance normalization.

    Args:
        target: of the export.
        file: name of the artifact.
        words: more of the command line.
    """

    @pytest.fixture(scope="module")
    def artifact(checkpoint, export, tmp_path_factory):
        path = tmp_path_factory.mktemp(target) / file
        code, report = export(checkpoint("instance"), target, path, *words)
        assert code == 0
        return path, report

    return artifact
