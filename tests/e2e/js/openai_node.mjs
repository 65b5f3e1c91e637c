// The OpenAI JS SDK's realtime client from Node. It dials wss: only, so the relay serves TLS here.
// node openai_node.mjs '{"baseURL","apiKey","model","wav"}' -> {"frames"}
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { options, report, speech, tools, until } from './lib.mjs';

const { baseURL, apiKey, model, wav } = options();
const frames = [];
const seen = type => frames.filter(frame => frame.type === type);

await report(async () => {
  const realtime = new OpenAIRealtimeWS({ model }, new OpenAI({ baseURL, apiKey }));
  realtime.on('error', error => frames.push({ type: 'client-error', message: error.message }));
  realtime.on('event', event => {
    if (event.type === 'response.output_audio.delta')
      event = { ...event, delta: Buffer.from(event.delta, 'base64').length };
    frames.push(event);
  });
  await until('session.created', () => seen('session.created')[0]);
  const session = { type: 'realtime', instructions: 'Be brief.', tools, audio: { input: { transcription: {} } } };
  realtime.send({ type: 'session.update', session });
  await until('session.updated', () => seen('session.updated')[0]);

  const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello.' }] };
  realtime.send({ type: 'conversation.item.create', item });
  realtime.send({ type: 'response.create' });
  await until('the answer to a typed message', () => seen('response.done').length === 1);

  for (const audio of speech(wav, { rate: 24_000 })) realtime.send({ type: 'input_audio_buffer.append', audio });
  const call = await until('a tool call', () => seen('response.function_call_arguments.done')[0]);
  await until('the end of the calling response', () => seen('response.done').length === 2);
  const output = JSON.stringify({ city: JSON.parse(call.arguments).city, temperature: 21 });
  realtime.send({ type: 'conversation.item.create', item: { type: 'function_call_output', call_id: call.call_id, output } });
  realtime.send({ type: 'response.create' });
  await until('the answer with the result', () => seen('response.done').length === 3);

  const closed = new Promise(done => realtime.socket.once('close', done));
  realtime.close();
  await closed;
  return { frames };
}, () => frames.slice(-30));
