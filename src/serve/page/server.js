/* server.js - the models that the server has, the one that is chosen and how it comes into memory, and the server's counts.
 *
 *   /api/tags      what there is           --> the picker
 *   /api/ps        what is in memory       --> a mark beside it, the list in the panel
 *   /events        what happens to models  --> the bar below the picker
 *   /metrics       counts, asked again and again while the page is seen --> rates, a curve, quantiles
 */
'use strict';
const server = { models: [], loaded: new Map(), loading: null, alive: true };

const chosenModel = () => byId('model').value;
const thinks = name => server.models.some(m => m.name === name && m.capabilities && m.capabilities.includes('thinking'));

/* --- the picker --------------------------------------------------------------------------------------------- */

function optionOf(model) {
  const d = model.details, option = make('option', '', shortName(model.name));
  option.value = model.name;
  option.title = [d.parameter_size, d.quantization_level, bytesOf(model.size)].filter(Boolean).join(' · ');
  return option;
}

function fillPicker() {
  const select = byId('model'), before = select.value || kept.read('model', '');
  const talks = server.models.filter(m => !m.capabilities || m.capabilities.includes('completion'));
  const group = (label, models) => {
    const g = make('optgroup', '', ...models.map(optionOf));
    g.label = label;
    return models.length ? g : null;
  };
  const inside = talks.filter(m => server.loaded.has(m.name)), outside = talks.filter(m => !server.loaded.has(m.name));
  const state = JSON.stringify([inside.map(m => m.name), outside.map(m => m.name)]);
  if (select.dataset.state === state) return;
  select.dataset.state = state;
  select.replaceChildren(...[group('in memory', inside), group('on disk', outside)].filter(Boolean));
  const wanted = talks.some(m => m.name === before) ? before : (inside[0] || talks[0] || { name: '' }).name;
  select.value = wanted;
  select.disabled = talks.length === 0;
  byId('nothing').hidden = talks.length > 0 || !server.alive;
  showModel();
}

/* One line under the picker: what the model is, or what happens to it. */
function showModel() {
  const model = server.models.find(m => m.name === chosenModel()), loaded = server.loaded.get(chosenModel());
  const bar = byId('load'), line = byId('model-line');
  byId('think-row').hidden = !thinks(chosenModel());
  bar.hidden = server.loading === null;
  if (server.loading !== null) {
    if (server.loading.progress >= 0) bar.value = server.loading.progress;
    else bar.removeAttribute('value');
    line.textContent = server.loading.text;
  } else if (!server.alive) {
    line.textContent = 'the server does not answer';
  } else if (model) {
    const d = model.details;
    const where = loaded ? `in memory, ${bytesOf(loaded.size)}, context ${loaded.context_length.toLocaleString('en')}`
      : `on disk, ${bytesOf(model.size)}`;
    line.textContent = [d.parameter_size, d.quantization_level, where].filter(Boolean).join(' · ');
  } else {
    line.textContent = '';
  }
}

async function readModels() {
  try {
    const [tags, ps] = await Promise.all([askJson('/api/tags'), askJson('/api/ps')]);
    server.models = tags.models;
    server.loaded = new Map(ps.models.map(m => [m.name, m]));
    server.alive = true;
  } catch (error) {
    server.alive = error instanceof Refusal;
  }
  fillPicker();
  showModel();
  showLoaded();
}

async function readLoaded() {
  const ps = await askJson('/api/ps');
  server.loaded = new Map(ps.models.map(m => [m.name, m]));
  fillPicker();
  showModel();
  showLoaded();
}

/* --- into memory and out of it ------------------------------------------------------------------------------- */

const readingOf = name => ({ progress: -1, text: `reading ${shortName(name)} …` });

async function load(name) {
  if (server.loaded.has(name)) return;
  server.loading = readingOf(name);
  showModel();
  try {
    await askJson('/api/generate', { model: name, stream: false });
  } catch (error) {
    tell(sentence(error));
  }
  server.loading = null;
  await readModels();
}

function heard({ event, data }) {
  if (event === 'status') {
    const works = { checking: 'checking', loading: 'reading' }[data.state];
    server.loading = works ? { progress: data.progress || -1, text: `${works} ${shortName(data.model)} …` } : null;
    showModel();
  }
  if (event === 'model_load' || event === 'model_unload') readModels();
}

/* While the page is seen: a browser has only a few connections for one server, and pages that are not seen hold none. */
async function listen() {
  for (;;) {
    const abort = new AbortController(), hidden = () => { if (document.hidden) abort.abort(); };
    document.addEventListener('visibilitychange', hidden);
    try {
      if (!document.hidden) for await (const event of events(await ask('/events', undefined, abort.signal))) heard(event);
    } catch { /* the server has gone, or the page is not seen any more */ }
    document.removeEventListener('visibilitychange', hidden);
    server.loading = null;
    await new Promise(done => setTimeout(done, 2000));
  }
}

async function unload(name) {
  try {
    await askJson('/api/generate', { model: name, stream: false, keep_alive: 0 });
  } catch (error) {
    tell(sentence(error));
  }
  readModels();
}

function showLoaded() {
  const rows = [...server.loaded.values()].map(m => {
    const left = (Date.parse(m.expires_at) - Date.now()) / 1000;
    const facts = [bytesOf(m.size), m.details.quantization_level, left > 1e7 ? 'stays' : `${seconds(Math.max(0, left))} more`];
    const what = make('span', '', make('b', '', shortName(m.name)), make('small', '', facts.filter(Boolean).join(' · ')));
    return make('li', '', what, button('quiet', 'Unload', `Take ${m.name} out of memory`, () => unload(m.name)));
  });
  byId('loaded').replaceChildren(...(rows.length ? rows : [make('li', 'soft', 'none; the first question loads one')]));
}

/* --- from a registry ----------------------------------------------------------------------------------------- */

let getting = null; /* an AbortController */

function showGetting(line, done, bad) {
  const bar = byId('get-bar');
  byId('get-go').hidden = getting !== null;
  bar.hidden = byId('get-stop').hidden = getting === null;
  if (done >= 0) bar.value = done;
  else bar.removeAttribute('value');
  byId('get-line').textContent = line;
  byId('get-line').className = bad ? 'bad' : '';
}

function oneStep(name, step) {
  if (step.error) throw new Refusal(500, step.error);
  const { status, total, completed = 0 } = step;
  if (total > 0) showGetting(`${name}: ${bytesOf(completed)} of ${bytesOf(total)}`, completed / total, false);
  else showGetting(`${name}: ${status}`, -1, false);
}

/* What has come stays when it is stopped; the next time goes on from there. */
async function get(name) {
  if (getting || name === '') return;
  declined = false;
  getting = new AbortController();
  const { signal } = getting;
  let end = ['', false];
  togglePanel(true);
  byId('get-name').value = name;
  showGetting(`${name}: asking …`, -1, false);
  try {
    for await (const line of pieces(await ask('/api/pull', { model: name }, signal), '\n')) oneStep(name, JSON.parse(line));
    end = [`${name} is here`, false];
  } catch (error) {
    end = signal.aborted ? [`${name}: stopped; what has come is kept`, false] : [`${name}: ${sentence(error)}`, true];
  }
  getting = null;
  showGetting(end[0], 1, end[1]);
  await readModels();
  if (!signal.aborted && !end[1]) byId('get-name').value = '';
  const there = server.models.find(m => m.name === name || m.name === name + ':latest');
  if (there && !signal.aborted && !end[1]) { byId('model').value = there.name; showModel(); }
}

/* --- counts -------------------------------------------------------------------------------------------------- */

/* Prometheus' text: { name: [[labels, value], ...] } */
function readCounts(text) {
  const found = {};
  for (const m of text.matchAll(/^([\w:]+)(?:\{(.*)\})? (\S+)$/gm)) (found[m[1]] = found[m[1]] || []).push([m[2] || '', Number(m[3])]);
  return found;
}

/* The value below which the share lies of what a histogram has counted. */
function quantile(now, name, share) {
  const bound = labels => parseFloat(/le="([^"]+)"/.exec(labels)[1].replace('+Inf', 'Infinity'));
  const rows = (now[name + '_bucket'] || []).map(([labels, n]) => [bound(labels), n]);
  const all = rows.length ? rows[rows.length - 1][1] : 0;
  let from = 0, below = 0;
  if (all === 0) return NaN;
  for (const [to, n] of rows) {
    if (n >= share * all) return to === Infinity ? from : from + (to - from) * (share * all - below) / Math.max(1, n - below);
    [from, below] = [to, n];
  }
  return from;
}

function spread(now, name) {
  const [half, most] = [0.5, 0.95].map(share => quantile(now, name, share));
  return Number.isNaN(half) ? '–' : `${seconds(half)}, p95 ${seconds(most)}`;
}

const counts = { first: null, last: null, at: 0, rates: [] };
const POINTS = 60;

function curve() {
  const svg = byId('curve'), most = Math.max(1, ...counts.rates);
  const at = (r, i) => `${((POINTS - counts.rates.length + i) * 240 / (POINTS - 1)).toFixed(1)} ${(46 - 42 * r / most).toFixed(1)}`;
  const line = counts.rates.map(at).join('L');
  const start = ((POINTS - counts.rates.length) * 240 / (POINTS - 1)).toFixed(1);
  svg.querySelector('.line').setAttribute('d', line ? 'M' + line : '');
  svg.querySelector('.area').setAttribute('d', line ? `M${start} 48L${line}L240 48Z` : '');
  byId('curve-most').textContent = counts.rates.some(r => r > 0) ? `up to ${short(most)}` : '';
}

async function readMetrics() {
  const now = readCounts(await (await ask('/metrics')).text()), at = performance.now(), last = counts.last;
  const value = name => now[name] ? now[name][0][1] : 0;
  const since = name => last && last[name] ? value(name) - last[name][0][1] : 0;
  if (last && value('llamacpp:tokens_predicted_total') >= last['llamacpp:tokens_predicted_total'][0][1]) {
    counts.rates.push(1000 * since('llamacpp:tokens_predicted_total') / (at - counts.at));
    counts.rates = counts.rates.slice(-POINTS);
  } else {
    counts.first = now; /* the first time, or the server began anew */
    counts.rates = [];
  }
  const rate = counts.rates[counts.rates.length - 1] || 0;
  const prompts = 1000 * since('llamacpp:prompt_tokens_total') / (at - counts.at);
  const evaluated = value('llamacpp:prompt_tokens_total'), reused = value('verbatim_reused_tokens_total');
  const told = {
    now: `${short(rate)} tokens/s`, prompts: `${short(last ? prompts : 0)} tokens/s`,
    jobs: `${value('llamacpp:requests_processing')} running, ${value('llamacpp:requests_deferred')} waiting`,
    first: spread(now, 'verbatim_first_token_seconds'), token: spread(now, 'verbatim_token_seconds'),
    tokens: `${value('llamacpp:tokens_predicted_total').toLocaleString('en')} written, ${evaluated.toLocaleString('en')} read`,
    reused: evaluated + reused > 0 ? `${percent(reused / (evaluated + reused))} of prompts` : '–',
    memory: bytesOf(value('verbatim_models_bytes')),
  };
  for (const [name, text] of Object.entries(told)) byId('m-' + name).textContent = text;
  byId('speed').textContent = rate >= 0.05 ? `${short(rate)} tokens/s` : '';
  [counts.last, counts.at] = [now, at];
  curve();
}

/* While the page is seen. */
async function watch() {
  for (;;) {
    if (!document.hidden) {
      try {
        await readMetrics();
        await readLoaded();
        if (!server.alive) await readModels();
      } catch (error) {
        server.alive = error instanceof Refusal;
        showModel();
      }
    }
    await new Promise(done => setTimeout(done, server.alive ? 1500 : 4000));
  }
}
