/** What went wrong, in words that say what to do about it. Pure. */

/**
 * @param {{name: string, message?: string}} error what starting the microphone rejected with
 * @returns {{title: string, advice: string, retry: "microphone"}}
 */
export function microphoneFault({ name, message = "" }) {
  const typing = "You can type meanwhile.";
  const known = {
    InsecureContext: ["This page may not use a microphone", "Browsers allow it on https:// and on localhost only. "
      + "Open the relay at http://localhost, or give it a certificate (--tls-cert, --tls-key)."],
    NotAllowedError: ["The microphone is blocked", "Allow it for this page in the browser’s address bar, "
      + "and check that the system lets the browser use it."],
    NotFoundError: ["No microphone found", "Connect one, or choose an input in the system’s sound settings."],
    NotReadableError: ["The microphone cannot be read", "Another program may be using it; close that and try again."],
    lost: ["The microphone is gone", "It was unplugged, or the browser took it back."],
  };
  const [title, advice] = known[name] ?? ["The microphone did not start", `${message || name}.`];
  return { title, advice: `${advice} ${typing}`, retry: "microphone" };
}

/**
 * @param {{stage: string, status: number, code: number, message: string}} failure a CallFailed
 * @returns {{title: string, advice: string, retry: "call"} | null} null: an ordinary end
 */
export function callFault({ stage, status, code, message }) {
  const fault = (title, advice) => ({ title, advice: [sentence(message), advice].filter(Boolean).join(" "), retry: "call" });
  if (stage === "unreachable") {
    return { title: "The relay does not answer", advice: "Check that it is running and that this page’s address is its own.", retry: "call" };
  }
  if (stage === "refused") return refusal(status, fault);
  if (stage === "socket") {
    return fault("The connection was not opened", "The relay gave a token but no socket: "
      + "is a proxy in between that does not pass WebSockets, or is the public_url wrong?");
  }
  if (stage === "late") return fault("The model did not get ready in time", "Try again, choose another model, or look at the relay’s log.");
  if (stage === "page") return fault("Something failed in this page", "Reload it and try again.");
  if (stage === "stopped" || (code === 1000 && !message)) return null;
  const why = {
    1000: ["The session is over", ""],
    1001: ["The session is over", "Start a new one to go on."],
    1006: ["The connection broke", "The network or the relay went away without a word."],
    1008: ["The relay refused", "See the reason before this sentence, and the events below."],
    1009: ["A message was too large", ""],
    1011: ["The relay failed", "Its log says more."],
    1012: ["The relay is being restarted", "Connect again in a moment."],
    1013: ["The relay is busy", "Try again in a moment."],
    1014: ["The model is not available", "Choose another one, or look at the relay’s log."],
  };
  const [title, advice] = why[code] ?? ["The session ended", ""];
  return fault(`${title} (code ${code})`, advice);
}

function refusal(status, fault) {
  if (status === 401 || status === 403) {
    return fault("No token for this page", "The relay decides which pages get one without a key: "
      + "tokens.setup_origins in its configuration, or open it on the machine that it runs on.");
  }
  if (status === 404) return fault("Not found", "This relay does not offer the chosen model, or no setup for pages.");
  if (status === 429) return fault("Too many calls", "Wait a minute, then try again.");
  if (status === 503) return fault("The relay is full or stopping", "Try again in a moment.");
  return fault(`The relay refused the call (${status})`, "");
}

function sentence(text) {
  return text && !/[.!?]$/.test(text) ? `${text}.` : text;
}
