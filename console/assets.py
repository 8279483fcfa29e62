"""Static files: read once, served under an address that holds a hash of them all, to be kept for ever."""

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from litestar import Request, Router, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Response

from console.access import public

_FOLDER: Final = Path(__file__).parent / "static"
_SERVED: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".woff2": "font/woff2"}
_KEPT: Final = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class File:
    body: bytes
    zipped: bytes
    """Empty when zipping gains nothing (fonts)."""
    media_type: str
    etag: str


class Assets:
    """Every servable file of a folder, by its path below it. A request reads no disk, so it cannot leave the folder."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            path.relative_to(folder).as_posix(): _read(path)
            for path in sorted(folder.rglob("*"))
            if path.suffix in _SERVED
        }
        together = "".join(f"{name}{file.etag}" for name, file in self.files.items())
        self.version = hashlib.sha256(together.encode()).hexdigest()[:16]

    def href(self, name: str) -> str:
        """A file's address. Raises KeyError for a file that is not there."""
        self.files[name]
        return f"/static/{self.version}/{name}"


def _read(path: Path) -> File:
    body = path.read_bytes()
    media_type = _SERVED[path.suffix]
    text = not media_type.startswith("font/")
    return File(
        body=body,
        zipped=gzip.compress(body, mtime=0) if text else b"",
        media_type=f"{media_type}; charset=utf-8" if text else media_type,
        etag=f'"{hashlib.sha256(body).hexdigest()[:20]}"',
    )


ASSETS: Final = Assets(_FOLDER)


@get("/static/{version:str}/{name:path}", include_in_schema=False, guards=[public], name="static")
async def static_file(request: Request[Any, Any, Any], version: FromPath[str], name: FromPath[Path]) -> Response[bytes]:
    """An old version's address gets today's file, but not to be kept."""
    file = ASSETS.files.get(name.as_posix().lstrip("/"))
    if file is None:
        raise NotFoundException("There is no such file.")
    zipped = bool(file.zipped) and "gzip" in request.headers.get("accept-encoding", "")
    headers = {
        "Cache-Control": _KEPT if version == ASSETS.version else "no-cache",
        "ETag": file.etag,
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == file.etag:
        return Response(b"", status_code=304, headers=headers, media_type=file.media_type)
    if zipped:
        headers["Content-Encoding"] = "gzip"
    return Response(file.zipped if zipped else file.body, headers=headers, media_type=file.media_type)


def static_router() -> Router:
    return Router("/", route_handlers=[static_file], include_in_schema=False)
