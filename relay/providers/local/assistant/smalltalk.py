"""What the assistant says when no tool is needed. Pure: the time of day is an argument."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from relay.nouns import Tool
from relay.providers.local.assistant.numbers import calculate, numbers, spoken

NOT_HEARD = "Sorry, I did not catch that. Could you say it again?"
MAX_COUNT = 100
MAX_ECHO_WORDS = 40
STORY = (
    "Once upon a time, a lighthouse keeper named Mara lived on a rock at the edge of the sea. "
    "Every evening she climbed two hundred and twelve steps and lit the great lamp. "
    "One winter night the fog was so thick that the light could not get through it. "
    "Far out, she heard the horn of a ship that had lost its way. "
    "Mara took the old bronze bell from the cellar and carried it up all the steps. "
    "She rang it three times, and then she waited and listened. "
    "The ship answered, a little nearer than before. "
    "So she rang again, and again, and her arms grew heavy, but she did not stop. "
    "Hour after hour the ship followed the sound, slowly, between the rocks. "
    "When the sun rose, the fog lifted, and the ship lay safe in the harbour below. "
    "The captain asked her how she had known that anybody would hear so small a bell. "
    "Mara smiled and said that one only has to keep talking until somebody answers."
)
JOKE = "Why did the microphone break up with the speaker? It never felt heard."


@dataclass(frozen=True, slots=True)
class About:
    """What the assistant knows besides what was said."""

    instructions: str
    tools: Sequence[Tool]
    now: datetime

    @property
    def abilities(self) -> str:
        names = [tool.name.replace("_", " ").replace("-", " ") for tool in self.tools[:4]]
        with_tools = f", or use my tools: {', '.join(names)}" if names else ""
        return f"You can ask me for the time, a sum, a joke or a story{with_tools}."

    @property
    def name(self) -> str:
        named = re.search(r"(?i)\b(?:your name is|you are called)\s+(\w[\w-]{1,30})", self.instructions)
        return f"{named[1]}, a small local assistant" if named else "a small local assistant"


def hello(about: About) -> str:
    """The first words of a conversation in which the user has said nothing yet."""
    return f"Hello! I am {about.name}. {about.abilities}"


def chat(said: str, about: About) -> str:
    """Answer what was said, whatever it was."""
    plain = re.sub(r"\s+", " ", said.lower().replace("’", "'")).strip(" .?!,")
    for pattern, reply in RULES:
        found = re.search(pattern, plain)
        text = reply(found, about) if found else None
        if text is not None:
            return text
    heard = " ".join(said.strip(" .?!,").split()[:MAX_ECHO_WORDS])
    return f"You said: {heard}. I am only a small local assistant and have no answer to that. {about.abilities}"


def _time(now: datetime) -> str:
    return f"It is {now.hour % 12 or 12}:{now.minute:02d} {'AM' if now.hour < 12 else 'PM'}."


def _date(now: datetime) -> str:
    return f"Today is {now:%A}, {now:%B} {now.day}, {now.year}."


def _count(found: re.Match[str]) -> str:
    until = int(min(max(numbers(found[1]) or [10]), MAX_COUNT))
    return ", ".join(spoken(number) for number in range(1, max(until, 1) + 1)) + "."


def _repeat(found: re.Match[str]) -> str:
    words = " ".join(found[1].split()[:MAX_ECHO_WORDS])
    return words[:1].upper() + words[1:] + "."


RULES: tuple[tuple[str, Callable[[re.Match[str], About], str | None]], ...] = (
    (r"^(?:please )?(?:repeat after me|repeat|say|echo)[:,]? (.+)", lambda found, about: _repeat(found)),
    (r"\bcount (?:up )?to (.+)", lambda found, about: _count(found)),
    (r"\d|\w", lambda found, about: calculate(found.string)),
    (r"\bstor(?:y|ies)\b", lambda found, about: STORY),
    (r"\bjokes?\b", lambda found, about: JOKE),
    (r"\b(?:what|what's|tell)\b.*\btime\b|\btime is it\b", lambda found, about: _time(about.now)),
    (r"\b(?:what|what's|which|tell)\b.*\b(?:date|day)\b", lambda found, about: _date(about.now)),
    (r"\bhow are you\b", lambda found, about: "I am fine, thank you. How can I help?"),
    (
        r"\b(?:who|what) are you\b|\byour name\b|\bare you (?:a|an|real|human)\b",
        lambda found, about: f"I am {about.name}, made of rules, without a language model. {about.abilities}",
    ),
    (
        r"\bhelp\b|\bwhat can (?:you|i) (?:do|ask|say)\b",
        lambda found, about: f"I am {about.name}. {about.abilities}",
    ),
    (r"\bthank(?:s| you)\b", lambda found, about: "You are welcome."),
    (r"\b(?:goodbye|good bye|bye|good night)\b", lambda found, about: "Goodbye!"),
    (
        r"^(?:hello|hi|hey|greetings|good (?:morning|afternoon|evening))\b",
        lambda found, about: f"Hello! I am {about.name}. How can I help?",
    ),
)
"""(pattern in what was said, in lower case; what to answer, None to go on), tried in order."""
