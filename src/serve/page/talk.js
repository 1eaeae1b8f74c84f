/* talk.js - a conversation as a tree: who asks again, or lets an answer go on in another way, loses nothing.
 *
 *   root - question - answer
 *                   - answer (again) - question - answer
 *        - question (edited) - answer
 *
 *   node  { role, text, above, below: [nodes], pick }       pick: which of those below is shown
 *   answer, besides: { thinking, tokens, prompt: ids, model, asked: sampling, state, reason, usage, ... }
 *
 * A token: { id, bytes, logprob, top: [{ id, bytes, logprob }], given, turned }; given: it was there when this answer began,
 * turned: chosen by hand.
 */
'use strict';
let root = { role: 'root', below: [], pick: 0, above: null };

function addNode(above, fields) {
  const node = { text: '', below: [], pick: 0, above, ...fields };
  above.below.push(node);
  above.pick = above.below.length - 1;
  return node;
}

function path() {
  const nodes = [];
  for (let node = root; node.below.length > 0;) nodes.push(node = node.below[node.pick]);
  return nodes;
}

function newAnswer(question, model, asked) {
  return addNode(question, { role: 'assistant', model, asked, thinking: '', tokens: [], prompt: null, state: 'waiting', reason: null,
    usage: null, born: Date.now(), began: 0, first: 0, ended: 0, tokensShown: wantsTokens });
}

/* What the model is asked: the system's text and all before the node. */
function messagesUpTo(node) {
  const messages = [];
  for (let n = node; n.above; n = n.above)
    if (n.text !== '') messages.unshift({ role: n.role, content: n.text });
  if (settings.system.trim() !== '') messages.unshift({ role: 'system', content: settings.system });
  return messages;
}

const tokenOf = entry => {
  const choice = c => ({ id: c.id, bytes: c.bytes || [], logprob: c.logprob });
  return { ...choice(entry), top: (entry.top_logprobs || []).map(choice) };
};

/* Thinking and what is said, of the text of an answer from its first token on. */
function splitThinking(answer) {
  const tokens = answer.ends ? answer.tokens.slice(0, -1) : answer.tokens, raw = textsOf(tokens).join('');
  const end = raw.indexOf('</think>'), opened = /^\s*<think>/.test(raw);
  if (!opened && !(answer.thinks && end >= 0)) return answer.thinks && end < 0 ? [raw, ''] : ['', raw];
  const inside = end < 0 ? raw : raw.slice(0, end), said = end < 0 ? '' : raw.slice(end + '</think>'.length);
  return [inside.replace(/^\s*<think>\s*/, '').trimEnd(), said.trimStart()];
}

/* --- one answer, as it comes --------------------------------------------------------------------------------- */

let running = null; /* { answer, abort } */

function take(answer, piece) {
  if (piece.error) throw new Refusal(500, errorOf(JSON.stringify(piece)));
  if (piece.prompt_token_ids && !answer.prompt) answer.prompt = piece.prompt_token_ids;
  if (piece.system_fingerprint) answer.fingerprint = piece.system_fingerprint;
  if (piece.usage) answer.usage = piece.usage;
  if (piece.verbatim) answer.told = { ...answer.told, ...piece.verbatim };
  for (const choice of piece.choices || []) {
    const entries = (choice.logprobs && choice.logprobs.content) || [], delta = choice.delta;
    if (entries.length && !answer.first) answer.first = performance.now();
    answer.tokens.push(...entries.map(tokenOf));
    if (delta) {
      const thought = delta.reasoning || delta.reasoning_content || '';
      answer.thinking += thought;
      answer.thinks = answer.thinks || thought !== '';
      answer.text += delta.content || '';
    }
    if (choice.finish_reason) answer.reason = choice.finish_reason;
  }
  if (answer.reason === 'stop' && answer.tokens.length && !answer.ends) answer.ends = endsWithControl(answer);
}

/* The token that ended the answer has no text of its own: it is not in what was said. */
function endsWithControl(answer) {
  const last = answer.tokens[answer.tokens.length - 1], text = seen(last.bytes), said = answer.text + answer.thinking;
  return text === '' || !said.endsWith(text) || /^<.+>$/.test(text);
}

/* Asks, and fills the answer until it has ended. `continues`: the request goes on from tokens, the answer being plain text. */
async function run(answer, route, body, continues) {
  const abort = new AbortController();
  running = { answer, abort };
  Object.assign(answer, { state: 'waiting', reason: null, ends: false, error: null, usage: null, began: performance.now(), first: 0 });
  answer.kept = answer.tokens.length;
  answer.told = null;
  update(answer);
  if (!server.loaded.has(answer.model)) server.loading = readingOf(answer.model);
  showModel();
  try {
    const response = await ask(route, body, abort.signal);
    server.loading = null;
    if (!server.loaded.has(answer.model)) readModels();
    answer.state = 'streaming';
    for await (const { data } of events(response)) {
      take(answer, data);
      if (continues) [answer.thinking, answer.text] = splitThinking(answer);
      update(answer);
    }
    answer.state = 'done';
  } catch (error) {
    answer.state = abort.signal.aborted ? 'stopped' : 'failed';
    if (answer.state === 'failed') answer.error = sentence(error);
  } finally {
    server.loading = null;
    answer.ended = performance.now();
    running = null;
    update(answer);
    keepTalk();
  }
}

const common = answer => ({ model: answer.model, stream: true, stream_options: { include_usage: true },
  return_token_ids: true, verbatim: { logits_digest: true }, ...answer.asked });

function begin(answer) {
  const body = { ...common(answer), messages: messagesUpTo(answer.above), logprobs: true, top_logprobs: 10 };
  if (settings.think && thinks(answer.model)) body.reasoning_effort = settings.think;
  return run(answer, '/v1/chat/completions', body, false);
}

/* Goes on behind the tokens that the answer has. */
function goOn(answer) {
  const { max_completion_tokens: most, ...asked } = answer.asked;
  const body = { ...common({ ...answer, asked }), prompt: [...answer.prompt, ...answer.tokens.map(t => t.id)], logprobs: 10 };
  if (most) body.max_tokens = most;
  return run(answer, '/v1/completions', body, true);
}

async function stop() {
  if (!running) return;
  const { answer, abort } = running;
  abort.abort();
  while (running && running.answer === answer) await new Promise(done => setTimeout(done, 5));
}

/* --- other ways ---------------------------------------------------------------------------------------------- */

const canBranch = answer => answer.prompt !== null && answer.tokens.length > 0;

async function branch(answer, index, choice) {
  await stop();
  const before = answer.tokens.slice(0, index).map(t => ({ ...t, given: true, turned: t.turned }));
  const top = choicesAt(answer.tokens[index]).map(({ id, bytes, logprob }) => ({ id, bytes, logprob }));
  const token = { ...choice, top, given: true, turned: true };
  const other = newAnswer(answer.above, answer.model, answer.asked);
  Object.assign(other, { prompt: answer.prompt, tokens: [...before, token], thinks: answer.thinks, tokensShown: true, from: index });
  [other.thinking, other.text] = splitThinking(other);
  redraw();
  await goOn(other);
}

async function again(answer) {
  await stop();
  const other = newAnswer(answer.above, chosenModel() || answer.model, sampling());
  other.tokensShown = answer.tokensShown;
  redraw();
  await begin(other);
}

/* The same request once more: is every token and every probability the same? */
async function repeat(answer) {
  await stop();
  const kept = answer.tokens.filter(t => t.given), asked = answer.tokens.slice(kept.length);
  const { max_completion_tokens: _, ...rest } = answer.asked;
  const body = { model: answer.model, return_token_ids: true, verbatim: { logits_digest: true }, ...rest, logprobs: 10,
    prompt: [...answer.prompt, ...kept.map(t => t.id)], max_tokens: asked.length };
  answer.check = { state: 'asking' };
  update(answer);
  try {
    const got = await askJson('/v1/completions', body), found = got.choices[0].logprobs.content.map(tokenOf);
    /* the digest of an answer that has been continued is that of its last part */
    const digest = answer.told && answer.kept === kept.length ? answer.told.logits_digest : undefined;
    const other = digest !== undefined && got.verbatim && got.verbatim.logits_digest !== digest;
    const parted = asked.findIndex((t, i) => !found[i] || found[i].id !== t.id || found[i].logprob !== t.logprob ||
      t.top.some((c, k) => !found[i].top[k] || found[i].top[k].id !== c.id || found[i].top[k].logprob !== c.logprob));
    const same = parted < 0 && found.length === asked.length && !other;
    answer.check = { state: same ? 'same' : 'differs', at: parted, n: asked.length, digest };
  } catch (error) {
    answer.check = { state: 'failed', text: sentence(error) };
  }
  update(answer);
}

async function submit(text) {
  await stop();
  const nodes = path(), last = nodes[nodes.length - 1] || root;
  const question = addNode(last, { role: 'user', text });
  const answer = newAnswer(question, chosenModel(), sampling());
  redraw();
  await begin(answer);
}

/* The question in other words, beside the old one. */
async function edit(question, text) {
  await stop();
  const other = addNode(question.above, { role: 'user', text });
  const answer = newAnswer(other, chosenModel(), sampling());
  redraw();
  await begin(answer);
}

/* --- kept between visits ------------------------------------------------------------------------------------- */

/* `whole`: the answers that keep their tokens. */
const packed = (node, whole) => ({ ...node, above: undefined, view: undefined, check: undefined,
  below: node.below.map(b => packed(b, whole)), ...(node.role !== 'assistant' || whole.has(node) ? {} : { tokens: [], prompt: null }) });

const answersBelow = node => node.below.flatMap(b => [...(b.role === 'assistant' ? [b] : []), ...answersBelow(b)]);

/* All words, and the tokens of as many of the newest answers as the browser has room for. */
function keepTalk() {
  const answers = answersBelow(root).sort((a, b) => b.born - a.born);
  let n = answers.length;
  while (!kept.write('talk', packed(root, new Set(answers.slice(0, n)))) && n > 0) n >>= 1;
}

function unpack(node, above) {
  node.above = above;
  if (node.state === 'waiting' || node.state === 'streaming') node.state = 'stopped';
  node.below.forEach(b => unpack(b, node));
  return node;
}

function recall() {
  const talk = kept.read('talk', null);
  try { if (talk) root = unpack(talk, null); } catch { root = { role: 'root', below: [], pick: 0, above: null }; }
}
