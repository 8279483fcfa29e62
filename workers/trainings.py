"""Where a training keeps what it need not do again after it was cut short: a folder of its run in the data directory."""

import hashlib
from dataclasses import fields, is_dataclass
from pathlib import Path
from shutil import rmtree
from typing import Any
from uuid import UUID

import numpy as np
import structlog

from models.features.catalogue import CATALOGUE_VERSION, NAMES
from models.features.offline import History
from models.features.vector import Vectors
from models.scoring.steps import Checkpoints, FolderCheckpoints, NoCheckpoints

log = structlog.get_logger()


class RunFolder:
    """Blocking: call from a thread. A folder that cannot be written costs only the way already gone."""

    def __init__(self, data_dir: Path, run_id: UUID) -> None:
        self._all = data_dir / "trainings"
        self._folder = self._all / str(run_id)

    def open(self) -> Checkpoints:
        """For `train`. Folders of other runs are of the past: one training is under way at a time."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for other in self._all.iterdir():
                if other != self._folder:
                    rmtree(other, ignore_errors=True)
        except OSError as error:
            log.warning("a training that is cut short will start over", folder=str(self._folder), reason=error.strerror)
            return NoCheckpoints()
        return FolderCheckpoints(self._folder)

    def replayed(self, history: History, rows: int) -> Vectors | None:
        """The vectors of the last `rows` payments of exactly this history, if they were kept."""
        try:
            found: Vectors = np.load(self._vectors(history), allow_pickle=False)
        except (OSError, ValueError):
            return None
        return found if found.shape == (rows, len(NAMES)) else None

    def keep_replayed(self, history: History, matrix: Vectors) -> None:
        target = self._vectors(history)
        partial = target.with_suffix(".partial")
        try:
            with partial.open("wb") as file:
                np.save(file, matrix)
            partial.replace(target)
        except OSError as error:
            log.warning("replayed vectors are not kept", folder=str(self._folder), reason=error.strerror)

    def drop(self) -> None:
        rmtree(self._folder, ignore_errors=True)

    def _vectors(self, history: History) -> Path:
        digest = hashlib.sha256(str(CATALOGUE_VERSION).encode())
        _feed(digest, history)
        return self._folder / f"vectors-{digest.hexdigest()[:32]}.npy"


def _feed(digest: Any, part: Any) -> None:
    """Every array in it, whatever the catalogue reads."""
    if is_dataclass(part):
        for field in fields(part):
            digest.update(field.name.encode())
            _feed(digest, getattr(part, field.name))
    elif isinstance(part, np.ndarray):
        digest.update(np.ascontiguousarray(part).ravel().view(np.uint8).data)
    else:
        digest.update(repr(part).encode())
