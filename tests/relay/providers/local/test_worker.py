"""An engine process as a program: its protocol, its limits, its end."""

import resource
import subprocess
import sys
from io import BytesIO

import pytest

from relay.providers.local import worker
from relay.providers.local.messages import Message, pack
from tests.fakes.spoken import UNDERSTOOD, spoken


def serve(kind, *messages):
    """What an engine answers to messages, in this process."""
    answers = BytesIO()
    worker.main(kind, BytesIO(b"".join(pack(*message) for message in messages)), answers)
    answers.seek(0)
    return list(worker.received(answers))


def test_listening_answers_every_message_once():
    pcm = spoken()
    pieces = [({"do": "hear"}, pcm[at : at + 32_000]) for at in range(0, len(pcm), 32_000)]
    answers = serve("listen", ({"do": "listen", "means": None},), *pieces, ({"do": "finish"},), ({"do": "drop"},))
    assert answers[:2] == [Message({"ready": True}), Message({})]
    assert [set(answer.head) for answer in answers[2:-2]] == [{"text"}] * len(pieces)
    assert answers[-2].head["text"] == UNDERSTOOD
    assert answers[-2].head["means"].count(",") == 12
    assert answers[-1] == Message({})


def test_speaking_answers_with_chunks_and_an_end():
    wanted = {"do": "speak", "text": "Hello there.", "voice": None, "speed": 1.0}
    ready, *chunks, end = serve("speak", (wanted,))
    assert (ready.head, end.head) == ({"ready": True}, {"end": True})
    assert all(chunk.tail for chunk in chunks)
    assert [word for chunk in chunks for word, _ in chunk.head["words"]] == ["Hello ", "there."]


@pytest.mark.parametrize("cut", [2, 9])
def test_message_that_breaks_off_ends_the_service(cut):
    assert list(worker.received(BytesIO(pack({"do": "drop"})[:cut]))) == []


def test_process_confines_itself_and_ends_with_its_input():
    code = (
        "import os, resource\n"
        "from relay.providers.local.worker import confine\n"
        "confine()\n"
        "print(os.nice(0), *(resource.getrlimit(getattr(resource, 'RLIMIT_' + n))[1] for n in"
        " ('AS', 'NOFILE', 'FSIZE', 'CORE')))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout.split()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = worker.MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(worker.MAX_OPEN_FILES, hard)
    assert [int(word) for word in said] == [worker.NICENESS, worker.MAX_MEMORY_BYTES, files, 0, 0]
    ended = subprocess.run([sys.executable, "-m", worker.__name__, "speak"], input=b"", capture_output=True, timeout=20)
    assert ended.returncode == 0
    assert list(worker.received(BytesIO(ended.stdout))) == [Message({"ready": True})]
