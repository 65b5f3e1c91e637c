/**
 * One call in the AI SDK gateway dialect, over a WebSocket: token, socket, settings, frames. No audio, no page.
 *
 * POST v1/realtime/setup?model=… {"sessionConfig": …} gives {token, url, tools?}; the socket offers the marker and the
 * token as subprotocols; the first frame is session-update; session-created or -updated means ready.
 */
const MARKER = "ai-gateway-realtime.v1";
const READY_WITHIN_MS = 30_000;
/** Microphone audio is dropped while more than this waits in the browser: late speech is worse than a gap. */
const MAX_BUFFERED_BYTES = 512 * 1024;

/**
 * Why there is no call. `stage`: "unreachable", "refused" (with `status`), "socket" (never opened), "late" (not ready in time),
 * "ended" (with `code`), "stopped" (by the user), "page" (an error of ours).
 */
export class CallFailed extends Error {
  constructor(stage, { message = "", status = 0, code = 0 } = {}) {
    super(message);
    this.stage = stage;
    this.status = status;
    this.code = code;
  }
}

/** The models and agents on offer. @returns {Promise<{models: object[], agents: object[], default: string}>} */
export async function fetchChoices() {
  const response = await request("v1/playground/config");
  return response.json();
}

export class Call {
  /**
   * @param {{onSend: (event: object) => void, onEvent: (event: object) => void,
   *   onEnd: (failure: CallFailed) => void}} hooks `onEnd` once, and only after `open` has resolved
   */
  constructor(hooks) {
    this.hooks = hooks;
  }

  /** Resolves when the relay is ready; rejects with CallFailed. @param {string} model @param {object} config */
  async open(model, config) {
    const setup = await request(`v1/realtime/setup?${new URLSearchParams({ model })}`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ sessionConfig: config }),
    }).then((response) => response.json());
    if (this.closed) throw new CallFailed("ended", { code: 1000 });
    this.socket = new WebSocket(setup.url, [MARKER, `ai-gateway-auth.${setup.token}`]);
    await this.#ready({ ...config, ...(setup.tools?.length ? { tools: setup.tools } : {}) });
  }

  #ready(config) {
    return new Promise((resolve, reject) => {
      let opened = false;
      let ready = false;
      let lastError = "";
      const timer = setTimeout(() => {
        reject(new CallFailed("late"));
        this.socket.close();
      }, READY_WITHIN_MS);
      this.socket.onopen = () => {
        opened = true;
        this.send({ type: "session-update", config });
      };
      this.socket.onmessage = ({ data }) => {
        const event = parse(data);
        if (event.type === "session-created" || event.type === "session-updated") {
          clearTimeout(timer);
          ready = true;
          resolve();
        } else if (event.type === "error") lastError = event.message;
        this.hooks.onEvent(event);
      };
      this.socket.onclose = ({ code, reason }) => {
        clearTimeout(timer);
        const failure = new CallFailed(opened ? "ended" : "socket", { code, message: reason || (ready ? "" : lastError) });
        if (ready) this.hooks.onEnd(failure);
        else reject(failure);
      };
    });
  }

  /** @param {object} event dropped when there is no open socket */
  send(event) {
    if (this.socket?.readyState !== WebSocket.OPEN) return;
    if (event.type === "input-audio-append" && this.socket.bufferedAmount > MAX_BUFFERED_BYTES) return;
    this.socket.send(JSON.stringify(event));
    this.hooks.onSend(event);
  }

  close() {
    this.closed = true;
    this.socket?.close();
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), options);
  } catch (error) {
    throw new CallFailed("unreachable", { message: error.message });
  }
  if (response.ok) return response;
  const body = await response.json().catch(() => ({}));
  throw new CallFailed("refused", { status: response.status, message: body.error?.message ?? response.statusText });
}

function parse(data) {
  try {
    return Object(JSON.parse(data));
  } catch {
    return { type: "error", code: "unreadable", message: "The relay sent a frame that is not JSON." };
  }
}
