/* dom.js - elements made by code, numbers written for people. Nothing is ever made from text but text nodes. */
'use strict';
const byId = id => document.getElementById(id);

function make(name, style, ...children) {
  const element = document.createElement(name);
  if (style) element.className = style;
  element.append(...children.filter(child => child !== null && child !== undefined));
  return element;
}

function button(style, label, title, act) {
  const element = make('button', style, label);
  element.type = 'button';
  if (title) element.title = title;
  element.addEventListener('click', act);
  return element;
}

/* An element of the drawing that stands in the document already, so that its namespace need not be named. */
function drawn(svg, name, attributes) {
  const element = document.createElementNS(svg.namespaceURI, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

function percent(p) {
  const digits = p >= 0.99995 ? '100' : p >= 0.1 ? (100 * p).toFixed(1) : p >= 0.0001 ? (100 * p).toFixed(2) : p > 0 ? '< 0.01' : '0';
  return digits + ' %';
}

const shortName = model => model.replace(/:latest$/, '');
const count = (n, one) => `${n.toLocaleString('en')} ${one}${n === 1 ? '' : 's'}`;
const short = n => !Number.isFinite(n) ? '–' : n === 0 ? '0' : n >= 100 ? n.toFixed(0) : n >= 10 ? n.toFixed(1) : n.toFixed(2);

function bytesOf(n) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let k = 0;
  while (n >= 1000 && k < 4) { n /= 1000; k++; }
  return `${k === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[k]}`;
}

function seconds(s) {
  if (!Number.isFinite(s)) return '–';
  if (s < 1) return `${Math.round(1000 * s)} ms`;
  return s < 100 ? `${s.toFixed(1)} s` : s < 6000 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

/* What is kept in the browser between visits; where it may not be, the page works all the same. */
const kept = {
  read(key, otherwise) {
    try { return JSON.parse(localStorage.getItem('verbatim.' + key)) ?? otherwise; } catch { return otherwise; }
  },
  write(key, value) {
    try { localStorage.setItem('verbatim.' + key, JSON.stringify(value)); return true; } catch { return false; }
  },
};
