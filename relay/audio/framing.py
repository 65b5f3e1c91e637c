"""Arbitrary chunks of bytes in, pieces of one exact size out."""

from __future__ import annotations


class Framer:
    """Cuts a byte stream into pieces of ``size_bytes``; what does not fill one waits for the next chunk."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._rest = b""

    @property
    def waiting_bytes(self) -> int:
        """Bytes that do not fill a piece yet; less than one piece."""
        return len(self._rest)

    def feed(self, chunk: bytes) -> list[bytes]:
        """The pieces that ``chunk`` completes, in order."""
        size = self._size_bytes
        data = self._rest + chunk if self._rest else chunk
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[at : at + size] for at in range(0, whole, size)]
