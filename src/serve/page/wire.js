/* wire.js - asking the server: its own origin, with a key if it wants one, and answers that come piece by piece. */
'use strict';

class Refusal extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

let key = sessionStorage.getItem('verbatim.key') || '';

/* Asks for a key as often as the server refuses the one that is there; null: the user gave up. */
function askForKey() {
  const dialog = byId('key-dialog'), input = byId('key');
  input.value = '';
  dialog.returnValue = '';
  dialog.showModal();
  return new Promise(resolve => dialog.addEventListener('close', () => {
    declined = dialog.returnValue !== 'ok' || input.value === '';
    if (declined) { resolve(false); return; }
    key = input.value;
    sessionStorage.setItem('verbatim.key', key);
    resolve(true);
  }, { once: true }));
}
let asking = null, declined = false; /* declined: not asked for again until the user does something that needs it */

async function ask(path, body, signal) {
  for (;;) {
    const headers = {};
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (key) headers.Authorization = 'Bearer ' + key;
    const response = await fetch(path, { method: body === undefined ? 'GET' : 'POST', headers, signal,
      body: body === undefined ? undefined : JSON.stringify(body) });
    if (response.ok) return response;
    if (response.status === 401 && !declined) {
      asking = asking || askForKey().finally(() => { asking = null; });
      if (await asking) continue;
    }
    throw new Refusal(response.status, errorOf(await response.text()) || `status ${response.status}`);
  }
}

function errorOf(text) {
  try {
    const error = JSON.parse(text).error;
    return typeof error === 'string' ? error : error.message;
  } catch {
    return text.trim().slice(0, 300);
  }
}

const askJson = async (path, body, signal) => (await ask(path, body, signal)).json();

/* The pieces of a response between separators, as they come. */
async function* pieces(response, separator) {
  const reader = response.body.getReader(), decoder = new TextDecoder();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read();
      rest += done ? decoder.decode() : decoder.decode(value, { stream: true });
      const whole = rest.split(separator);
      rest = done ? '' : whole.pop();
      yield* whole.filter(piece => piece.trim() !== '');
      if (done) return;
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/* Server-sent events as { event, data }, data being JSON. */
async function* events(response) {
  for await (const piece of pieces(response, '\n\n')) {
    const event = { event: 'message', data: '' };
    for (const line of piece.split('\n')) {
      if (line.startsWith('event:')) event.event = line.slice(6).trim();
      else if (line.startsWith('data:')) event.data += line.slice(5).trim();
    }
    if (event.data === '' || event.data === '[DONE]') continue;
    event.data = JSON.parse(event.data);
    yield event;
  }
}

/* What went wrong, as a sentence. */
function sentence(error) {
  if (error instanceof Refusal) return error.message;
  if (error instanceof TypeError) return 'The server does not answer. Is it still running?';
  return String(error.message || error);
}
