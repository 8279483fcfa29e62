"""Reading request bodies: content type, size, and splitting a batch into its items without parsing them twice."""

from typing import Any

import msgspec
from litestar import Request

from core.base.errors import BatchTooLarge, BodyTooLarge, MalformedBody, UnsupportedMediaType

MAX_ITEM = 64 * 1024
MAX_BATCH = 8 * 1024 * 1024
MAX_ITEMS = 1000
JSON = "application/json"
NDJSON = ("application/x-ndjson", "application/ndjson", "application/jsonl")

_items = msgspec.json.Decoder(list[msgspec.Raw])


def media_type(request: Request[Any, Any, Any]) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


async def json_body(request: Request[Any, Any, Any], most: int = MAX_ITEM) -> bytes:
    """The raw JSON body. Raises UnsupportedMediaType or BodyTooLarge."""
    if media_type(request) != JSON:
        raise UnsupportedMediaType("send Content-Type: application/json")
    return await _read(request, most)


async def batch_items(request: Request[Any, Any, Any]) -> list[bytes]:
    """The items of a JSON array or of NDJSON, as raw JSON each.

    Raises UnsupportedMediaType, BodyTooLarge, MalformedBody (the body as a whole) or BatchTooLarge.
    """
    kind = media_type(request)
    if kind != JSON and kind not in NDJSON:
        raise UnsupportedMediaType("send Content-Type: application/json (an array) or application/x-ndjson")
    body = await _read(request, MAX_BATCH)
    items = [line for line in body.splitlines() if line.strip()] if kind in NDJSON else _array(body)
    if not items:
        raise MalformedBody("the batch is empty")
    if len(items) > MAX_ITEMS:
        raise BatchTooLarge(f"{len(items)} items; a batch has at most {MAX_ITEMS}", items=len(items), most=MAX_ITEMS)
    return items


async def _read(request: Request[Any, Any, Any], most: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > most:
        raise BodyTooLarge(f"the body has more than {most} bytes", most=most)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise BodyTooLarge(f"the body has more than {most} bytes", most=most)
        chunks.append(chunk)
    return b"".join(chunks)


def _array(body: bytes) -> list[bytes]:
    try:
        return [bytes(item) for item in _items.decode(body)]
    except (msgspec.DecodeError, RecursionError) as error:
        raise MalformedBody(f"not a JSON array: {error}") from None
