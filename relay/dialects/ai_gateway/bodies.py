"""JSON bodies of the HTTP doors that AI SDK gateway clients use. Pure: the server adds status and headers.

Sources: `@ai-sdk/gateway` 4.0.146 `errors/create-gateway-error.ts` (a body of another shape loses the server's text)
and `gateway-fetch-metadata.ts` (one malformed entry fails the whole catalogue).
"""

from __future__ import annotations

from typing import Any, Final, Literal

ERROR_TYPES: Final = frozenset({
    "authentication_error",
    "invalid_request_error",
    "forbidden",
    "model_not_found",
    "not_found",
    "failed_dependency",
    "rate_limit_exceeded",
    "internal_server_error",
})
"""The types for which the client has an error class of its own; `error.code` of the socket uses the same words."""

_BY_STATUS: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "forbidden",
    404: "not_found",
    413: "invalid_request_error",
    424: "failed_dependency",
    429: "rate_limit_exceeded",
    502: "failed_dependency",
}

ModelType = Literal["embedding", "image", "language", "realtime", "reranking", "speech", "transcription", "video"]


def error_type(type: str, status: int = 500) -> str:
    """The word that the client knows for our error type; the status decides where it knows none."""
    return type if type in ERROR_TYPES else _BY_STATUS.get(status, "internal_server_error")


def gateway_error(status: int, type: str, message: str, param: Any = None) -> dict[str, Any]:
    """The body of any answer that is not 2xx.

    Args:
        status: the HTTP status it is sent with; the client's error carries it.
        type: one of ERROR_TYPES; another one is replaced by the one that belongs to the status.
        message: for the developer; the client shows its own text for authentication_error.
        param: `{"modelId": …}` with model_not_found, `{"ruleId": …}` with forbidden; else a path or None.
    """
    return {"error": {"message": message, "type": error_type(type, status), "param": param, "code": None}}


def model_entry(
    model_id: str, type: ModelType, name: str | None = None, description: str | None = None
) -> dict[str, Any]:
    """One entry of `GET {baseURL}/config`, whose body is `{"models": [entry, …]}`.

    Args:
        model_id: `<provider>/<model>`, or a bare id of OpenAI's.
        type: the surface it is offered on; the client hides entries of a type that it does not know.
    """
    entry = {
        "id": model_id,
        "name": name or model_id,
        "specification": {
            "specificationVersion": "v4",
            "provider": model_id.split("/")[0] if "/" in model_id else "openai",
            "modelId": model_id,
        },
        "modelType": type,
    }
    return entry | {"description": description} if description else entry
