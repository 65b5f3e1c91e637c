"""The dialect as the pump sees it: two sides that share what the session is."""

from __future__ import annotations

import json

from relay.dialects.ai_gateway import GatewayCaller
from relay.errors import CloseReason
from relay.events import AudioAppended, ItemCreateRequested, SessionOpened, SettingsRequested
from relay.nouns import MULAW8K, Settings


def test_what_a_caller_says_becomes_requests_and_what_happens_becomes_frames() -> None:
    dialect = GatewayCaller()
    said = dialect.decode(b'{"type":"session-update","config":{"instructions":"Be brief."}}')
    assert [type(event) for event in said] == [SettingsRequested]
    assert dialect.decode(b'{"type":"input-audio-append","audio":"AAAA"}') == [AudioAppended("AAAA")]
    [frame] = dialect.encode(SessionOpened("sess_1", Settings()))
    assert json.loads(frame) == {"type": "session-created", "sessionId": "sess_1"}


def test_clip_is_checked_in_the_format_that_the_session_has() -> None:
    dialect = GatewayCaller()
    clip = b'{"type":"conversation-item-create","item":{"type":"audio-message","role":"user","audio":"AA=="}}'
    assert not isinstance(dialect.decode(clip)[0], ItemCreateRequested), "one byte is half a sample of PCM"
    dialect.encode(SessionOpened("sess_1", Settings(input_format=MULAW8K)))
    assert isinstance(dialect.decode(clip)[0], ItemCreateRequested)


def test_last_words_are_an_error_except_where_the_end_is_none() -> None:
    [frame] = GatewayCaller().farewell(CloseReason.MAX_DURATION)
    assert json.loads(frame)["type"] == "error"
    assert GatewayCaller().farewell(CloseReason.CALLER_LEFT) == []
