/* settings.js - how answers are chosen. A setting is a row of the table; the form, what is kept and what is asked follow. */
'use strict';
const SETTINGS = [
  { key: 'temperature', name: 'Temperature', least: 0, most: 2, step: 0.05, value: 0.7,
    help: '0: always the likeliest token. Higher: more surprise.' },
  { key: 'top_p', name: 'Top p', least: 0.05, most: 1, step: 0.05, value: 0.95,
    help: 'Only the likeliest tokens that together have this probability.' },
  { key: 'top_k', name: 'Top k', least: 0, most: 200, step: 1, value: 40, help: 'Only the k likeliest tokens. 0: all.' },
  { key: 'min_p', name: 'Min p', least: 0, most: 0.5, step: 0.01, value: 0,
    help: 'Only tokens at least this likely beside the likeliest.' },
  { key: 'repeat_penalty', name: 'Repeat penalty', least: 0.8, most: 1.6, step: 0.05, value: 1,
    help: 'Above 1: tokens of the last 64 become less likely.' },
  { key: 'max_completion_tokens', name: 'Longest answer', least: 1, most: 1000000, step: 1, value: null, empty: 'no limit',
    help: 'In tokens. Empty: until the model ends, or its context does.' },
  { key: 'seed', name: 'Seed', least: 0, most: 9007199254740991, step: 1, value: null, empty: 'a new one',
    help: 'The same seed, question and model: the same answer, bit for bit, on any machine.' },
];

const settings = { system: '', think: '', ...kept.read('settings', {}) };

function settingRow(setting, changed) {
  const { key, least, most, step, empty } = setting;
  const number = make('input', ''), label = make('label', '', setting.name), slider = empty ? null : make('input', '');
  number.type = 'number';
  number.id = 'set-' + key;
  label.htmlFor = number.id;
  if (empty) number.placeholder = empty;
  for (const input of slider ? [number, slider] : [number]) Object.assign(input, { min: least, max: most, step });
  if (slider) {
    slider.type = 'range';
    slider.ariaLabel = setting.name;
    slider.addEventListener('input', () => take(slider.valueAsNumber));
  }
  const help = make('small', '', setting.help);
  help.id = 'help-' + key;
  number.setAttribute('aria-describedby', help.id);
  const show = () => {
    number.value = settings[key] ?? '';
    if (slider) slider.value = settings[key];
    row.classList.toggle('changed', settings[key] !== setting.value);
  };
  const take = value => {
    const fits = Number.isFinite(value) && value >= least && value <= most;
    settings[key] = fits ? (step === 1 ? Math.round(value) : Number(value.toPrecision(6))) : setting.value;
    show();
    changed();
  };
  number.addEventListener('change', () => take(number.value === '' ? NaN : number.valueAsNumber));
  const row = make('div', 'setting' + (slider ? ' slides' : ''), label, slider, number, help);
  row.title = setting.help;
  if (!(key in settings)) settings[key] = setting.value;
  show();
  return { row, reset: () => take(setting.value ?? NaN) };
}

function fillSettings() {
  const changed = () => kept.write('settings', settings);
  const rows = SETTINGS.map(setting => settingRow(setting, changed)), system = byId('system');
  byId('settings').append(...rows.map(r => r.row));
  system.value = settings.system;
  system.addEventListener('input', () => { settings.system = system.value; changed(); });
  const think = byId('think');
  think.value = settings.think;
  think.addEventListener('change', () => { settings.think = think.value; changed(); });
  byId('reset').addEventListener('click', () => {
    rows.forEach(r => r.reset());
    settings.system = system.value = settings.think = think.value = '';
    changed();
  });
}

/* What a request says; a seed always, so that the answer can be had again. */
function sampling() {
  const asked = {};
  for (const { key } of SETTINGS) if (settings[key] !== null) asked[key] = settings[key];
  if (asked.seed === undefined) asked.seed = crypto.getRandomValues(new Uint32Array(1))[0];
  return asked;
}
