"""Voice Relay: one self-hosted server between every voice client and every speech model.

The nouns: a *caller* opens a socket to us, a *model* hears, thinks or speaks, a *dialect* is a wire format, a
*session* is one conversation between a caller leg and a model leg, a *cascade* is a model side that is composed here
of a transcriber, a chat model and a synthesizer.

The path of one frame of speech: `net.pump` takes it from the caller's socket, `dialects.<caller>` makes an
`AudioAppended` of it, `core.session` decides (turn detection, playout, tools) and answers with commands, `net.pump`
carries them out: `dialects.<model>` makes a frame of the event and `net.outbox` sends it to the model, or
`core.cascade` takes it when the model is composed here. The way back is the same, with `AudioProduced`. Nothing on this
path awaits. `docs/frame.md` walks it line by line.
"""

__version__ = "0.1.0"
