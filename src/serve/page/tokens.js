/* tokens.js - an answer as its tokens: coloured by how likely each was, what else might have stood there beside it.
 *
 *   hover or focus: the alternatives     click one, or its digit: the answer goes on from there in another way
 *
 * Probabilities are the model's own, before temperature and the other settings. Invariant: one small window for all
 * answers, so that there is never more than one.
 */
'use strict';
const STEPS = [0.9, 0.7, 0.5, 0.3, 0.1, 0.03, 0.01];

const unlikely = p => { let step = 0; while (step < 7 && p < STEPS[step]) step++; return step; };

/* Bytes to what is seen of them: text, with what cannot be seen written out. */
function seen(bytes) {
  const text = new TextDecoder().decode(new Uint8Array(bytes));
  if (text.includes('\ufffd')) return bytes.map(b => '\\x' + b.toString(16).padStart(2, '0')).join('');
  return text;
}
const blanks = text => text.replaceAll('\n', '↵').replaceAll('\t', '⇥').replace(/^ +| +$/g, m => '␣'.repeat(m.length));
const named = bytes => blanks(seen(bytes)) || '∅';

/* The texts of tokens in a row: a character of several tokens stands in the last of them. */
function textsOf(tokens) {
  const decoder = new TextDecoder();
  return tokens.map((t, i) => decoder.decode(new Uint8Array(t.bytes), { stream: i + 1 < tokens.length }));
}

/* The choices of a place that are worth seeing: the likeliest first, some in any case, the one that was taken among them. */
function choicesAt(token) {
  const all = token.top.some(c => c.id === token.id) ? token.top : [...token.top, token];
  return [...all].sort((a, b) => b.logprob - a.logprob).filter((c, i) => i < 5 || c.id === token.id || Math.exp(c.logprob) >= 0.001);
}

/* --- the row of tokens --------------------------------------------------------------------------------------- */

function showTokens(element, answer) {
  const texts = textsOf(answer.tokens), shown = element.childNodes.length;
  const from = Math.max(0, Math.min(shown, answer.tokens.length) - 1); /* the last one's text may have grown */
  while (element.childNodes.length > from) element.lastChild.remove();
  for (let i = from; i < texts.length; i++) {
    const t = answer.tokens[i], p = Math.exp(t.logprob), ends = answer.ends && i === texts.length - 1;
    const cell = make('span', `t${t.given ? ' given' : ''} q${unlikely(p)}${t.turned ? ' turned' : ''}${ends ? ' ends' : ''}`,
      texts[i] === '' ? '·' : ends ? named(t.bytes) : texts[i]);
    cell.tabIndex = i === 0 ? 0 : -1;
    cell.role = 'button';
    cell.ariaLabel = `${named(t.bytes)}, ${percent(p)}`;
    element.append(cell);
  }
}

const indexOf = cell => [...cell.parentNode.childNodes].indexOf(cell);

/* The nearest cell of the next line above or below. */
function lineAway(cell, step) {
  const from = cell.getBoundingClientRect(), middle = (from.left + from.right) / 2;
  let best = null, top = null, least = Infinity;
  for (let c = cell; (c = step > 0 ? c.nextSibling : c.previousSibling);) {
    const box = c.getClientRects()[0];
    if (!box || (step > 0 ? box.top < from.bottom - 4 : box.bottom > from.top + 4)) continue;
    if (top === null) top = box.top;
    if (Math.abs(box.top - top) > 4) break;
    const far = Math.abs((box.left + box.right) / 2 - middle);
    if (far < least) [least, best] = [far, c];
  }
  return best;
}

/* --- the window ---------------------------------------------------------------------------------------------- */

const peek = { answer: null, index: -1, cell: null, held: false, timer: 0 };

function choiceRow(choice, number, token, branch) {
  const p = Math.exp(choice.logprob), bar = make('i', '');
  bar.style.width = Math.max(0.5, Math.min(100, 100 * p)) + '%';
  const row = button('choice' + (choice.id === token.id ? ' taken' : ''), '', '', () => branch(choice));
  row.append(make('kbd', '', number <= 9 ? String(number) : ''), make('span', 'what', named(choice.bytes)), make('span', 'p', percent(p)),
    make('span', 'bar', bar));
  row.title = `token ${choice.id}, log-probability ${choice.logprob.toFixed(4)}`;
  return row;
}

function openPeek(cell) {
  const row = cell.closest('.tokens'), answer = row && row.answer, box = byId('peek');
  if (!answer) return;
  const index = indexOf(cell), token = answer.tokens[index];
  if (peek.cell) peek.cell.classList.remove('open');
  Object.assign(peek, { answer, index, cell });
  cell.classList.add('open');
  const go = choice => { closePeek(); branch(answer, index, choice); };
  const head = make('p', 'head', make('b', '', named(token.bytes)), make('span', '', percent(Math.exp(token.logprob))),
    make('small', '', `token ${token.id}`));
  box.replaceChildren(head, make('div', 'choices', ...choicesAt(token).map((c, i) => choiceRow(c, i + 1, token, go))),
    make('small', 'hint', 'choose one: the answer goes on from there'));
  box.hidden = false;
  placePeek();
}

/* Beside its token, wherever that has gone. */
function placePeek() {
  const box = byId('peek');
  if (!peek.cell) return;
  const at = peek.cell.getClientRects()[0] || peek.cell.getBoundingClientRect(), own = box.getBoundingClientRect();
  const below = at.bottom + own.height + 10 < innerHeight || at.top < own.height + 10;
  box.style.left = Math.max(8, Math.min(at.left - 12, innerWidth - own.width - 8)) + 'px';
  box.style.top = (below ? at.bottom + 6 : at.top - own.height - 6) + 'px';
}

function closePeek() {
  clearTimeout(peek.timer);
  if (peek.cell) peek.cell.classList.remove('open');
  byId('peek').hidden = true;
  Object.assign(peek, { answer: null, index: -1, cell: null, held: false });
}

/* Leaves time to go from the token to the window. */
function closeSoon() {
  clearTimeout(peek.timer);
  if (!peek.held) peek.timer = setTimeout(closePeek, 180);
}

function watchTokens(thread) {
  const box = byId('peek'), cellOf = event => event.target.closest ? event.target.closest('.tokens .t') : null;
  thread.addEventListener('pointermove', event => { /* not pointerover: text that moves under the pointer asks for nothing */
    const cell = cellOf(event);
    if (!cell || peek.held) return;
    clearTimeout(peek.timer);
    if (cell !== peek.cell) openPeek(cell);
  });
  thread.addEventListener('pointerout', event => { if (cellOf(event)) closeSoon(); });
  box.addEventListener('pointerenter', () => clearTimeout(peek.timer));
  box.addEventListener('pointerleave', closeSoon);
  thread.addEventListener('click', event => {
    const cell = cellOf(event);
    if (!cell) return;
    standOn(cell);
    peek.held = true;
  });
  thread.addEventListener('focusin', event => { const cell = cellOf(event); if (cell) openPeek(cell); });
  document.addEventListener('pointerdown', event => {
    if (!event.target.closest('#peek, .tokens .t')) closePeek();
  });
  addEventListener('scroll', placePeek, { capture: true, passive: true });
  addEventListener('resize', placePeek);
}

function standOn(cell) {
  for (const other of cell.parentNode.querySelectorAll('[tabindex="0"]')) other.tabIndex = -1;
  cell.tabIndex = 0;
  cell.focus({ preventScroll: true });
  cell.scrollIntoView({ block: 'nearest' });
  openPeek(cell);
}

/* Keys on a token. 1: done with it. */
function tokenKey(event) {
  const cell = document.activeElement.closest ? document.activeElement.closest('.tokens .t') : null;
  if (!cell) return false;
  const to = { ArrowLeft: () => cell.previousSibling, ArrowRight: () => cell.nextSibling, ArrowUp: () => lineAway(cell, -1),
    ArrowDown: () => lineAway(cell, 1), Home: () => cell.parentNode.firstChild, End: () => cell.parentNode.lastChild }[event.key];
  if (to) {
    const next = to();
    if (next) standOn(next);
    return true;
  }
  if (event.key === 'Enter' || event.key === ' ') {
    openPeek(cell);
    peek.held = true;
    byId('peek').querySelector('.choice').focus();
    return true;
  }
  if (/^[1-9]$/.test(event.key) && peek.answer) {
    const choice = choicesAt(peek.answer.tokens[peek.index])[Number(event.key) - 1], { answer, index } = peek;
    if (choice) { closePeek(); branch(answer, index, choice); }
    return true;
  }
  return false;
}

/* Keys within the window. */
function peekKey(event) {
  const rows = [...byId('peek').querySelectorAll('.choice')], at = rows.indexOf(document.activeElement);
  if (at < 0) return false;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step) return false;
  rows[(at + step + rows.length) % rows.length].focus();
  return true;
}
