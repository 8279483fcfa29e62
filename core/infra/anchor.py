"""The anchor file: checkpoints kept where the database is not. Lines are only ever appended."""

import os
from pathlib import Path

from core.base.errors import Unavailable


def append_line(path: Path, line: str) -> None:
    """On disk when this returns. Raises Unavailable."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o640)
        with os.fdopen(descriptor, "a") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        raise Unavailable(f"cannot write the audit anchor {path}: {error.strerror}") from error


def read_lines(path: Path) -> list[str] | None:
    """None = there is no such file. Raises Unavailable for one that cannot be read."""
    try:
        return path.read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"cannot read the audit anchor {path}: {error.strerror}") from error
