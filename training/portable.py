"""A recipe without the paths of the machine that trained by it."""

from pathlib import PurePosixPath, PureWindowsPath

from runtime.card import JsonObject


def portable_recipe(recipe: JsonObject) -> JsonObject:
    """The recipe as a card gives it away: of absolute paths the last part is left.

    A path below the folder of training stays as it is: it says what was trained from what
    ("runs/starry/last.safetensors"). An absolute one says where somebody keeps their files.

    Args:
        recipe: resolved, JSON.

    Returns:
        a copy; everything else as it was.
    """
    return {key: _portable(value) for key, value in recipe.items()}


def _portable(value: object) -> object:
    if isinstance(value, dict):
        return {key: _portable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_portable(inner) for inner in value]
    if isinstance(value, str):
        for path in (PurePosixPath(value), PureWindowsPath(value)):
            if path.is_absolute() and path.name:
                return path.name
    return value
