"""The judge of every frame that we call a server event: the official SDK's own union of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import orjson
import pytest
from openai.types.realtime import RealtimeServerEvent
from pydantic import Field, TypeAdapter

ADAPTER: TypeAdapter[Any] = TypeAdapter(Annotated[RealtimeServerEvent, Field(discriminator="type")])


@pytest.fixture(scope="session")
def read() -> Callable[[list[bytes]], list[dict[str, Any]]]:
    """Frames to objects; each must validate as openai-agents validates it."""

    def read(frames: list[bytes]) -> list[dict[str, Any]]:
        messages = [orjson.loads(frame) for frame in frames]
        for message in messages:
            ADAPTER.validate_python(message)
        return messages

    return read
