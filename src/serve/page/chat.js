/* chat.js - the conversation as it is seen, the line one writes in, and the keys. */
'use strict';
let wantsTokens = kept.read('tokens', false);
let follows = true; /* the end stays in view while it grows */

function tell(text) {
  const toast = byId('toast');
  toast.textContent = text;
  toast.hidden = false;
  clearTimeout(tell.timer);
  tell.timer = setTimeout(() => { toast.hidden = true; }, 6000);
}

/* --- messages ------------------------------------------------------------------------------------------------ */

function versions(node) {
  const all = node.above.below, at = all.indexOf(node);
  if (all.length < 2) return null;
  const go = step => () => {
    node.above.pick = (at + step + all.length) % all.length;
    keepTalk();
    redraw(node.above.below[node.above.pick]);
  };
  const before = button('quiet', '‹', 'The one before', go(-1)), after = button('quiet', '›', 'The next one', go(1));
  return make('span', 'versions', before, make('span', '', `${at + 1} of ${all.length}`), after);
}

function questionView(node) {
  const text = make('div', 'said', node.text), actions = make('div', 'actions');
  const element = make('article', 'message user', make('h2', 'sr', 'You'), text, actions);
  const change = button('quiet', 'Edit', 'Ask in other words', () => {
    const area = make('textarea', '', node.text), save = button('main', 'Ask', '', () => {
      if (area.value.trim() !== '') edit(node, area.value.trim());
    });
    area.value = node.text;
    area.rows = Math.min(12, node.text.split('\n').length + 1);
    area.ariaLabel = 'Your question';
    const form = make('div', 'edit', area, make('div', 'row', save, button('quiet', 'Leave it', '', () => redraw(node))));
    element.replaceChildren(form);
    area.focus();
  });
  actions.append(...[versions(node), change, copyButton(() => node.text)].filter(Boolean));
  return { element, update() {} };
}

function facts(answer) {
  const made = answer.tokens.length - (answer.kept || 0), took = ((answer.ended || performance.now()) - answer.first) / 1000;
  const list = [shortName(answer.model)];
  if (answer.from !== undefined) list.push(`another way from token ${answer.from + 1}`);
  if (made > 0) list.push(count(made, 'token'));
  if (made > 8 && answer.first && took > 0.2) list.push(`${short((made - 1) / took)}/s`);
  if (answer.first && answer.began) list.push(`first after ${seconds((answer.first - answer.began) / 1000)}`);
  list.push(`seed ${answer.asked.seed}`);
  if (answer.state === 'stopped') list.push('stopped');
  if (answer.reason === 'length') list.push('cut by its limit');
  return list.join(' · ');
}

function answerActions(answer) {
  const list = [versions(answer)], busy = answer.state === 'waiting' || answer.state === 'streaming';
  if (canBranch(answer)) {
    const shown = button('quiet toggle', 'Tokens', 'How likely each token was, and what else might have stood there (t)', () => {
      wantsTokens = answer.tokensShown = !answer.tokensShown;
      kept.write('tokens', wantsTokens);
      closePeek();
      update(answer);
    });
    shown.ariaPressed = String(Boolean(answer.tokensShown));
    list.push(shown);
  }
  if (!busy) {
    list.push(copyButton(() => answer.text), button('quiet', 'Again', 'Another answer, by the settings of now', () => again(answer)));
    if (!canBranch(answer)) return list.filter(Boolean);
    const why = 'Ask exactly the same again and compare every token and probability';
    list.push(button('quiet', 'Same bits?', why, () => repeat(answer)));
    if (!answer.ends && (answer.reason === 'length' || answer.state === 'stopped'))
      list.push(button('quiet', 'Go on', 'Continue where it ended', () => goOn(answer)));
  }
  return list.filter(Boolean);
}

function checkLine(check) {
  if (!check) return ['', ''];
  if (check.state === 'asking') return ['', 'asking the same again …'];
  if (check.state === 'failed') return ['bad', check.text];
  const logits = check.digest ? `, and every logit behind them (digest ${check.digest})` : ', each with every probability beside it';
  if (check.state === 'same') return ['good', `the same bits: ${count(check.n, 'token')}${logits}`];
  return ['bad', check.at < 0 ? 'differs in its logits' : `differs at token ${check.at + 1}`];
}

function detailsOf(answer) {
  const list = make('dl', ''), put = (name, value) => { if (value) list.append(make('dt', '', name), make('dd', '', value)); };
  put('fingerprint', answer.fingerprint);
  put('trace', answer.told && answer.told.trace && String(answer.told.trace));
  put('logits', answer.told && answer.told.logits_digest);
  put('prompt', answer.prompt && `${count(answer.prompt.length, 'token')}, below`);
  put('ignored', answer.told && answer.told.ignored && answer.told.ignored.join(', '));
  put('settings', Object.entries(answer.asked).map(([k, v]) => `${k} ${v}`).join(', '));
  return list;
}

function answerView(answer) {
  const thought = make('div', 'md'), thinking = make('details', 'thinking', make('summary', '', 'Thinking'), thought);
  const text = make('div', 'md said'), tokens = make('div', 'tokens'), legend = make('p', 'legend', 'probability below ');
  STEPS.forEach((step, i) => legend.append(make('span', `t q${i + 1}`, `${100 * step} %`)));
  const error = make('p', 'error'), actions = make('div', 'actions'), check = make('p', 'check');
  const info = make('details', 'info', make('summary', '', ''), make('dl', '')), given = make('pre', 'given-text');
  const element = make('article', 'message assistant', make('h2', 'sr', 'Answer'), thinking, text, legend, tokens, error, actions, info,
    check);
  given.tabIndex = 0;
  given.ariaLabel = 'what the model was given';
  info.append(given);
  info.addEventListener('toggle', async () => { /* the very tokens, as text with the control tokens in it */
    if (!info.open || !answer.prompt) return;
    try {
      given.textContent = (await askJson('/detokenize', { model: answer.model, tokens: answer.prompt })).content;
    } catch (error) { tell(sentence(error)); }
  });
  let actionsFor = '', opened = null; /* by hand; null: open as long as nothing else is to be seen */
  thinking.firstChild.addEventListener('click', () => { opened = !thinking.open; });
  tokens.answer = answer;
  tokens.role = 'group';
  tokens.ariaLabel = 'tokens; arrow keys move, Enter shows what else might have stood there';
  check.role = 'status';
  return {
    element,
    update() {
      const shows = answer.tokensShown && answer.tokens.length > 0;
      element.classList.toggle('streaming', answer.state === 'waiting' || answer.state === 'streaming');
      element.ariaBusy = String(answer.state === 'streaming');
      thinking.hidden = answer.thinking === '' || shows;
      thinking.open = opened ?? (answer.text === '' && answer.state === 'streaming');
      text.hidden = shows || answer.text === '';
      legend.hidden = tokens.hidden = !shows;
      if (!thinking.hidden) showMarkdown(thought, answer.thinking);
      if (!text.hidden) showMarkdown(text, answer.text);
      if (shows) showTokens(tokens, answer);
      error.hidden = !answer.error;
      error.textContent = answer.error || '';
      const { tokensShown, ends, reason } = answer;
      const state = JSON.stringify([answer.above.below.length, canBranch(answer), tokensShown, answer.state, reason, ends]);
      if (state !== actionsFor) actions.replaceChildren(...answerActions(answer)); /* a button that is just pressed stays */
      actionsFor = state;
      info.hidden = answer.state === 'waiting';
      info.firstChild.textContent = facts(answer);
      info.children[1].replaceWith(detailsOf(answer));
      [check.className, check.textContent] = checkLine(answer.check);
      check.classList.add('check');
    },
  };
}

/* --- drawing ------------------------------------------------------------------------------------------------- */

let due = null;

/* The answer has changed: shown with the next frame. */
function update(answer) {
  if (due) { due.add(answer); return; }
  due = new Set([answer]);
  requestAnimationFrame(() => {
    const answers = due;
    due = null;
    answers.forEach(a => { if (a.view && a.view.element.isConnected) a.view.update(); });
    afterDrawing();
  });
}

function afterDrawing() {
  const busy = running !== null;
  byId('send').hidden = busy;
  byId('stop').hidden = !busy;
  byId('welcome').hidden = path().length > 0;
  document.body.classList.toggle('empty', path().length === 0);
  if (follows) byId('scroll').scrollTop = byId('scroll').scrollHeight;
}

function redraw(focus) {
  closePeek();
  const views = path().map(node => {
    node.view = node.role === 'user' ? questionView(node) : answerView(node);
    node.view.update();
    return node.view.element;
  });
  byId('thread').replaceChildren(...views);
  afterDrawing();
  if (focus && focus.view) {
    focus.view.element.scrollIntoView({ block: 'nearest' });
    const b = focus.view.element.querySelector('.versions button');
    if (b) b.focus({ preventScroll: true });
  }
}

/* --- the line one writes in ---------------------------------------------------------------------------------- */

function grow() {
  const area = byId('question');
  area.style.height = 'auto';
  area.style.height = Math.min(area.scrollHeight + 2, innerHeight * 0.4) + 'px';
}

function send() {
  const area = byId('question'), text = area.value.trim();
  if (text === '') return;
  declined = false;
  if (!chosenModel()) { readModels(); tell('There is no model yet.'); return; }
  area.value = '';
  grow();
  follows = true;
  submit(text);
}

function newTalk() {
  stop().then(() => {
    root = { role: 'root', below: [], pick: 0, above: null };
    keepTalk();
    redraw();
    byId('question').focus();
  });
}

function togglePanel(open) {
  const shown = document.body.classList.toggle('panel', open);
  byId('panel-toggle').ariaExpanded = String(shown);
  kept.write('panel', shown);
}

function onKey(event) {
  if (event.isComposing || event.ctrlKey || event.metaKey || byId('key-dialog').open) return;
  const writes = event.target.closest('input, textarea, select');
  if (event.altKey) {
    const act = { n: newTalk, s: () => togglePanel(), m: () => byId('model').focus() }[event.key];
    if (act) { event.preventDefault(); act(); }
  } else if (event.key === 'Escape') {
    const cell = peek.cell;
    if (!byId('peek').hidden) { closePeek(); if (cell) { cell.focus({ preventScroll: true }); closePeek(); } } else stop();
  } else if (!writes && (tokenKey(event) || peekKey(event))) {
    event.preventDefault();
  } else if (!writes && event.key === '/') {
    event.preventDefault();
    byId('question').focus();
  } else if (!writes && event.key === 't') {
    const answers = path().filter(n => n.role === 'assistant' && canBranch(n)), last = answers[answers.length - 1];
    if (!last) return;
    wantsTokens = last.tokensShown = !last.tokensShown;
    kept.write('tokens', wantsTokens);
    last.view.update();
    if (last.tokensShown) standOn(last.view.element.querySelector('.tokens .t'));
  }
}

function start() {
  recall();
  fillSettings();
  togglePanel(kept.read('panel', innerWidth > 1100));
  byId('composer').addEventListener('submit', event => { event.preventDefault(); send(); });
  byId('question').addEventListener('input', grow);
  byId('question').addEventListener('keydown', event => {
    if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) { event.preventDefault(); send(); }
  });
  byId('stop').addEventListener('click', stop);
  byId('new').addEventListener('click', newTalk);
  byId('panel-toggle').addEventListener('click', () => togglePanel());
  byId('panel-close').addEventListener('click', () => togglePanel(false));
  byId('model').addEventListener('change', () => { kept.write('model', chosenModel()); showModel(); load(chosenModel()); });
  byId('scroll').addEventListener('scroll', () => {
    const box = byId('scroll');
    follows = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  }, { passive: true });
  byId('get').addEventListener('submit', event => { event.preventDefault(); get(byId('get-name').value.trim()); });
  byId('get-stop').addEventListener('click', () => { if (getting) getting.abort(); });
  document.querySelectorAll('.get').forEach(b => b.addEventListener('click', () => get(b.textContent)));
  document.querySelectorAll('.example').forEach(b => b.addEventListener('click', () => {
    byId('question').value = b.textContent;
    send();
  }));
  document.addEventListener('keydown', onKey);
  watchTokens(byId('thread'));
  redraw();
  readModels().then(() => { watch(); listen(); });
  byId('question').focus();
}
start();
