"""Every bound of the program: one constant each, its unit in the name, its reason below it.

`docs/limits.md` is generated from this file. Imports nothing.
"""

from __future__ import annotations

from typing import Final

# --- Frames and messages

MAX_MESSAGE_BYTES: Final = 21 * 1024 * 1024
"""One WebSocket message of a caller. OpenAI allows 15 MiB of audio in one append, which is 20 MiB as base64;
AI SDK callers send tools and whole clips in one frame. Audio is bounded by rate, see MAX_AUDIO_BURST_S."""

MAX_MODEL_MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""One WebSocket message of a model. Larger ones end the session as the model's fault, never the caller's."""

MAX_BAD_FRAMES: Final = 16
"""Frames that a dialect rejects within BAD_FRAME_WINDOW_S before the session is closed. Official clients send a
handful when misconfigured; only abuse sends more."""

BAD_FRAME_WINDOW_S: Final = 10.0
"""Seconds over which MAX_BAD_FRAMES are counted."""

MAX_AUDIO_SPEED: Final = 4.0
"""Caller audio may arrive this many times faster than it plays, in the long run: prerecorded input is allowed to
hurry, a client that sends 50 times real time is not served at the others' cost."""

MAX_AUDIO_BURST_S: Final = 60.0
"""Seconds of caller audio that may arrive ahead of MAX_AUDIO_SPEED at once: a clip given as one message."""

TOO_FAST_GRACE_S: Final = 10.0
"""A caller that is throttled for this long without a pause is closed."""

MAX_MESSAGES_PER_S: Final = 500
"""Messages of one caller, averaged over a second. Audio in 10 ms frames is 100 a second; this is five times that."""

MAX_JSON_DEPTH: Final = 64
"""Nesting of a JSON message. Tool schemas nest to about 20."""

MAX_AI_SDK_FRAME_CHARS: Final = 4 * 1024 * 1024
"""UTF-16 units of one frame to an AI SDK caller, which ends the conversation on a longer one."""

MAX_OPEN_ITEMS: Final = 64
"""Items of an answer that a dialect keeps state for at once; the oldest is forgotten first."""

MAX_APPEND_CHARS: Final = 20 * 1024 * 1024
"""Base64 of one append of audio; OpenAI Realtime allows 15 MiB of samples."""

MAX_PARAM_CHARS: Final = 120
"""Of the path of a member in an error message; it may hold names that the peer made up."""

MAX_EVENT_ID_CHARS: Final = 512
"""Length of a caller's own event id (OpenAI Realtime: 512)."""

# --- Queues

CALLER_OUTBOX_BYTES: Final = 1024 * 1024
"""What may wait for a caller that reads slowly, before the model's socket is no longer read."""

CALLER_OUTBOX_AUDIO_MS: Final = 60_000
"""Audio that may wait for a caller. Models speak faster than real time and clients buffer, so this is only reached
when the socket itself is stalled."""

MODEL_OUTBOX_BYTES: Final = 512 * 1024
"""What may wait for a model whose socket does not drain, before its caller is no longer read."""

MODEL_OUTBOX_AUDIO_MS: Final = 2_000
"""How long caller audio may wait for a model; what has waited longer is dropped and counted, since stale speech is
worse than a gap."""

SOCKET_BUFFER_BYTES: Final = 64 * 1024
"""Bytes left to the kernel and the event loop before frames wait in our own outbox, where they can still be
withdrawn when the caller interrupts."""

WRITE_DEADLINE_S: Final = 5.0
"""A peer that takes nothing for this long is aborted. A heartbeat does not free it: the ping waits in the same
buffer."""

KERNEL_UNSENT_BYTES: Final = 16 * 1024
"""Bytes that the kernel takes before it can send them (TCP_NOTSENT_LOWAT): more would hide for seconds that a peer has
stopped reading, and could not be withdrawn when the caller interrupts."""

TCP_USER_TIMEOUT_MS: Final = 10_000
"""A peer that acknowledges nothing for this long is dropped by the kernel: the cable was pulled while we sent."""

MAX_PENDING_EVENTS: Final = 4_096
"""Events that one event may cause inside a call before it counts as a fault of ours."""

DIAL_HOLD_AUDIO_MS: Final = 15_000
"""Caller audio kept while the model's leg is being dialled; three times DIAL_DEADLINE_S."""

DIAL_HOLD_BYTES: Final = 32 * 1024 * 1024
"""What all held requests may take together: one of the largest messages, and half as much again."""

DIAL_HOLD_EVENTS: Final = 1_024
"""Other requests kept while the model's leg is being dialled."""

# --- Time

SETUP_DEADLINE_S: Final = 5.0
"""An AI SDK caller sends its settings as the first frame on open; one that has not by then is closed."""

DIAL_DEADLINE_S: Final = 5.0
"""Name look-up, connect, TLS and upgrade to a model, together."""

FIRST_EVENT_DEADLINE_S: Final = 10.0
"""A model that accepted the socket has this long to say that the session exists."""

HEARTBEAT_S: Final = 20.0
"""WebSocket pings to both legs; a peer that answers none is gone after half as long again."""

HANDSHAKE_DEADLINE_S: Final = 10.0
"""A connection that has not sent a whole request head by then is closed."""

CLOSE_DEADLINE_S: Final = 2.0
"""How long a closing handshake may take before the socket is aborted."""

MODEL_GOODBYE_S: Final = 0.5
"""How long a model may take for the closing handshake; within a second of the caller leaving its socket is gone."""

LINGER_S: Final = 0.1
"""A peer that broke the framing is read for as long as it sends without such a pause, within CLOSE_DEADLINE_S."""

IDLE_LIMIT_S: Final = 300.0
"""A session in which nobody speaks, types or is answered for this long is ended. Noise of an open microphone does
not count as activity."""

IDLE_RECHECK_S: Final = 5.0
"""A session whose idle limit comes while somebody is being answered is looked at again after this."""

MAX_SESSION_S: Final = 3_600.0
"""The longest session (OpenAI Realtime: 60 minutes)."""

MAX_CLOSE_REASON_BYTES: Final = 123
"""Text of a close frame (RFC 6455 section 5.5: 125 bytes with the code)."""

DRAIN_ANNOUNCE_S: Final = 1.0
"""After SIGTERM: how long /readyz says no before connections are refused, so that balancers notice."""

DRAIN_TURNS_S: Final = 10.0
"""After SIGTERM: how long turns in progress may go on."""

DRAIN_SPREAD_S: Final = 2.0
"""After SIGTERM: over this time the rest is closed in random order, so that callers do not return at once."""

DRAIN_HARD_S: Final = 20.0
"""After SIGTERM: whatever still runs is aborted."""

GC_ALLOCATIONS_SIZE: Final = 10_000
"""Containers made before the garbage collector looks at the young ones; a frame makes and drops about ten."""

WORKER_BACKOFF_S: Final = 1.0
"""Before a worker process that died is started again; doubles with every death in a row."""

WORKER_BACKOFF_MAX_S: Final = 30.0
"""The longest such wait; a worker that lived for longer than this did not die in a row."""

TICK_S: Final = 0.5
"""How often a call looks at its own bounds (stall, idle, revocation)."""

# --- Turns

MIN_COMMIT_MS: Final = 100
"""The shortest turn that can be committed (OpenAI Realtime refuses less)."""

MAX_TURN_S: Final = 120.0
"""A turn that goes on for longer is committed: a detector that never hears silence must not go deaf."""

MAX_UNCOMMITTED_S: Final = 600.0
"""Audio that push to talk may gather before a commit."""

MAX_PREFIX_PADDING_MS: Final = 5_000
"""The most audio before detected speech that a caller may ask to keep."""

REPLY_STALL_S: Final = 15.0
"""A response that produces nothing for this long is ended as failed, so that the caller is not left in silence."""

TRANSCRIPT_DEADLINE_S: Final = 10.0
"""A transcriber has this long after the end of a turn; then the turn goes on without its words."""

SPEECH_LEAD_MS: Final = 4_000
"""How far the cascade synthesizes ahead of what is being heard. Less would risk gaps, more would be thrown away at an
interruption."""

MAX_CLAUSE_CHARS: Final = 240
"""A sentence longer than this is spoken in pieces, so that the first audio need not wait for a full stop."""

# --- Conversation

MAX_ITEMS: Final = 2_000
"""Items of one conversation held in memory; older ones are dropped first."""

MAX_CONVERSATION_BYTES: Final = 24 * 1024 * 1024
"""Text and pictures of one conversation held in memory: one of the largest messages always fits, two do not."""

MAX_ITEM_AUDIO_S: Final = 120.0
"""Caller audio kept per item for `conversation.item.retrieve`; only the newest KEPT_AUDIO_ITEMS keep it."""

KEPT_AUDIO_ITEMS: Final = 4
"""Items whose audio is kept; 4 items of 10 s at 16 kHz are 1.3 MB."""

# --- Tools

TOOL_DEADLINE_S: Final = 30.0
"""A tool that has not answered by then is answered for, so that the conversation goes on."""

TOOL_REPEAT_LIMIT: Final = 3
"""The same call with the same arguments may run this often without the caller saying something in between."""

TOOL_CHAIN_LIMIT: Final = 12
"""Continuations after tool calls without the caller saying something in between."""

MAX_TOOL_OUTPUT_BYTES: Final = 256 * 1024
"""What a tool may return; more is cut, and says so."""

MAX_PENDING_TOOLS: Final = 64
"""Calls that may wait for an answer at once in one session."""

MAX_TOOL_CONNECTIONS: Final = 256
"""Connections to one host of HTTP tools; further calls wait within their deadline, and other hosts are not affected."""

MAX_TOOL_ERROR_CHARS: Final = 2_000
"""What a model reads of a tool's complaint: enough to ask better."""

MAX_MCP_TOOLS: Final = 256
"""Tools taken from one MCP server; models lose their way with far fewer."""

MCP_CONNECT_DEADLINE_S: Final = 10.0
"""An MCP server has this long to start, shake hands and list its tools; the relay is not ready before."""

MCP_STOP_DEADLINE_S: Final = 8.0
"""An MCP server's process has this long to end: 2 s by itself, 2 s after SIGTERM, then it is killed."""

MCP_RETRY_MAX_S: Final = 60.0
"""The longest pause between attempts to connect a failing MCP server; they begin at once and double from 1 s."""

# --- Tokens and admission

TOKEN_MAX_LIFE_S: Final = 300
"""Life of a minted token; longer wishes are clamped. Life limits opening a session, not its length."""

TOKEN_DEFAULT_LIFE_S: Final = 60
"""Life of a token for which none was asked."""

MAX_TOKEN_CHARS: Final = 4_096
"""A longer credential is refused before it is decoded."""

REPLAY_STORE_SIZE: Final = 1_000_000
"""Used token ids kept until they expire; when full, new tokens are refused rather than old ones forgotten."""

TOKEN_LEEWAY_S: Final = 5
"""Clock difference allowed between the token service and the relay."""

REVOCATION_POLL_S: Final = 0.5
"""How often each worker reads new revocations; live sessions end within twice that."""

MINTS_PER_MINUTE: Final = 60
"""Tokens that one address may obtain at the browser's setup door in a minute."""

MINT_ADDRESSES: Final = 10_000
"""Addresses whose minting is counted at once; beyond it new addresses wait, since forgetting one would free it."""

MAX_MINT_BODY_BYTES: Final = 128 * 1024
"""Body of a request for a token: a session with long instructions and many tools is about 40 kB."""

MAX_PINNED_BYTES: Final = 64 * 1024
"""Session settings, as JSON, that a token may pin. What does not fit into MAX_TOKEN_CHARS is kept beside the replay
store, and the token carries its hash."""

MAX_PINNED_SESSIONS: Final = 4_096
"""Different pinned sessions kept until their tokens expire: 256 MiB of disk when every one is as large as it may be."""

STORE_WAIT_S: Final = 2.0
"""How long a worker waits for another one's write to the token store before it answers 503."""

MAX_SESSIONS: Final = 1_000
"""Sessions of one worker process; the next caller is told to come back."""

MAX_HALF_OPEN: Final = 256
"""Connections beyond the sessions that may be open at once: handshakes in progress and plain requests. The next one is
refused before it costs anything."""

LISTEN_BACKLOG: Final = 1_024
"""Connections that the kernel keeps until they are accepted: a crowd that reconnects after a restart."""

RESERVED_FILES: Final = 64
"""File descriptors kept free of sessions: logs, storage, engines, tools."""

MAX_HEADER_BYTES: Final = 16 * 1024
"""One header line or the request line; subprotocols carry tokens of up to MAX_TOKEN_CHARS."""

MAX_LOG_VALUE_CHARS: Final = 500
"""One field of a log line; more is cut."""

MAX_WAITING_LOG_EVENTS: Final = 10_000
"""Log lines that wait for a slow reader of stderr; more are dropped, so that nobody's frames wait for them."""

# --- Speech judge and engines

JUDGE_TICK_S: Final = 0.008
"""The judge gathers windows of all callers for this long before it runs one batch."""

JUDGE_BACKLOG_WINDOWS: Final = 4_096
"""Windows that may wait for the judge; beyond it the gate alone decides, and says so."""

JUDGE_SHARE_WINDOWS: Final = 32
"""Windows of one caller that the judge takes even when its backlog is full of another one's recording: one second."""

HEARING_BACKLOG_WINDOWS: Final = 2_048
"""Windows of one caller that may be undecided; beyond it the gate decides the oldest. A clip of MAX_AUDIO_BURST_S given
as one message is 1,875."""

ENGINE_QUEUE_S: Final = 120.0
"""Audio of a turn that may wait for a free local recognizer."""

ENGINE_START_S: Final = 20.0
"""A local engine process has this long to load its models."""

ENGINE_REPLY_S: Final = 20.0
"""A local engine process that does not answer one message in this time hangs and is replaced. An answer takes a fifth
of a second, but a process may have to wait for the processor."""

ENGINE_PROCESSES: Final = 16
"""Recognizer processes of one relay process at most, however many cores there are; each takes 100 MB."""

ENGINE_WAITING_TASKS: Final = 2_048
"""Turns, or utterances, that may wait for a free engine; the next one fails at once."""
