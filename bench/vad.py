"""Speech detection, measured: `python -m bench.vad --speech DIR`.

DIR holds recordings and `labels.json` (name -> {"speech_s": [start, end]}), and a noise to mix under them. Three tables
are printed as Markdown: how well turns are found at several signal-to-noise ratios, starts that noise alone provokes,
and CPU per caller. Each row of a table is one detector, over the same samples:

    relay           the gate, then the judge, smoothed by core.hearing
    Silero alone    the same smoothing, but every window is judged
    gate alone      what a host without onnxruntime runs
    webrtcvad       mode 3, 6 of 8 frames of 20 ms, as many relays do

Onset is the audio heard when a start was declared, less the labelled start; end is the same for the end, less
`silence_duration_ms`. "early" starts were declared before speech began, "split" counts ends in mid-speech.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import webrtcvad
from numpy.typing import NDArray

from relay.audio.vad import FRAME_BYTES, RATE_HZ, WINDOW_SAMPLES, Gate, SileroBatch, Sound, find_model
from relay.core.hearing import Hearing, JudgeNeeded, Onset
from relay.nouns import TurnDetection

Signal = NDArray[np.float32]
DETECTION = TurnDetection()
BEFORE_S, AFTER_S = 1.0, 1.5
SNRS_DB: tuple[float | None, ...] = (None, 20.0, 10.0, 5.0)


@dataclass(frozen=True)
class Clip:
    """Speech in noise."""

    pcm: bytes
    snr_db: float | None
    start_ms: float
    end_ms: float


@dataclass
class Tally:
    """What one detector did with the clips of one signal-to-noise ratio."""

    clips: int = 0
    missed: int = 0
    early: int = 0
    split: int = 0
    onsets_ms: list[float] = field(default_factory=list)
    ends_ms: list[float] = field(default_factory=list)

    def add(self, clip: Clip, turns: list[tuple[float, float]]) -> None:
        """``turns``: audio heard when each start and end was declared; an end of infinity did not come."""
        self.clips += 1
        if not turns or turns[0][0] > clip.end_ms:
            self.missed += 1
            return
        if turns[0][0] < clip.start_ms:
            self.early += 1
        else:
            self.onsets_ms.append(turns[0][0] - clip.start_ms)
        self.split += sum(end <= clip.end_ms for _, end in turns)
        behind = [end for _, end in turns if end > clip.end_ms]
        over = behind[0] if behind else float("inf")
        self.ends_ms.append(min(over - clip.end_ms, AFTER_S * 1000) - DETECTION.silence_duration_ms)


# --- detectors: PCM in, (heard at start, heard at end) out


class AlwaysOpen(Gate):
    """In place of the gate: every window is judged."""

    def feed(self, frame: bytes) -> Sound:
        return Sound.LOUD


class Judge:
    """The judge without its thread: all callers' oldest windows as one batch, until nothing waits."""

    def __init__(self, model: Path, callers: int) -> None:
        self._network = SileroBatch(model)
        self._rows = [self._network.open_row() for _ in range(callers)]
        self.windows = self.steps = 0

    def run(self, questions: list[tuple[int, JudgeNeeded]]) -> list[tuple[int, int, list[float]]]:
        """Questions of different callers, one each. Returns caller, first window and probabilities of each."""
        sounds = [np.frombuffer(q.windows, "<i2").reshape(-1, WINDOW_SAMPLES) for _, q in questions]
        answers: list[list[float]] = [[] for _ in questions]
        for caller, question in questions:
            if question.fresh:
                self._network.reset_row(self._rows[caller])
        for at in range(max(map(len, sounds), default=0)):
            alive = [n for n, sound in enumerate(sounds) if at < len(sound)]
            rows = [self._rows[questions[n][0]] for n in alive]
            for n, p in zip(alive, self._network.judge(rows, np.stack([sounds[n][at] for n in alive])), strict=True):
                answers[n].append(float(p))
            self.windows += len(alive)
            self.steps += 1
        return [(c, q.first_window, a) for (c, q), a in zip(questions, answers, strict=True)]


def frames_of(pcm: bytes) -> Iterator[bytes]:
    for at in range(0, len(pcm) - FRAME_BYTES + 1, FRAME_BYTES):
        yield pcm[at : at + FRAME_BYTES]


def hear(pcm: bytes, hearing: Hearing, judge: Judge | None) -> list[tuple[float, float]]:
    """As a call does, in frames of 20 ms, with a judge that answers at once."""
    turns: list[tuple[float, float]] = []
    for frame in frames_of(pcm):
        findings = hearing.feed(frame)
        for finding in findings:
            if isinstance(finding, JudgeNeeded):
                assert judge is not None
                for _, first, probabilities in judge.run([(0, finding)]):
                    findings.extend(hearing.judged(first, probabilities))
            elif isinstance(finding, Onset):
                turns.append((hearing.position_ms, float("inf")))
            else:
                turns[-1] = (turns[-1][0], hearing.position_ms)
    return turns


def relay(model: Path) -> Callable[[bytes], list[tuple[float, float]]]:
    return lambda pcm: hear(pcm, Hearing(DETECTION, judged=True), Judge(model, 1))


def silero_alone(model: Path) -> Callable[[bytes], list[tuple[float, float]]]:
    def detect(pcm: bytes) -> list[tuple[float, float]]:
        return hear(pcm, Hearing(DETECTION, judged=True, gate=AlwaysOpen()), Judge(model, 1))

    return detect


def gate_alone(pcm: bytes) -> list[tuple[float, float]]:
    return hear(pcm, Hearing(DETECTION, judged=False), None)


def webrtc(pcm: bytes) -> list[tuple[float, float]]:
    vad, newest, turns, speaking, quiet_ms = webrtcvad.Vad(3), [False] * 8, [], False, 0
    for at, frame in enumerate(frames_of(pcm)):
        newest = [*newest[1:], vad.is_speech(frame, RATE_HZ)]
        speech, heard_ms = sum(newest) >= 6, (at + 1) * 20.0
        quiet_ms = 0 if speech else quiet_ms + 20
        if speech and not speaking:
            turns.append((heard_ms, float("inf")))
            speaking = True
        elif speaking and quiet_ms >= DETECTION.silence_duration_ms:
            turns[-1] = (turns[-1][0], heard_ms)
            speaking = False
    return turns


# --- material


def decode(path: Path) -> Signal:
    command = ["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(RATE_HZ), "-f", "f32le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, "<f4")


def to_pcm(signal: Signal) -> bytes:
    return np.clip(np.rint(signal * 32_768), -32_768, 32_767).astype("<i2").tobytes()


def mixed(speech: Signal, span_s: tuple[float, float], noise: Signal, offset: float, snr_db: float | None) -> Clip:
    """Speech with noise before, under and behind it. ``offset``: which part of the noise, 0 to 1."""
    start, size = int(BEFORE_S * RATE_HZ), len(speech) + int((BEFORE_S + AFTER_S) * RATE_HZ)
    whole = np.zeros(size, np.float32)
    whole[start : start + len(speech)] = speech
    lead = 0
    if snr_db is None:
        lead = int(offset * WINDOW_SAMPLES)  # another offset of the windows is all that can differ
        whole = whole[lead:]
    else:
        part = noise[int(offset * (len(noise) - size)) :][:size]
        spoken = speech[int(span_s[0] * RATE_HZ) : int(span_s[1] * RATE_HZ)]
        whole = whole + part * np.sqrt(np.mean(spoken**2) / 10 ** (snr_db / 10) / np.mean(part**2))
    shift_ms = BEFORE_S * 1000 - lead * 1000 / RATE_HZ
    return Clip(to_pcm(whole), snr_db, span_s[0] * 1000 + shift_ms, span_s[1] * 1000 + shift_ms)


def load(folder: Path, noise: Signal, offsets: int) -> list[Clip]:
    labels = json.loads((folder / "labels.json").read_text())
    spoken = {name: label["speech_s"] for name, label in labels.items() if "speech_s" in label}
    speech = {name: decode(folder / name) for name in spoken}
    return [
        mixed(speech[name], (span[0], span[1]), noise, (at + 0.5) / offsets, snr_db)
        for snr_db in SNRS_DB
        for name, span in spoken.items()
        for at in range(offsets)
    ]


# --- tables


def percentiles(values: list[float]) -> str:
    return f"{np.percentile(values, 50):.0f} / {np.percentile(values, 95):.0f}" if values else "-"


def name_of(snr_db: float | None) -> str:
    return "clean" if snr_db is None else f"{snr_db:.0f} dB"


def table_of_turns(detectors: dict[str, Callable[[bytes], list[tuple[float, float]]]], clips: list[Clip]) -> None:
    print("\n| Detector | SNR | missed | early | split | onset p50 / p95, ms | end p50 / p95, ms |")
    print("|---|---|---|---|---|---|---|")
    for name, detect in detectors.items():
        tallies = {snr_db: Tally() for snr_db in SNRS_DB}
        for at, clip in enumerate(clips):
            if sys.stderr.isatty():
                print(f"\r{name}: {at + 1} of {len(clips)} clips", end="", file=sys.stderr, flush=True)
            tallies[clip.snr_db].add(clip, detect(clip.pcm))
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
        for snr_db, tally in tallies.items():
            counts = " | ".join(f"{n}/{tally.clips}" for n in (tally.missed, tally.early, tally.split))
            row = f"| {name} | {name_of(snr_db)} | {counts}"
            print(f"{row} | {percentiles(tally.onsets_ms)} | {percentiles(tally.ends_ms)} |", flush=True)


def table_of_noise(detectors: dict[str, Callable[[bytes], list[tuple[float, float]]]], noise: Signal) -> None:
    minutes = len(noise) / RATE_HZ / 60
    louder = noise * np.float32(10 ** (10 / 20))
    print(f"\n| Detector | starts a minute in {minutes:.1f} min of noise | the same, 10 dB louder |")
    print("|---|---|---|")
    for name, detect in detectors.items():
        rates = [len(detect(to_pcm(part))) / minutes for part in (noise, louder)]
        print(f"| {name} | {rates[0]:.1f} | {rates[1]:.1f} |", flush=True)


@dataclass(frozen=True)
class Cost:
    """CPU of one way to detect speech."""

    percent: float
    """Of a core, per caller."""
    window_us: float = 0.0
    """Per judged window, the judge alone."""
    batch: float = 0.0
    """Windows per step of the network."""
    judged: float = 0.0
    """Share of windows that were judged."""


def cost(model: Path, calls: list[bytes], *, gated: bool, batched: bool) -> Cost:
    """Callers send a frame every 20 ms, each at its own time; a batched judge runs every 8 ms (JUDGE_TICK_S)."""
    hearings = [Hearing(DETECTION, judged=True, gate=None if gated else AlwaysOpen()) for _ in calls]
    judge = Judge(model, len(calls))
    waiting: list[tuple[int, JudgeNeeded]] = []
    judging_s, frames = 0.0, len(calls[0]) // FRAME_BYTES
    began_s = time.process_time()
    for step in range(frames * 5):  # of 4 ms
        at = step // 5 * FRAME_BYTES
        for caller in range(step % 5, len(calls), 5):
            findings = hearings[caller].feed(calls[caller][at : at + FRAME_BYTES])
            waiting += [(caller, finding) for finding in findings if isinstance(finding, JudgeNeeded)]
        if waiting and (step % 2 or not batched):
            asked_s = time.process_time()
            answers = judge.run(waiting) if batched else [answer for one in waiting for answer in judge.run([one])]
            judging_s += time.process_time() - asked_s
            for caller, first, probabilities in answers:
                hearings[caller].judged(first, probabilities)
            waiting = []
    audio_s = frames * 0.02 * len(calls)
    return Cost(
        (time.process_time() - began_s) / audio_s * 100,
        judging_s / max(judge.windows, 1) * 1e6,
        judge.windows / max(judge.steps, 1),
        judge.windows * WINDOW_SAMPLES / RATE_HZ / audio_s,
    )


def cost_of(detect: Callable[[bytes], object], pcm: bytes) -> Cost:
    began_s = time.process_time()
    detect(pcm)
    return Cost((time.process_time() - began_s) / (len(pcm) / 2 / RATE_HZ) * 100)


def table_of_cost(model: Path, clips: list[Clip]) -> None:
    """Each caller's call: speech of one clip and as long a pause, over and over, in noise at 20 dB."""
    clip = max((clip for clip in clips if clip.snr_db == 20.0), key=lambda clip: len(clip.pcm))
    sound = np.frombuffer(clip.pcm, "<i2")
    pause = sound[: int(BEFORE_S * RATE_HZ)]
    call = np.concatenate((sound, *[pause] * int(len(sound) / len(pause) / 2)))
    print("\n| Detector | callers | CPU per caller, % of a core | judge, µs a window | windows a batch | judged |")
    print("|---|---|---|---|---|---|")
    for name, detect in (("webrtcvad", webrtc), ("gate alone", gate_alone)):
        print(f"| {name} | any | {cost_of(detect, call.tobytes()).percent:.3f} | - | - | - |", flush=True)
    for callers in (1, 16, 64):
        calls = [np.roll(call, -len(call) * n // callers).tobytes() for n in range(callers)]
        for name, gated, batched in (("Silero alone, unbatched", False, False), ("relay", True, True)):
            c = cost(model, calls, gated=gated, batched=batched)
            numbers = f"{c.percent:.3f} | {c.window_us:.0f} | {c.batch:.1f} | {c.judged:.0%}"
            print(f"| {name} | {callers} | {numbers} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.vad", description=__doc__.partition("\n")[0])
    parser.add_argument("--speech", type=Path, required=True, help="directory with recordings and labels.json")
    parser.add_argument("--noise", default="office-ambience.mp3", help="file in it that holds noise without speech")
    parser.add_argument("--offsets", type=int, default=24, help="places in the noise that every recording is put at")
    parser.add_argument("--model", type=Path, help="another Silero model file")
    arguments = parser.parse_args()
    model = find_model(arguments.model)
    if model is None:
        sys.exit("onnxruntime or the model file is missing")
    noise = decode(arguments.speech / arguments.noise)
    clips = load(arguments.speech, noise, arguments.offsets)
    detectors = {
        "relay": relay(model),
        "Silero alone": silero_alone(model),
        "gate alone": gate_alone,
        "webrtcvad": webrtc,
    }
    table_of_turns(detectors, clips)
    table_of_noise(detectors, noise)
    table_of_cost(model, clips)


if __name__ == "__main__":
    main()
