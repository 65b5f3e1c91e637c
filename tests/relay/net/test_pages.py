"""Plain HTTP: health, catalogues, the playground, and errors in the shapes that their readers know."""

from __future__ import annotations

from pathlib import Path

import pytest

from relay import __version__
from relay.net.pages import WEB, family_of
from tests.fakes.running_relay import KEY, Relay, get, with_relay


def test_health_says_that_the_process_lives(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        status, _, body = await get(relay, "/healthz")
        assert (status, body["status"], body["version"], body["sessions"]) == (200, "ok", __version__, 0)

    with_relay(tmp_path, scenario)


def test_catalogue_has_the_shape_of_either_family(tmp_path: Path) -> None:
    async def scenario(relay: Relay) -> None:
        _, _, openai = await get(relay, "/v1/models")
        assert openai["object"] == "list"
        assert {"id": "local/agent", "object": "model", "created": relay.house.started_at, "owned_by": "local"} in (
            openai["data"])
        _, _, gateway = await get(relay, "/v4/ai/config")
        entry = next(model for model in gateway["models"] if model["id"] == "agent/a")
        assert entry["modelType"] == "realtime"
        assert entry["specification"]["specificationVersion"] == "v4"
        _, headers, own = await get(relay, "/v1/playground/config")
        assert [agent["id"] for agent in own["agents"]] == ["agent/a"]
        assert "local/agent" in [model["id"] for model in own["models"]]
        assert own["default"] == "agent/a"
        assert "Access-Control-Allow-Origin" not in headers

    with_relay(tmp_path, scenario, "[agents.a]\n")


@pytest.mark.parametrize(("path", "kind"), [
    ("/", "text/html"), ("/static/playground.js", "text/javascript"), ("/static/icon.svg", "image/svg+xml")])
def test_playground_is_served_under_a_strict_policy(tmp_path: Path, path: str, kind: str) -> None:
    async def scenario(relay: Relay) -> None:
        status, headers, _ = await get(relay, path)
        assert status == 200
        assert headers["Content-Type"].startswith(kind)
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"

    with_relay(tmp_path, scenario)


@pytest.mark.parametrize("path", [
    "/static/..%2f..%2fconfig.py", "/static/%2e%2e/config.py", "/static/.", "/static/nothing.js", "/static/config.py",
    "/static/%00.js", "/static/sub/playground.js"])
def test_nothing_but_the_playgrounds_files_is_served(tmp_path: Path, path: str) -> None:
    async def scenario(relay: Relay) -> None:
        assert (await get(relay, path))[0] == 404

    with_relay(tmp_path, scenario)


def test_every_file_of_the_playground_has_a_known_type() -> None:
    from relay.net.pages import TYPES

    assert {path.suffix for path in WEB.iterdir() if path.is_file()} <= TYPES.keys()


@pytest.mark.parametrize(("path", "method", "status", "kind"), [
    ("/v1/nothing", "GET", 404, "not_found"),
    ("/v4/ai/nothing", "GET", 404, "not_found"),
    ("/v1/models", "DELETE", 405, "invalid_request_error"),
    ("/v4/ai/config", "POST", 405, "invalid_request_error"),
])
def test_errors_below_our_prefixes_have_the_body_that_clients_read(
    tmp_path: Path, path: str, method: str, status: int, kind: str
) -> None:
    async def scenario(relay: Relay) -> None:
        from aiohttp import ClientSession

        async with ClientSession() as http, http.request(method, relay.http + path) as response:
            body = await response.json()
            assert response.status == status
            assert body["error"]["type"] == kind
            assert body["error"]["message"]

    with_relay(tmp_path, scenario)


def test_fault_of_ours_shows_no_detail(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario(relay: Relay) -> None:
        relay.house.config = None  # type: ignore[assignment]
        status, _, body = await get(relay, "/v1/models")
        assert status == 500
        assert body["error"]["type"] == "internal_server_error"
        assert "NoneType" not in str(body)

    with_relay(tmp_path, scenario)
    assert [record.__dict__["error"] for record in caplog.records if record.getMessage() == "request failed"] == [
        "AttributeError"]


@pytest.mark.parametrize(("path", "family"), [
    ("/v4/ai/config", "gateway"), ("/v1/models", "openai"), ("/v1/realtime/client-secrets", "gateway"),
    ("/v1/realtime/client_secrets", "openai")])
def test_path_decides_in_whose_words_an_error_is(path: str, family: str) -> None:
    assert family_of(path) == family


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/models", "invalid_api_key"), ("/v4/ai/config", "authentication_error")]
)
def test_catalogue_refuses_a_wrong_key_and_a_stranger_without_one(tmp_path: Path, path: str, kind: str) -> None:
    async def scenario(relay: Relay) -> None:
        for headers in ({"authorization": "Bearer wrong"}, {"x-forwarded-for": "203.0.113.7"}):
            status, _, body = await get(relay, path, headers=headers)
            assert status == 401
            assert kind in (body["error"]["type"], body["error"]["code"])
        status, _, _ = await get(relay, path, headers={"authorization": f"Bearer {KEY}"})
        assert status == 200

    with_relay(tmp_path, scenario)
