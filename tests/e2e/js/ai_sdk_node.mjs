// AI SDK 7 from Node: getToken, getWebSocketConfig, serializeClientEvent, parseServerEvent over a plain socket.
// node ai_sdk_node.mjs '{"baseURL","apiKey","model","wav","push"}' -> {"minted","protocol","frames"}
import { createGateway } from '@ai-sdk/gateway';
import WebSocket from 'ws';
import { options, report, speech, tools, until } from './lib.mjs';

const { baseURL, apiKey, model: modelId, wav, push } = options();
const frames = [];
const seen = type => frames.filter(frame => frame.type === type);

async function connect(model, { token, url }) {
  const config = model.getWebSocketConfig({ token, url });
  const socket = new WebSocket(config.url, config.protocols);
  socket.on('message', (data, isBinary) => {
    if (isBinary) throw new Error('a binary frame');
    const event = model.parseServerEvent(JSON.parse(data.toString()));
    if (event.type === 'audio-delta') event.delta = Buffer.from(event.delta, 'base64').length;
    frames.push(event);
  });
  await new Promise((opened, failed) => socket.once('open', opened).once('error', failed));
  return socket;
}

await report(async () => {
  const gateway = createGateway({ baseURL, apiKey });
  const minted = await gateway.experimental_realtime.getToken({ model: modelId, expiresAfterSeconds: 120 });
  const model = gateway.experimental_realtime(modelId);
  const socket = await connect(model, minted);
  const send = event => socket.send(JSON.stringify(model.serializeClientEvent(event)));

  const turnDetection = { type: push ? 'disabled' : 'server-vad' };
  const config = { instructions: 'Be brief.', inputAudioTranscription: {}, turnDetection, tools };
  send({ type: 'session-update', config: model.buildSessionConfig(config) });
  await until('session-created or -updated', () => seen('session-created')[0] ?? seen('session-updated')[0]);

  send({ type: 'conversation-item-create', item: { type: 'text-message', role: 'user', text: 'Hello.' } });
  send({ type: 'response-create' });
  await until('the answer to a typed message', () => seen('response-done').length === 1);

  for (const audio of speech(wav, { rate: 24_000 })) send({ type: 'input-audio-append', audio });
  if (push) {
    send({ type: 'input-audio-commit' });
    await until('audio-committed', () => seen('audio-committed')[0]);
    frames.push({ type: 'test-asks' });
    send({ type: 'response-create' });
  }
  const call = await until('a tool call', () => seen('function-call-arguments-done')[0]);
  const output = JSON.stringify({ city: JSON.parse(call.arguments).city, temperature: 21 });
  const item = { type: 'function-call-output', callId: call.callId, name: call.name, output };
  send({ type: 'conversation-item-create', item });
  await until('the end of the calling response', () => seen('response-done').length === 2);
  frames.push({ type: 'test-continues' });
  send({ type: 'response-create' });
  await until('the answer with the result', () => seen('response-done').length === 3);

  send({ type: 'conversation-item-truncate', itemId: 'of another session', contentIndex: 0, audioEndMs: 1e6 });
  send({ type: 'no-such-event', eventId: 'mine' });
  await until('the refusal', () => seen('error')[0]);
  const closed = new Promise(done => socket.once('close', done));
  socket.close();
  await closed;
  return { minted, protocol: socket.protocol, frames };
}, () => frames.slice(-30));
