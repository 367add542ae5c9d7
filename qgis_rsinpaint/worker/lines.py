"""Messages as lines of JSON, read so that neither noise nor a line without end does harm."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import IO, Any

LINE_BYTES = 1 << 20
"""Longest line that either side may send."""

Message = dict[str, Any]


def read_lines(pipe: IO[bytes], limit: int = LINE_BYTES) -> Iterator[bytes]:
    """Lines of at most `limit` bytes; of a longer one only the beginning, so that memory stays bounded."""
    while line := pipe.readline(limit):
        rest = line
        while not rest.endswith(b"\n") and len(rest) == limit:
            rest = pipe.readline(limit)
        yield line


def read_message(line: bytes) -> Message | None:
    """The message on a line, or None when it is none (noise of a library, half a line)."""
    try:
        message = json.loads(line.decode("utf-8"))
    except ValueError:
        return None
    return message if isinstance(message, dict) and isinstance(message.get("type"), str) else None
