"""Any server that speaks the OpenAI Realtime protocol, by its base URL (openai-realtime.md 1.1, 1.2)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from urllib.parse import urlencode

from relay.config import ProviderSettings
from relay.errors import ModelError
from relay.providers.base import SecretHeaders, Target


def target(
    provider: str, model: str, settings: ProviderSettings, environ: Mapping[str, str] | None = None
) -> Target:
    """How to dial `<provider>/<model>`.

    Raises:
        ModelError: the variable that should hold the key is not set.
    """
    environ = os.environ if environ is None else environ
    headers = {}
    if settings.api_key_env is not None:
        key = environ.get(settings.api_key_env)
        if not key:
            raise ModelError(f"The key of provider {provider!r} is not configured.", retryable=False,
                             code="provider_not_configured")
        headers["Authorization"] = f"Bearer {key}"
    base = settings.base_url.rstrip("/")
    if base.startswith("http"):
        base = "ws" + base.removeprefix("http")
    return Target(
        model=f"{provider}/{model}",
        leg="socket",
        dialect="openai_realtime",
        url=f"{base}/realtime?{urlencode({'model': model})}",
        headers=SecretHeaders(headers),
        relay_turns=settings.turn_detection_owner == "relay",
    )
