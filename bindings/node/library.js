'use strict'
/* library.js - the shared library by koffi. Structs and signatures come from abi.json, which is made from the public headers
 * (bindings/declarations.py), so nothing here can drift from them; what this file adds is which pointer is written to.
 */
const fs = require('node:fs')
const path = require('node:path')
const { isMainThread } = require('node:worker_threads')

const NAME = 'libverbatim.so.0'
const statuses = {}
let loaded
let running = 0 // calls on threads of the pool

/* $VERBATIM_LIBRARY, or the one inside the package, or the system's. */
function libraryPath() {
  const inside = path.join(__dirname, 'lib', NAME)
  return process.env.VERBATIM_LIBRARY || (fs.existsSync(inside) ? inside : NAME)
}

function load() {
  if (loaded) return loaded
  const koffi = require('koffi')
  const abi = JSON.parse(fs.readFileSync(path.join(__dirname, 'abi.json'), 'utf8'))
  const types = structs(koffi, abi)
  const library = koffi.load(libraryPath())
  for (const [name, value] of Object.entries(abi.enums.vb_status)) statuses[value] = name
  loaded = { koffi, abi, types, call: {}, library }
  bind(loaded)
  if (isMainThread) endWithWork(library)
  return loaded
}

/* A member's type. Pointers are numbers, but for texts, lists of texts and structs. */
function member(koffi, abi, made, text) {
  const array = /^(.*)\[(\d+)\]$/.exec(text)
  if (array) return koffi.array(member(koffi, abi, made, array[1]), Number(array[2]), array[1] === 'char' ? 'String' : 'Array')
  if (text === 'char *') return 'const char *'
  if (text === 'char * *') return koffi.pointer('const char *')
  const to = /^(vb_\w+) \*$/.exec(text)
  if (to && made[to[1]]) return koffi.pointer(made[to[1]])
  if (text === 'callback' || text.endsWith('*') || abi.callbacks[text]) return 'void *'
  if (made[text]) return made[text]
  if (abi.enums[text]) return 'int'
  return abi.aliases[text] || text
}

function structs(koffi, abi) {
  const made = {}
  for (const [name, rows] of Object.entries(abi.structs)) {
    const layout = {}
    for (const [field, text] of rows) layout[field] = member(koffi, abi, made, text)
    made[name] = koffi.struct(layout)
  }
  return made
}

/* Pointers that a function writes to; all others are read. */
const WRITES = ['vb_err *', 'vb_easy_answer *', 'vb_easy * *', 'vb_cast * *', 'vb_line *', 'vb_machine *', 'vb_model_info *']

function parameter(lib, text) {
  const { koffi, abi, types } = lib
  const to = /^(vb_\w+) \*$/.exec(text)
  if (/^vb_\w+ \* \*$/.test(text)) return koffi.out(koffi.pointer('void *'))
  if (to && types[to[1]]) return WRITES.includes(text) ? koffi.out(koffi.pointer(types[to[1]])) : koffi.pointer(types[to[1]])
  return member(koffi, abi, types, text)
}

/* lib.call.vb_easy_open and so on, bound when first used. */
function bind(lib) {
  lib.call = new Proxy({}, {
    get(cache, name) {
      if (!cache[name]) {
        const { returns, takes } = lib.abi.functions[name]
        const given = takes.map((text, i) => (OVERRIDES[name] || {})[i] || parameter(lib, text))
        cache[name] = lib.library.func(name, member(lib.koffi, lib.abi, lib.types, returns), given)
      }
      return cache[name]
    }
  })
}

/* Buffers that are filled, and lists that are written. */
const OVERRIDES = {
  vb_easy_json: { 2: 'void *', 4: 'void *' },
  vb_easy_classify: { 3: 'void *' },
  vb_tokenize: { 1: 'void *', 4: 'void *' },
  vb_detokenize: { 1: 'void *', 4: 'void *' },
  vb_entity_id: { 0: 'void *' },
  vb_cast_open_json: { 1: 'void *' },
  vb_cast_save: { 1: 'void *' },
  vb_cast_restore: { 1: 'void *' },
  vb_cast_digest: { 1: 'void *' }
}

/* A failure of the library: `code` is a vb_status, below 0, `status` its name. */
class VerbatimError extends Error {
  constructor(code, text) {
    super(text || statuses[code])
    this.name = 'VerbatimError'
    this.code = code
    this.status = statuses[code]
  }
}

function check(status, err) {
  if (status < 0) throw new VerbatimError(Number(status), err.text)
  return Number(status)
}

/* A call on a thread of the pool, so that the event loop goes on. */
function later(fn, ...args) {
  return new Promise((resolve, reject) => {
    fn.async(...args, (error, value) => {
      running--
      if (error) reject(error)
      else resolve(value)
    })
    running++
  })
}

/* A process that exits waits for the pool, and a thread of the pool that calls back waits for the event loop, which has ended: with
 * work in flight the process is left at once. */
function endWithWork(library) {
  const leave = library.func('_exit', 'void', ['int'])
  process.on('exit', code => { if (running > 0) leave(code) })
}

module.exports = { load, check, later, VerbatimError }
