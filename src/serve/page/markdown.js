/* markdown.js - the Markdown that models write, as elements.
 *
 *   text --blocks--> ["# Title", "A paragraph", "```c\n...", ...] --one element each--> only those that changed are made anew
 *
 * A text that still grows is a text like any other: a fence that is not closed yet is a fence up to the end. HTML in it
 * is text; a link is one only to http, https or mailto.
 */
'use strict';
const FENCE = /^ {0,3}(?:(`{3,})([^`]*)|(~{3,})(.*))$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?: +|$)(.*)$/;
const HEAD = /^ {0,3}(#{1,6})(?:\s+(.*))?$/;
const QUOTE = /^ {0,3}>/;
const RULE = /^ {0,3}([-*_])( *\1){2,} *$/;
const TABLE_RULE = /^ *\|? *:?-+:? *(\| *:?-+:? *)*\|? *$/;
const DEEPEST = 8; /* lists in quotes in lists, emphasis in emphasis */

const blank = line => line === undefined || line.trim() === '';
const beginsTable = (line, next) => line.includes('|') && next !== undefined && next.includes('-') && TABLE_RULE.test(next);
const endsParagraph = (line, next) => blank(line) || FENCE.test(line) || HEAD.test(line) || QUOTE.test(line) || RULE.test(line) ||
  ITEM.test(line) || beginsTable(line, next);

function isFenceEnd(first, line) {
  const m = FENCE.exec(first), mark = m[1] || m[3], bare = line.trim();
  return bare.length >= mark.length && bare === mark[0].repeat(bare.length);
}

/* Where the block that begins at line i ends. */
function blockEnd(lines, i) {
  const line = lines[i];
  let k = i + 1;
  if (FENCE.test(line)) {
    while (k < lines.length && !isFenceEnd(line, lines[k])) k++;
    return Math.min(k + 1, lines.length);
  }
  if (HEAD.test(line) || RULE.test(line)) return k;
  if (QUOTE.test(line)) {
    while (k < lines.length && !blank(lines[k])) k++;
    return k;
  }
  if (ITEM.test(line)) {
    const first = ITEM.exec(line), kind = m => /\d/.test(m[2]);
    const another = m => m[1].length <= first[1].length + 1 && kind(m) !== kind(first); /* a list of its own */
    const belongs = at => {
      const m = at < lines.length ? ITEM.exec(lines[at]) : null;
      return m ? !another(m) : at < lines.length && /^ {2,}\S/.test(lines[at]);
    };
    const goesOn = at => blank(lines[at]) ? belongs(at + 1) : !blank(lines[at - 1]) && !endsParagraph(lines[at], lines[at + 1]);
    while (k < lines.length && (belongs(k) || goesOn(k))) k++;
    return k;
  }
  if (beginsTable(line, lines[k])) {
    while (k < lines.length && lines[k].includes('|')) k++;
    return k;
  }
  while (k < lines.length && !endsParagraph(lines[k], lines[k + 1])) k++;
  return k;
}

function blocks(text) {
  const lines = text.replace(/\r\n?/g, '\n').split('\n'), found = [];
  for (let i = 0; i < lines.length;) {
    if (blank(lines[i])) { i++; continue; }
    const end = blockEnd(lines, i);
    found.push(lines.slice(i, end).join('\n'));
    i = end;
  }
  return found;
}

/* --- within a line ------------------------------------------------------------------------------------------ */

const LINK = /\[([^\]\n]{1,500})\]\(((?:https?:\/\/|mailto:)[^\s)]{1,2000})(?: "[^"\n]{0,300}")?\)/y;
const ADDRESS = /https?:\/\/[^\s<>"'`]{0,2000}[^\s<>"'`.,:;!?)\]]/y;
const MARKS = [['***', 'strong', 'em'], ['**', 'strong'], ['__', 'strong'], ['~~', 's'], ['*', 'em'], ['_', 'em']];
const word = c => c !== undefined && /[\p{L}\p{N}]/u.test(c);

function link(to, children) {
  const a = make('a', '', ...children);
  a.href = to;
  a.rel = 'noopener noreferrer';
  a.target = '_blank';
  return a;
}

/* Where the mark that was opened before `from` is closed, -1: nowhere. What was not found once is not looked for again,
 * so that the time is linear whatever is written. */
function closing(text, from, mark, none) {
  if (none[mark]) return -1;
  for (let at = text.indexOf(mark, from); at >= 0; at = text.indexOf(mark, at + 1)) {
    if (/\s/.test(text[at - 1]) || text[at - 1] === '\\') continue;
    if (mark.length === 1 && (text[at + 1] === mark || text[at - 1] === mark)) { at++; continue; }
    if (mark[0] === '_' && word(text[at + mark.length])) continue;
    if (at > from) return at;
  }
  none[mark] = true;
  return -1;
}

function codeEnd(text, from, ticks, none) {
  if (none[ticks]) return -1;
  for (let at = text.indexOf(ticks, from); at >= 0;) {
    let end = at;
    while (text[end] === '`') end++;
    if (end - at === ticks.length) return at;
    at = text.indexOf(ticks, end);
  }
  none[ticks] = true;
  return -1;
}

/* What begins at i, as [element, where it ends]; null: nothing but text. */
function construct(text, i, none, depth) {
  const c = text[i];
  if (c === '`') {
    const ticks = /`+/.exec(text.slice(i, i + 100))[0], end = codeEnd(text, i + ticks.length, ticks, none);
    if (end < 0) return [ticks, i + ticks.length];
    const code = text.slice(i + ticks.length, end);
    return [make('code', '', /^ .*\S.* $/s.test(code) ? code.slice(1, -1) : code), end + ticks.length];
  }
  if (c === '[' || c === 'h') {
    const pattern = c === '[' ? LINK : ADDRESS;
    pattern.lastIndex = i;
    const m = c === 'h' && word(text[i - 1]) ? null : pattern.exec(text);
    return m ? [link(m[2] || m[0], m[2] ? inline(m[1], depth + 1) : [m[0]]), i + m[0].length] : null;
  }
  for (const [mark, name, within] of MARKS) {
    const inside = i + mark.length;
    if (!text.startsWith(mark, i) || inside >= text.length || /\s/.test(text[inside]) || text[inside] === mark[0]) continue;
    if (mark[0] === '_' && word(text[i - 1])) continue;
    const end = closing(text, inside, mark, none);
    if (end < 0) continue;
    const children = inline(text.slice(inside, end), depth + 1);
    return [make(name, '', ...(within ? [make(within, '', ...children)] : children)), end + mark.length];
  }
  return null;
}

function inline(text, depth = 0) {
  const out = [], none = {};
  let plain = '';
  const put = node => { if (plain) out.push(plain); plain = ''; out.push(node); };
  if (depth > DEEPEST) return [text];
  for (let i = 0; i < text.length;) {
    const c = text[i];
    if (c === '\\' && /[!-/:-@[-`{-~]/.test(text[i + 1] || '')) {
      plain += text[i + 1];
      i += 2;
    } else if (c === '\n') {
      plain = plain.trimEnd();
      put(make('br', ''));
      i++;
    } else {
      const found = '`[h*_~'.includes(c) ? construct(text, i, none, depth) : null;
      if (found === null) { plain += c; i++; }
      else if (typeof found[0] === 'string') { plain += found[0]; i = found[1]; }
      else { put(found[0]); i = found[1]; }
    }
  }
  if (plain) out.push(plain);
  return out;
}

/* --- blocks ------------------------------------------------------------------------------------------------- */

function codeBlock(source) {
  const lines = source.split('\n'), m = FENCE.exec(lines[0]), name = (m[2] || m[4] || '').trim().split(/\s/)[0];
  const closed = lines.length > 1 && isFenceEnd(lines[0], lines[lines.length - 1]);
  const code = make('code', '', lines.slice(1, closed ? -1 : undefined).join('\n'));
  const pre = make('pre', '', code);
  pre.tabIndex = 0;
  return make('figure', 'code', make('figcaption', '', make('span', '', name || 'code'), copyButton(() => code.textContent)), pre);
}

function copyButton(text) {
  const b = button('quiet', 'Copy', '', async () => {
    try {
      await navigator.clipboard.writeText(text());
      b.textContent = 'Copied';
    } catch {
      b.textContent = 'Select and copy';
    }
    setTimeout(() => { b.textContent = 'Copy'; }, 1500);
  });
  return b;
}

function tableBlock(lines) {
  const cells = line => line.trim().replace(/^\||\|$/g, '').split(/(?<!\\)\|/).map(cell => cell.trim().replaceAll('\\|', '|'));
  const sides = cells(lines[1]).map(c => c.endsWith(':') ? c.startsWith(':') ? 'mid' : 'right' : '');
  const row = (line, name) => make('tr', '', ...cells(line).map((cell, i) => make(name, sides[i] || '', ...inline(cell))));
  return make('div', 'wide', make('table', '', make('thead', '', row(lines[0], 'th')),
    make('tbody', '', ...lines.slice(2).map(line => row(line, 'td')))));
}

/* Items with what is indented below them; a list within an item is one of its blocks. */
function listBlock(lines, depth) {
  const first = ITEM.exec(lines[0]), numbered = /\d/.test(first[2]), margin = first[1].length;
  const list = make(numbered ? 'ol' : 'ul', ''), items = [];
  if (numbered && parseInt(first[2], 10) !== 1) list.start = parseInt(first[2], 10);
  let indent = 0;
  for (const line of lines) {
    const m = ITEM.exec(line);
    if (m && m[1].length <= margin + 1) {
      indent = line.length - m[3].length;
      items.push([m[3]]);
    } else {
      items[items.length - 1].push(line.slice(Math.min(line.length - line.trimStart().length, indent)));
    }
  }
  list.append(...items.map(item => itemOf(item, depth)));
  return list;
}

function itemOf(lines, depth) {
  const task = /^\[([ xX])\] /.exec(lines[0]), item = make('li', '');
  if (task) {
    lines[0] = lines[0].slice(4);
    item.append(task[1] === ' ' ? '☐ ' : '☑ ');
  }
  blocks(lines.join('\n')).forEach((part, i) => {
    const built = block(part, depth + 1);
    if (i === 0 && built.tagName === 'P') item.append(...built.childNodes);
    else item.append(built);
  });
  return item;
}

function block(source, depth = 0) {
  const lines = source.split('\n'), head = lines.length === 1 ? HEAD.exec(source) : null;
  if (FENCE.test(lines[0])) return codeBlock(source);
  if (depth > DEEPEST) return make('p', '', source);
  if (head) return make('h' + Math.min(6, head[1].length + 2), '', ...inline((head[2] || '').replace(/\s#+\s*$/, '')));
  if (RULE.test(lines[0]) && lines.length === 1) return make('hr', '');
  if (QUOTE.test(lines[0])) {
    const inside = lines.map(line => line.replace(/^ {0,3}> ?/, '')).join('\n');
    return make('blockquote', '', ...blocks(inside).map(part => block(part, depth + 1)));
  }
  if (ITEM.test(lines[0])) return listBlock(lines, depth);
  if (beginsTable(lines[0], lines[1])) return tableBlock(lines);
  return make('p', '', ...inline(source));
}

/* Shows the text in the element; what has not changed since the last time stays as it is, with its selection. */
function showMarkdown(element, text) {
  const parts = blocks(text), old = element.parts || [];
  let same = 0;
  while (same < parts.length && same < old.length && parts[same] === old[same]) same++;
  while (element.childNodes.length > same) element.lastChild.remove();
  for (const part of parts.slice(same)) element.append(block(part));
  element.parts = parts;
}
