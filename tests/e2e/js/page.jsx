// A page that talks through the unmodified hook. The test drives it through `window.voice`.
import { createGateway } from '@ai-sdk/gateway';
import { createOpenAI } from '@ai-sdk/openai';
import { experimental_useRealtime as useRealtime } from '@ai-sdk/react';
import { createRoot } from 'react-dom/client';

const { profile, modelId, api, sessionConfig, toolResult } = JSON.parse(decodeURIComponent(location.hash.slice(1)));

const model =
  profile === 'R'
    ? createOpenAI({ apiKey: 'never sent' }).experimental_realtime(modelId)
    : createGateway({ apiKey: 'never sent' }).experimental_realtime(modelId);

// What was handed to the sound card, and what was taken back: the hook's own playback, observed.
const played = [];
const stopped = [];
const start = AudioBufferSourceNode.prototype.start;
AudioBufferSourceNode.prototype.start = function (when) {
  const samples = this.buffer.getChannelData(0);
  const rms = Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
  played.push({ at: when, seconds: this.buffer.duration, rms });
  return start.call(this, when);
};
const stop = AudioBufferSourceNode.prototype.stop;
AudioBufferSourceNode.prototype.stop = function () {
  stopped.push(this.context.currentTime);
  return stop.call(this);
};

const log = { events: [], errors: [], calls: [], sent: [], played, stopped };
const send = WebSocket.prototype.send;
WebSocket.prototype.send = function (data) {
  const event = JSON.parse(data);
  if (!event.type.endsWith('append')) log.sent.push(event);
  return send.call(this, data);
};

function Voice() {
  const voice = useRealtime({
    model,
    api,
    sessionConfig,
    onEvent: event => {
      const shown = { ...event, raw: undefined };
      if (event.type === 'audio-delta') shown.delta = event.delta.length;
      log.events.push(shown);
    },
    onError: error => log.errors.push(error.message),
    onToolCall: ({ toolCall }) => {
      log.calls.push(toolCall);
      return toolResult;
    },
  });
  window.voice = voice;
  window.log = log;
  return (
    <main>
      <output>{voice.status}</output>
      {voice.messages.map(message => (
        <p key={message.id} className={message.role}>
          {message.parts.map(part => part.text ?? `${part.toolName} ${part.state}`).join(' ')}
        </p>
      ))}
    </main>
  );
}

createRoot(document.getElementById('root')).render(<Voice />);
