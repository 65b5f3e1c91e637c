/** Client code for what is on screen: the same model and settings, in the client's own words. Pure. */

export const CLIENTS = {
  "ai-react": "AI SDK React",
  "ai-node": "AI SDK Node",
  "openai-python": "OpenAI Python",
  "openai-js": "OpenAI JS",
  curl: "curl",
};

/**
 * @typedef {{origin: string, model: string, voice: string, instructions: string, push: boolean,
 *   threshold: number, silenceMs: number, prefixMs: number, tools: object[]}} Screen
 */

/** What session-update carries. @param {Screen} screen */
export function sessionConfig({ voice, instructions, push, threshold, silenceMs, prefixMs, tools }) {
  return {
    ...(instructions && { instructions }),
    ...(voice && { voice }),
    inputAudioTranscription: {},
    turnDetection: push
      ? { type: "disabled" }
      : { type: "server-vad", threshold, silenceDurationMs: silenceMs, prefixPaddingMs: prefixMs },
    tools,
  };
}

/** The same as an OpenAI Realtime session (GA shape). @param {Screen} screen */
export function openaiSession({ voice, instructions, push, threshold, silenceMs, prefixMs, tools }) {
  const detection = { type: "server_vad", threshold, silence_duration_ms: silenceMs, prefix_padding_ms: prefixMs };
  return {
    type: "realtime",
    ...(instructions && { instructions }),
    audio: {
      input: { turn_detection: push ? null : detection },
      ...(voice && { output: { voice } }),
    },
    ...(tools.length && { tools }),
  };
}

/** @param {keyof CLIENTS} client @param {Screen} screen @returns {string} */
export function snippet(client, screen) {
  return { "ai-react": react, "ai-node": node, "openai-python": python, "openai-js": openaiJs, curl }[client](screen);
}

function react(screen) {
  const tools = screen.tools.length > 0;
  return `'use client';
import { createGateway } from 'ai';
import { experimental_useRealtime } from '@ai-sdk/react';

const gateway = createGateway({ baseURL: ${js(`${screen.origin}/v4/ai`)} });
const model = gateway.experimental_realtime(${js(screen.model)});
const sessionConfig = ${js(config(screen))};

export default function Voice() {
  const { status, messages, connect, disconnect, startAudioCapture } = experimental_useRealtime({
    model,
    // Your own endpoint that mints a token, or the relay's (allow your origin in tokens.setup_origins).
    api: { token: ${js(`${screen.origin}/v1/realtime/setup?model=${encodeURIComponent(screen.model)}`)} },
    sessionConfig,${tools ? `
    onToolCall: ({ toolCall }) => ({ called: toolCall.toolName, with: toolCall.args }),` : ""}
  });

  async function talk() {
    await connect();
    startAudioCapture(await navigator.mediaDevices.getUserMedia({ audio: true }));
  }

  return (
    <div>
      <button onClick={status === 'connected' ? disconnect : talk}>{status}</button>
      {messages.map((message) => (
        <p key={message.id}>{message.role}: {message.parts.map((part) => (part.type === 'text' ? part.text : ''))}</p>
      ))}
    </div>
  );
}
`;
}

function node(screen) {
  const withoutTools = config({ ...screen, tools: [] });
  return `import { createGateway } from 'ai';

const gateway = createGateway({ baseURL: ${js(`${screen.origin}/v4/ai`)}, apiKey: process.env.RELAY_API_KEY });
const model = gateway.experimental_realtime(${js(screen.model)});
const secret = await gateway.experimental_realtime.getToken({ model: ${js(screen.model)} });
const { url, protocols } = model.getWebSocketConfig(secret);

const socket = new WebSocket(url, protocols); // Node 22 or later; before: import WebSocket from 'ws'
const send = async (event) => socket.send(JSON.stringify(await model.serializeClientEvent(event)));

socket.onopen = async () => {
  await send({ type: 'session-update', config: ${js(withoutTools, 2)} });
  await send({ type: 'conversation-item-create', item: { type: 'text-message', role: 'user', text: 'Hello!' } });
  await send({ type: 'response-create' });
};
socket.onmessage = ({ data }) => {
  for (const event of [model.parseServerEvent(JSON.parse(data))].flat()) {
    if (event.type === 'audio-transcript-delta') process.stdout.write(event.delta);
    if (event.type === 'audio-delta') continue; // event.delta: base64 PCM16, 24 kHz, mono
    if (event.type === 'error') console.error(event.message);
    if (event.type === 'response-done') socket.close();
  }
};
`;
}

function python(screen) {
  return `import os

from openai import OpenAI

client = OpenAI(base_url=${py(`${screen.origin}/v1`)}, api_key=os.environ["RELAY_API_KEY"])

with client.realtime.connect(model=${py(screen.model)}) as connection:
    connection.session.update(session=${py(openaiSession({ ...screen, tools: [] }), 4)})
    connection.conversation.item.create(
        item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello!"}]}
    )
    connection.response.create()
    for event in connection:
        if event.type == "response.output_audio_transcript.delta":
            print(event.delta, end="", flush=True)
        elif event.type == "response.output_audio.delta":
            pass  # event.delta: base64 PCM16, 24 kHz, mono
        elif event.type == "error":
            print(event.error.message)
        elif event.type == "response.done":
            break
`;
}

function openaiJs(screen) {
  const plain = screen.origin.startsWith("http:");
  return `import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws'; // needs the package ws; in a browser: openai/realtime/websocket
${plain ? "\n// This client dials wss only: serve the relay with --tls-cert and --tls-key." : ""}
const baseURL = ${js(`${screen.origin.replace(/^http:/, "https:")}/v1`)};
const client = new OpenAI({ baseURL, apiKey: process.env.RELAY_API_KEY });
const realtime = new OpenAIRealtimeWS({ model: ${js(screen.model)} }, client);

realtime.on('session.created', () => {
  realtime.send({ type: 'session.update', session: ${js(openaiSession({ ...screen, tools: [] }), 2)} });
  realtime.send({
    type: 'conversation.item.create',
    item: { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'Hello!' }] },
  });
  realtime.send({ type: 'response.create' });
});
realtime.on('response.output_audio_transcript.delta', ({ delta }) => process.stdout.write(delta));
realtime.on('response.output_audio.delta', ({ delta }) => { /* base64 PCM16, 24 kHz, mono */ });
realtime.on('error', (error) => console.error(error.message));
realtime.on('response.done', () => realtime.close());
`;
}

function curl(screen) {
  const body = (value) => shell(JSON.stringify(value));
  const post = (path) => `curl -sS ${screen.origin}${path} \\
  -H "Authorization: Bearer $RELAY_API_KEY" -H 'Content-Type: application/json' \\`;
  return `# A token for AI SDK clients
${post("/v1/realtime/client-secrets")}
  -d ${body({ model: screen.model, expiresIn: 60 })}

# A client secret for OpenAI Realtime clients
${post("/v1/realtime/client_secrets")}
  -d ${body({ session: { ...openaiSession({ ...screen, tools: [] }), model: screen.model } })}
`;
}

function config(screen) {
  const { tools, ...rest } = sessionConfig(screen);
  return tools.length ? { ...rest, tools } : rest;
}

/** A value as JavaScript source: short ones on one line, keys bare. */
function js(value, indent = 0) {
  return source(value, indent, {
    text: (text) => `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`,
    key: (key) => key,
    names: { true: "true", false: "false", null: "null" },
    pad: " ",
  });
}

/** A value as Python source. */
function py(value, indent = 0) {
  return source(value, indent, {
    text: JSON.stringify,
    key: JSON.stringify,
    names: { true: "True", false: "False", null: "None" },
    pad: "",
  });
}

function source(value, indent, style) {
  if (typeof value === "string") return style.text(value);
  if (typeof value === "number") return String(value);
  if (typeof value !== "object" || value === null) return style.names[value];
  const list = Array.isArray(value);
  const parts = (depth) => Object.entries(value).map(([key, each]) =>
    (list ? "" : `${style.key(key)}: `) + source(each, depth, style));
  const [open, close] = list ? "[]" : "{}";
  const pad = list || !Object.keys(value).length ? "" : style.pad;
  const line = `${open}${pad}${parts(indent).join(", ")}${pad}${close}`;
  if (indent + line.length <= 84 && !line.includes("\n")) return line;
  const inner = " ".repeat(indent + (style.pad ? 2 : 4));
  return `${open}\n${inner}${parts(inner.length).join(`,\n${inner}`)},\n${" ".repeat(indent)}${close}`;
}

function shell(text) {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
