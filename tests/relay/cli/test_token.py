"""`relay token`, as a user calls it."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from relay.cli.token import token
from relay.config import Config, ServerSettings
from relay.errors import ConfigError
from token_service import policy, tokens
from token_service.service import TokenService
from token_service.tokens import BadToken, Claims


@pytest.fixture
def service(tmp_path: Path) -> Iterator[TokenService]:
    with closing(TokenService.open(Config(server=ServerSettings(data_dir=tmp_path)))) as service:
        yield service


def call(*arguments: str, given: str = "") -> Any:
    app = typer.Typer()
    app.command()(token)
    return CliRunner().invoke(app, arguments, input=given, catch_exceptions=False)


def read(service: TokenService, text: str) -> Claims:
    return tokens.verify(text, service.keys.find, issuer="voice-relay", audience="voice-relay", now=time.time())


def test_token_says_what_the_options_say_and_stands_alone_on_standard_output(
    service: TokenService, tmp_path: Path
) -> None:
    done = call("--data-dir", str(tmp_path), "--model", "agent/x", "--life", "120", "--max-seconds", "600",
                "--reusable", "--origin", "https://a.example", "--metadata", "user=7=8", "--session", '{"voice": "a"}',
                "--surface", "speech")

    said = read(service, done.stdout.strip())
    assert (said.model, said.surface, said.exp - said.iat, said.max_s) == ("agent/x", "speech", 120, 600)
    assert (said.origins, said.metadata, said.session) == (("https://a.example",), {"user": "7=8"}, {"voice": "a"})
    assert not said.single_use
    assert said.jti in done.stderr


def test_without_options_it_is_for_one_use_of_any_model(service: TokenService, tmp_path: Path) -> None:
    said = read(service, call("--data-dir", str(tmp_path)).stdout.strip())

    assert (said.model, said.surface, said.single_use, said.sub) == ("", "realtime", True, "key_cli")


def test_rotate_signs_with_a_new_key_and_old_tokens_stay_good(service: TokenService, tmp_path: Path) -> None:
    before = call("--data-dir", str(tmp_path)).stdout.strip()

    rotated = call("--data-dir", str(tmp_path), "--rotate").stdout

    assert rotated.strip().endswith(service.keys.signer().kid)
    assert read(service, before).kid != read(service, call("--data-dir", str(tmp_path)).stdout.strip()).kid


def test_revoke_refuses_the_token(service: TokenService, tmp_path: Path) -> None:
    said = read(service, call("--data-dir", str(tmp_path)).stdout.strip())

    assert said.jti in call("--data-dir", str(tmp_path), "--revoke", said.jti).stdout

    with pytest.raises(BadToken):
        service.store.redeem(said, time.time())


def test_hash_key_hashes_standard_input_and_does_not_repeat_it() -> None:
    done = call("--hash-key", given="rk_mine\n")

    assert done.stdout == policy.hash_of("rk_mine") + "\n"
    assert "rk_mine" not in done.output


def test_hash_key_makes_a_key_when_none_is_given() -> None:
    made = re.fullmatch(r"key, shown this once: (rk_\S{43})\n(sha256:[0-9a-f]{64})\n", call("--hash-key").stdout)

    assert made is not None
    assert policy.hash_of(made[1]) == made[2]


@pytest.mark.parametrize("arguments", [
    ("--surface", "phone"), ("--life", "0"), ("--life", "nan"), ("--max-seconds", "-1"), ("--metadata", "user"),
    ("--metadata", "=7"), ("--session", "[]"), ("--session", "{"), ("--revoke", "everything"),
])  # fmt: skip
def test_wrong_option_is_named(tmp_path: Path, arguments: tuple[str, str]) -> None:
    with pytest.raises(ConfigError, match=arguments[0]):
        call("--data-dir", str(tmp_path), *arguments)
