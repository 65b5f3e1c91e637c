/** The microphone as PCM16 chunks of 40 ms at 24 kHz. */

export class Microphone {
  /** @param {{onChunk: (samples: Int16Array) => void, onLost: () => void}} hooks */
  constructor({ onChunk, onLost }) {
    this.onChunk = onChunk;
    this.onLost = onLost;
    this.open = false;
  }

  /**
   * Ask for the microphone and start. Rejects with what getUserMedia rejects with, or with "InsecureContext".
   * @param {boolean} cleaned whether the browser should take out echo and noise and even out the level
   */
  async start(cleaned) {
    if (!navigator.mediaDevices?.getUserMedia) throw new DOMException("no media devices", "InsecureContext");
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: { channelCount: 1, echoCancellation: cleaned, noiseSuppression: cleaned, autoGainControl: cleaned },
    });
    const [track] = this.stream.getAudioTracks();
    track.addEventListener("ended", () => {
      this.stop();
      this.onLost();
    });
    this.context = new AudioContext({ latencyHint: "interactive" });
    await this.context.audioWorklet.addModule(new URL("capture.worklet.js", import.meta.url));
    this.node = new AudioWorkletNode(this.context, "capture", { numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit" });
    this.node.port.onmessage = ({ data }) => this.onChunk(data.samples);
    this.context.createMediaStreamSource(this.stream).connect(this.node);
    await this.context.resume();
    this.open = true;
  }

  /** Muted chunks keep coming as silence: the relay must hear that a turn has ended. */
  mute(muted) {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !muted;
  }

  stop() {
    this.open = false;
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.node) this.node.port.onmessage = null;
    this.context?.close();
    this.stream = this.context = this.node = undefined;
  }
}
