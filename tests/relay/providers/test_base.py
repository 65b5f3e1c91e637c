"""What a provider tells the relay."""

from relay.providers.base import SecretHeaders, Target


def test_headers_are_a_mapping_that_shows_names_only() -> None:
    headers = SecretHeaders({"Authorization": "Bearer canary"})
    assert dict(headers) == {"Authorization": "Bearer canary"}
    assert len(headers) == 1
    target = Target(model="a/b", leg="socket", headers=headers)
    assert "Authorization" in repr(target)
    assert "canary" not in repr(target) + str(headers) + f"{headers!s}"
