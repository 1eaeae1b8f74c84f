/* page.js - what the mouse points at, or the keyboard stands on, is told on the right: every choice with its exact logit.
 * The text, the plots and the maps are there without it. Nothing is ever made from text but text nodes.
 */
'use strict';
(() => {
  const data = JSON.parse(document.getElementById('data').textContent);
  const detail = document.getElementById('detail');
  const cases = [...document.querySelectorAll('.case')].map((element, number) => ({
    element, number, data: data.cases[number], cells: [...element.querySelectorAll('.streams .c')],
    plots: [...element.querySelectorAll('svg.margin, svg.drift')], map: element.querySelector('svg.heat'),
  }));
  const place = new Map();
  cases.forEach(c => c.cells.forEach((cell, i) => place.set(cell, [c, i])));
  let kept = null;

  const make = (name, style, ...children) => {
    const element = document.createElement(name);
    if (style) element.className = style;
    element.append(...children.filter(child => child !== null));
    return element;
  };
  const short = value => value === null ? '–' : value === 0 ? '0' : Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5
    ? value.toExponential(3) : value.toPrecision(4).replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '');
  const percent = logprob => {
    if (logprob === null) return '–';
    const p = 100 * Math.exp(logprob);
    return (p >= 99.995 ? '100' : p >= 0.01 ? p.toFixed(2) : '< 0.01') + ' %';
  };
  const float = bits => new Float32Array(new Uint32Array([parseInt(bits, 16)]).buffer)[0];
  /* Nine digits tell every float from its neighbours. */
  const decimal = bits => { const v = float(bits); return Number.isFinite(v) ? String(Number(v.toPrecision(9))) : String(v); };
  const ordered = bits => { const v = parseInt(bits, 16) | 0; return v < 0 ? -2147483648 - v : v; };

  /* --- the panel ------------------------------------------------------------------------------------------ */

  const quoted = text => make('span', 't', text === '' ? '∅' : text);

  function choiceRow(choice, token, other) {
    const [id, bits, logprob, text] = choice;
    const twin = bits && other ? other[6].find(o => o[0] === id && o[1]) : null;
    const bar = make('i');
    bar.style.width = logprob === null ? '0' : Math.min(100, 100 * Math.exp(logprob)) + '%';
    const name = make('td', '', text === null ? make('span', 'given', '#' + id) : quoted(text), make('span', 'bar', bar));
    if (text !== null && id >= 0) name.title = 'token ' + id;
    const logit = make('td', 'n', bits ? decimal(bits) : '–');
    const apart = twin ? ordered(bits) - ordered(twin[1]) : null;
    const row = make('tr', id === token[0] ? 'chosen' : '', name, make('td', 'n', percent(logprob)), logit,
      make('td', 'n', make('code', '', bits || '–')), make('td', 'n', apart === null ? '' : (apart > 0 ? '+' : '') + apart));
    return row;
  }

  function table(token, other) {
    if (!token[6].length) return null;
    const head = make('tr', '', make('th', '', 'choice'), make('th', 'n', 'p'), make('th', 'n', 'logit'), make('th', 'n', 'bits'),
      make('th', 'n', 'ulp'));
    head.lastChild.title = 'units in the last place between the two streams';
    return make('table', '', make('thead', '', head), make('tbody', '', ...token[6].map(c => choiceRow(c, token, other))));
  }

  function pair(list, name, value, style) {
    if (value !== null) list.append(make('dt', '', name), make('dd', style || '', value));
  }

  function stream(c, s, i) {
    const info = c.data.streams[s], token = info.tokens[i], other = c.data.streams[1 - s];
    const title = make('h3', '', make('b', 's' + s, c.data.streams.length > 1 ? 'ab'[s] : '●'), make('span', '', info.name || ''));
    if (!token) return [title, make('p', 'given', 'no token here')];
    const list = make('dl');
    pair(list, 'token', token[0] < 0 ? null : String(token[0]));
    pair(list, 'probability', token[3] === null ? null : (info.bounds ? 'at most ' : '') + percent(token[3]));
    pair(list, 'log-probability', token[3] === null ? null : short(token[3]));
    const low = data.margin !== null && token[4] !== null && token[4] <= data.margin;
    pair(list, 'margin', token[4] === null ? null : short(token[4]) + (low ? ' – open, within the envelope' : ''), low ? 'low' : '');
    pair(list, 'given', token[1] ? 'a token of the prompt' : null);
    pair(list, 'note', token[5]);
    return [title, make('p', 'said', quoted(token[2])), list, table(token, other ? other.tokens[i] : null)];
  }

  function show(c, i) {
    const drift = c.data.drift.length ? c.data.drift[i] : null, outside = data.limit !== null && drift > data.limit;
    const parts = [make('p', 'where', make('span', '', 'position ' + (c.data.from + i)), drift === null ? null
      : make('span', outside ? 'low' : '', `drift ${short(drift)}${outside ? ', outside the envelope' : ''}`))];
    if (c.data.parted >= 0 && c.data.parted !== i) {
      const jump = make('button', '', 'first difference, position ' + (c.data.from + c.data.parted));
      jump.addEventListener('click', () => stand(c, c.data.parted));
      parts.push(make('p', 'jump', jump));
    }
    c.data.streams.forEach((_, s) => parts.push(...stream(c, s, i)));
    detail.replaceChildren(...parts.filter(part => part !== null));
    mark(c, i);
  }

  /* --- plots ---------------------------------------------------------------------------------------------- */

  function mark(c, i) {
    for (const plot of c.plots) {
      const box = plot.viewBox.baseVal, x = (i + 0.5) * box.width / c.cells.length;
      plot.querySelector('.cursor').setAttribute('d', `M${x} 0V${box.height}`);
    }
  }

  const share = (event, part) => {
    const box = event.currentTarget.getBoundingClientRect();
    const at = part === 'x' ? (event.clientX - box.left) / box.width : (event.clientY - box.top) / box.height;
    return Math.min(0.999999, Math.max(0, at));
  };

  function watch(c) {
    for (const plot of c.plots) {
      const index = event => Math.floor(share(event, 'x') * c.cells.length);
      plot.addEventListener('pointermove', event => show(c, index(event)));
      plot.addEventListener('pointerleave', restore);
      plot.addEventListener('click', event => stand(c, index(event)));
    }
    if (!c.map) return;
    const heat = c.data.heat, reading = c.element.querySelector('.reading');
    const cell = event => [Math.floor(share(event, 'x') * heat.columns), Math.floor(share(event, 'y') * heat.layers)];
    const first = column => Math.floor(column * heat.positions / heat.columns);
    c.map.addEventListener('pointermove', event => {
      const [column, layer] = cell(event), k = layer * heat.columns + column;
      const name = heat.names.length ? heat.names[layer] : 'layer ' + layer;
      reading.textContent = `${name}, position ${c.data.from + first(column)}: largest ` +
        `${short(heat.largest.length ? heat.largest[k] : null)}, rms ${short(heat.rms.length ? heat.rms[k] : null)}`;
    });
    c.map.addEventListener('click', event => stand(c, first(cell(event)[0])));
  }

  /* --- walking -------------------------------------------------------------------------------------------- */

  function stand(c, i) {
    if (i < 0 || i >= c.cells.length) return;
    const cell = c.cells[i];
    if (c.element.tagName === 'DETAILS') c.element.open = true;
    if (kept) kept[0].cells[kept[1]].removeAttribute('tabindex');
    kept = [c, i];
    cell.tabIndex = 0;
    cell.scrollIntoView({ block: 'nearest' });
    cell.focus({ preventScroll: true });
    show(c, i);
  }

  function restore() {
    if (kept) show(...kept);
  }

  /* The nearest cell of the next line of text above or below. */
  function line(c, i, step) {
    const from = c.cells[i].getBoundingClientRect(), middle = (from.left + from.right) / 2;
    let best = -1, top = null, least = Infinity;
    for (let k = i + step; k >= 0 && k < c.cells.length; k += step) {
      const box = c.cells[k].getBoundingClientRect();
      if (step > 0 ? box.top < from.bottom - 2 : box.bottom > from.top + 2) continue;
      if (top === null) top = box.top;
      if (Math.abs(box.top - top) > 2) break;
      const far = Math.abs((box.left + box.right) / 2 - middle);
      if (far < least) { least = far; best = k; }
    }
    return best;
  }

  function isMarked(c, i) {
    const limit = data.margin;
    return c.cells[i].querySelector('.x, .note') !== null ||
      limit !== null && c.data.streams.some(s => s.tokens[i] && !s.tokens[i][1] && s.tokens[i][4] !== null && s.tokens[i][4] <= limit);
  }

  function marked(c, i, step) {
    for (let k = i + step; k >= 0 && k < c.cells.length; k += step) if (isMarked(c, k)) return k;
    return -1;
  }

  const keys = {
    ArrowLeft: (c, i) => i - 1, ArrowRight: (c, i) => i + 1, ArrowUp: (c, i) => line(c, i, -1), ArrowDown: (c, i) => line(c, i, 1),
    Home: () => 0, End: c => c.cells.length - 1, d: c => c.data.parted, n: (c, i) => marked(c, i, 1), p: (c, i) => marked(c, i, -1),
  };

  document.addEventListener('keydown', event => {
    const inside = place.get(document.activeElement), key = keys[event.key];
    if (!key || event.ctrlKey || event.metaKey || event.altKey || event.target.closest('input, select, textarea')) return;
    const letter = event.key.length === 1;
    if (!inside && !letter) return;
    const [c, i] = inside || kept || [cases.find(x => x.data.parted >= 0) || cases[0], -1];
    event.preventDefault();
    stand(c, key(c, i));
  });
  document.addEventListener('pointerover', event => {
    const at = place.get(event.target.closest('.streams .c'));
    if (at) show(...at);
  });
  document.addEventListener('pointerout', event => {
    if (place.has(event.target.closest('.streams .c'))) restore();
  });
  document.addEventListener('click', event => {
    const at = place.get(event.target.closest('.streams .c'));
    if (at) stand(...at);
  });
  document.addEventListener('focusin', event => {
    const at = place.get(event.target);
    if (at) show(...at);
  });
  document.querySelectorAll('.overview a').forEach((link, number) =>
    link.addEventListener('click', () => { cases[number].element.open = true; }));

  /* A long text opens where the two part. */
  for (const c of cases) {
    const box = c.element.querySelector('.streams'), cell = c.cells[c.data.parted];
    if (cell && cell.offsetTop > box.clientHeight) box.scrollTop = cell.offsetTop - box.clientHeight / 2;
  }
  cases.forEach(watch);
  const parted = cases.find(c => c.data.parted >= 0);
  const said = cases.length ? cases[0].data.streams[0].tokens.findIndex(token => token && !token[1]) : -1;
  if (parted) show(parted, parted.data.parted);
  else if (said >= 0 && cases.length === 1) show(cases[0], said);
})();
