"""The key ring: made once, rotated, retired, followed by every process."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from relay import limits
from relay.errors import ConfigError
from token_service.keys import RING_FILE, SigningKeys

NOW = 1_700_000_000.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / RING_FILE


def kids(path: Path) -> list[str]:
    return [key.kid for key in [SigningKeys.open(path, NOW).signer()]]


def test_missing_ring_is_made_and_only_the_owner_can_read_it(path: Path) -> None:
    SigningKeys.open(path, NOW)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_many_processes_that_start_at_once_share_one_key(path: Path) -> None:
    with ProcessPoolExecutor(4, mp_context=get_context("spawn")) as pool:
        made = list(pool.map(kids, [path] * 8))

    assert len({kid for each in made for kid in each}) == 1
    assert [file.name for file in path.parent.iterdir()] == [RING_FILE]


def test_opened_again_signs_with_the_same_key(path: Path) -> None:
    assert SigningKeys.open(path, NOW).signer().kid == SigningKeys.open(path, NOW + 1).signer().kid


def test_rotation_signs_with_the_new_and_verifies_with_the_old_until_its_last_token_is_over(path: Path) -> None:
    keys = SigningKeys.open(path, NOW)
    old = keys.signer().kid

    new = keys.rotate(NOW)

    over = NOW + limits.TOKEN_MAX_LIFE_S + 2 * limits.TOKEN_LEEWAY_S
    assert keys.signer().kid == new != old
    assert keys.find(old, over - 1) is not None
    assert keys.find(old, over) is None
    assert [each["kid"] for each in keys.jwks(over - 1)["keys"]] == [old, new]
    assert [each["kid"] for each in keys.jwks(over)["keys"]] == [new]


def test_rotating_twice_does_not_prolong_the_first_key(path: Path) -> None:
    keys = SigningKeys.open(path, NOW)
    old = keys.signer().kid
    keys.rotate(NOW)
    keys.rotate(NOW + 200)

    assert keys.find(old, NOW + limits.TOKEN_MAX_LIFE_S + 2 * limits.TOKEN_LEEWAY_S) is None


def test_retiring_the_signer_refuses_it_at_once_and_another_signs(path: Path) -> None:
    keys = SigningKeys.open(path, NOW)
    leaked = keys.signer().kid

    assert keys.retire(leaked, NOW)

    assert keys.find(leaked, NOW) is None
    assert keys.signer().kid != leaked
    assert not keys.retire("sig_unknown", NOW)


def test_rotation_by_another_process_is_noticed_when_its_kid_arrives(path: Path) -> None:
    here, there = SigningKeys.open(path, NOW), SigningKeys.open(path, NOW)

    new = there.rotate(NOW)

    assert here.find(new, NOW) is not None


def test_retirement_by_another_process_is_noticed_by_refresh(path: Path) -> None:
    here, there = SigningKeys.open(path, NOW), SigningKeys.open(path, NOW)
    kid = here.signer().kid
    there.retire(kid, NOW)

    here.refresh()

    assert here.find(kid, NOW) is None


def test_jwks_has_no_private_member_and_verifies_but_cannot_sign(path: Path, tmp_path: Path) -> None:
    keys = SigningKeys.open(path, NOW)
    published = keys.jwks(NOW)
    copy = tmp_path / "jwks.json"
    copy.write_text(json.dumps(published))
    copy.chmod(0o644)

    public = SigningKeys(copy)

    assert set(published["keys"][0]) == {"kty", "crv", "x", "kid", "alg", "use"}
    assert public.find(keys.signer().kid, NOW) is not None
    with pytest.raises(ConfigError, match="no key that can sign"):
        public.signer()


def test_private_ring_that_others_can_read_is_refused(path: Path) -> None:
    SigningKeys.open(path, NOW)
    path.chmod(0o644)

    with pytest.raises(ConfigError, match="chmod 600"):
        SigningKeys.open(path, NOW)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"keys": 1}', '{"keys": [{"kty": "OKP"}]}', '{"keys": [7]}',
                                  '{"keys": [{"kty": "OKP", "crv": "Ed448", "x": "AAAA", "kid": "a"}]}'])
def test_file_that_is_no_key_set_is_named_in_the_error(path: Path, text: str) -> None:
    path.parent.mkdir()
    path.write_text(text)

    with pytest.raises(ConfigError, match=RING_FILE):
        SigningKeys.open(path, NOW)


def test_ring_that_breaks_or_goes_while_running_stays_as_it_was(path: Path) -> None:
    keys = SigningKeys.open(path, NOW)
    kid = keys.signer().kid

    path.write_text("{")
    keys.refresh()
    assert keys.find(kid, NOW) is not None

    path.unlink()
    keys.refresh()
    assert keys.find(kid, NOW) is not None


def test_interrupted_rotation_is_named_and_leaves_the_ring_alone(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = SigningKeys.open(path, NOW)
    before = path.read_bytes()
    left = path.with_name(RING_FILE + ".new")
    left.touch()
    monkeypatch.setattr("time.sleep", lambda _seconds: None)

    with pytest.raises(ConfigError, match=r"\.new: is left from an interrupted change"):
        keys.rotate(NOW)

    assert path.read_bytes() == before
    assert left.exists()
