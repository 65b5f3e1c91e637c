import pytest

from relay.dialects.ai_gateway import gateway_error, model_entry


def test_a_known_error_type_is_kept() -> None:
    body = gateway_error(404, "model_not_found", "No such model.", {"modelId": "a/b"})
    assert body == {
        "error": {"message": "No such model.", "type": "model_not_found", "param": {"modelId": "a/b"}, "code": None}
    }


@pytest.mark.parametrize(
    ("status", "expected"),
    [(400, "invalid_request_error"), (401, "authentication_error"), (429, "rate_limit_exceeded"),
     (503, "internal_server_error"), (402, "internal_server_error"), (502, "failed_dependency")],
)
def test_an_unknown_error_type_becomes_the_one_of_the_status(status: int, expected: str) -> None:
    assert gateway_error(status, "server_error", "…")["error"]["type"] == expected


def test_a_catalogue_entry_has_what_the_client_requires() -> None:
    assert model_entry("local/agent", "realtime") == {
        "id": "local/agent",
        "name": "local/agent",
        "specification": {"specificationVersion": "v4", "provider": "local", "modelId": "local/agent"},
        "modelType": "realtime",
    }
    assert model_entry("whisper-1", "transcription", "Whisper", "Old.")["specification"]["provider"] == "openai"
    assert model_entry("whisper-1", "transcription", "Whisper", "Old.")["description"] == "Old."
