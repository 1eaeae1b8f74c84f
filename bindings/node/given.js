'use strict'
/* given.js - what callers give, looked at before it goes to the library: a value of another kind, handed to a thread of the pool,
 * would end the process, a NUL would cut a text, and a number out of range would become another one.
 */
function wrong(what, expected, found) {
  const shown = typeof found === 'string' ? JSON.stringify(found.slice(0, 40)) : Array.isArray(found) ? 'an array' : String(found)
  return new TypeError(`${what}: expected ${expected}, found ${shown}`)
}

function text(what, value) {
  if (typeof value !== 'string') throw wrong(what, 'a text', value)
  if (value.includes('\0')) throw wrong(what, 'a text without NUL', value)
  return value
}

/* null stands for one that is not given, as undefined does. */
function maybe(kind, what, value) {
  return value === undefined || value === null ? null : kind(what, value)
}

function texts(what, value) {
  if (!Array.isArray(value)) throw wrong(what, 'an array of texts', value)
  return value.map((one, i) => text(`${what}[${i}]`, one))
}

/* An int of C. */
function int(what, value) {
  if (!Number.isInteger(value) || Math.abs(value) > 0x7fffffff) throw wrong(what, 'a whole number of 32 bits', value)
  return value
}

/* A uint64_t of C. */
function uint64(what, value) {
  const fits = typeof value === 'bigint' ? value >= 0n && value < 1n << 64n : Number.isSafeInteger(value) && value >= 0
  if (!fits) throw wrong(what, 'a whole number from 0 to 2^53 - 1, or a bigint below 2^64', value)
  return value
}

function number(what, value) {
  if (typeof value !== 'number') throw wrong(what, 'a number', value)
  return value
}

module.exports = { text, texts, maybe, int, uint64, number }
