'use strict'
/* index.js - language models whose answers are the same bits everywhere, for Node.
 *
 *   await load('smollm2');  for await (const piece of prompt('Why is the sky blue?')) process.stdout.write(piece)
 *
 * A model does one thing at a time; calls wait for each other in the order in which they were made. Computing happens on a thread
 * of Node's pool, and pieces arrive between other events.
 */
const { load: library, check, later, VerbatimError } = require('./library.js')
const given = require('./given.js')

const ENDS = ['none', 'token', 'stop', 'length', 'context', 'callback']
const SAMPLING = { temperature: 'temperature', topK: 'top_k', topP: 'top_p', minP: 'min_p', typical: 'typical', repeat: 'repeat', presence: 'presence',
  frequency: 'frequency', repeatLast: 'repeat_last', seed: 'seed', stream: 'stream' }
const KINDS = { ...Object.fromEntries(Object.keys(SAMPLING).map(name => [name, given.number])), topK: given.int, repeatLast: given.int,
  seed: given.uint64, stream: given.uint64 }
const listeners = new Set()
let current = null // the model that was loaded last
let latest = { state: 'idle', progress: 0, text: '' }

function sampling(options) {
  const c = {}
  for (const [ours, theirs] of Object.entries(SAMPLING)) if (options[ours] !== undefined) c[theirs] = KINDS[ours](ours, options[ours])
  return c
}

function tell(status) {
  latest = status
  for (const listener of [...listeners]) listener(status)
}

function aborted(signal) {
  return signal.reason !== undefined ? signal.reason : new DOMException('This operation was aborted', 'AbortError')
}

/* An answer while it comes: `for await` gives its pieces, `await` the whole text. Leaving the loop cancels. */
class Generation {
  #pieces = []
  #wake = null
  #done
  #finished = false
  #model
  #left = false
  #running = false

  constructor(model, run, options) {
    this.#model = model
    this.info = null
    this.#done = model._queue(() => this.#run(run, options), options.signal)
    this.#done.then(() => this.#end(), () => this.#end())
  }

  async #run(run, options) {
    if (this.#left) return ''
    const { koffi } = library()
    const stops = given.maybe(given.texts, 'stops', options.stops)
    const how = { sampling: sampling(options), max_tokens: given.int('maxTokens', options.maxTokens ?? 0), stops, n_stops: stops?.length ?? 0,
      system: given.maybe(given.text, 'system', options.system), trace: given.maybe(given.text, 'trace', options.trace), grammar: null, ud: null }
    const failures = [], answer = {}, err = {}
    how.on_text = koffi.register((_, text, length) => this.#heard(koffi.view(text, Number(length)), options, failures), koffi.pointer(textCallback(koffi)))
    this.#running = true
    try {
      check(await run(how, answer, err), err)
    } finally {
      this.#running = false
      koffi.unregister(how.on_text)
    }
    if (failures.length > 0) throw failures[0]
    this.info = { end: ENDS[answer.end], tokens: answer.tokens, promptTokens: answer.prompt_tokens, knownTokens: answer.known_tokens }
    return answer.text
  }

  /* Nothing may be thrown through the library: what `onToken` throws ends the answer, which fails with it. */
  #heard(bytes, options, failures) {
    const piece = Buffer.from(bytes).toString('utf8')
    this.#pieces.push(piece)
    try {
      options.onToken?.(piece)
    } catch (error) {
      failures.push(error)
    }
    this.#wake?.()
    return this.#left || failures.length > 0 ? 1 : 0
  }

  #end() {
    this.#finished = true
    this.#wake?.()
  }

  async * #iterate() {
    try {
      for (;;) {
        while (this.#pieces.length > 0) yield this.#pieces.shift()
        if (this.#finished) break
        await new Promise(resolve => { this.#wake = resolve })
        this.#wake = null
      }
      await this.#done
    } finally {
      if (!this.#finished) await this.cancel()
    }
  }

  [Symbol.asyncIterator]() {
    return this.#iterate()
  }

  /* Ends it; resolves when it has ended. One that waits lets those before it finish. */
  async cancel() {
    this.#left = true
    while (!this.#finished) {
      if (this.#running) this.#model._cancel()
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  }

  then(resolve, reject) {
    return this.#done.then(resolve, reject)
  }

  catch(reject) {
    return this.#done.catch(reject)
  }

  finally(settled) {
    return this.#done.finally(settled)
  }
}

let textProto = null
function textCallback(koffi) {
  textProto ??= koffi.proto('vb_easy_on_text', 'int', ['void *', 'void *', 'size_t'])
  return textProto
}

let statusProto = null
function statusCallback(koffi) {
  statusProto ??= koffi.proto('vb_easy_on_status', 'int', ['void *', 'void *'])
  return statusProto
}

class Model {
  #easy = null
  #callback = null
  #tail = Promise.resolve()
  #options
  #failures = [] // what listeners threw

  constructor(options) {
    this.#options = options
  }

  async _load(name) {
    const { koffi, types, call } = library()
    const { signal, threads, player, isa, context, cache, templateAs, lazy, onStatus } = this.#options
    const states = ['idle', 'loading', 'ready', 'generating', 'error']
    const opts = { model: { player: given.maybe(given.text, 'player', player), isa: given.maybe(given.text, 'isa', isa),
      threads: given.int('threads', threads ?? 0), template_as: given.maybe(given.text, 'templateAs', templateAs) },
    session: { context: given.int('context', context ?? 0), cache: given.maybe(given.text, 'cache', cache) }, opened: null, lazy: lazy ? 1 : 0, ud: null }
    given.text('name', name)
    this.#callback = opts.on_status = koffi.register((_, pointer) => {
      const { state, progress, text } = koffi.decode(pointer, types.vb_easy_status)
      const failed = this.#changed({ state: states[state], progress, text: text || '' }, onStatus)
      return state === 1 && (failed || signal?.aborted) ? 1 : 0
    }, koffi.pointer(statusCallback(koffi)))
    const out = [null], err = {}
    const status = await later(call.vb_easy_open, out, name, opts, err)
    if (status < 0) koffi.unregister(this.#callback)
    else this.#easy = out[0]
    if (this.#failures.length > 0) {
      await this.close()
      throw this.#failures.shift()
    }
    if (status < 0 && signal?.aborted) throw aborted(signal)
    check(status, err)
    return this
  }

  #changed(status, onStatus) {
    try {
      tell(status)
      onStatus?.(status)
    } catch (error) {
      this.#failures.push(error)
    }
    return this.#failures.length > 0
  }

  /* Runs `job` when all before it has ended. A signal ends it, waiting or running, and is then what it fails with. */
  _queue(job, signal) {
    let begun = false, finished = false
    const run = async () => {
      begun = true
      if (signal?.aborted) throw aborted(signal)
      if (this.#easy === null) throw new VerbatimError(-5, 'model: expected an open one, found a closed one')
      const abort = () => {
        if (finished) return
        this._cancel()
        setTimeout(abort, 1) // its thread may not have come to the call yet
      }
      signal?.addEventListener('abort', abort, { once: true })
      try {
        const value = await job()
        if (this.#failures.length > 0) throw this.#failures.shift()
        return value
      } catch (error) {
        throw signal?.aborted && error.code === -7 ? aborted(signal) : error
      } finally {
        finished = true
        signal?.removeEventListener('abort', abort)
      }
    }
    const result = this.#tail.then(run)
    this.#tail = result.then(() => {}, () => {})
    if (!signal) return result
    return new Promise((resolve, reject) => {
      const leave = () => { if (!begun) reject(aborted(signal)) }
      result.finally(() => signal.removeEventListener('abort', leave)).then(resolve, reject)
      signal.addEventListener('abort', leave)
    })
  }

  _cancel() {
    if (this.#easy !== null) library().call.vb_easy_cancel(this.#easy)
  }

  generate(text, options = {}) {
    return new Generation(this, (how, answer, err) => later(library().call.vb_easy_generate, this.#easy, given.text('text', text), how, answer, err), options)
  }

  prompt(text, options = {}) {
    return new Generation(this, (how, answer, err) => later(library().call.vb_easy_prompt, this.#easy, given.text('text', text), how, answer, err), options)
  }

  async extractJson(text, schema, options = {}) {
    const wanted = JSON.stringify(schema)
    const run = (how, answer, err) => later(library().call.vb_easy_extract, this.#easy, given.text('text', text), given.text('schema', wanted), how, answer, err)
    return JSON.parse(await new Generation(this, run, options))
  }

  classify(text, labels, options = {}) {
    return this._queue(async () => {
      const { koffi, types, call } = library()
      const how = { labels: given.texts('labels', labels), n: labels.length, system: given.maybe(given.text, 'system', options.system), raw: options.raw ? 1 : 0, by_sum: options.bySum ? 1 : 0 }
      const size = koffi.sizeof(types.vb_easy_score), rows = Buffer.alloc(size * Math.max(labels.length, 1)), err = {}
      const best = check(await later(call.vb_easy_classify, this.#easy, given.text('text', text), how, rows, err), err)
      const scores = labels.map((label, i) => ({ label, ...koffi.decode(rows, i * size, types.vb_easy_score) }))
      return { label: labels[best], scores }
    }, options.signal)
  }

  tokenize(text, { addSpecial = false, parseSpecial = false } = {}) {
    const { call } = library()
    const data = Buffer.from(text), ids = new Int32Array(data.length + 8), err = {}
    const model = call.vb_easy_model(this.#open())
    const n = check(call.vb_tokenize(model, data, data.length, (addSpecial ? 1 : 0) | (parseSpecial ? 2 : 0), ids, ids.length, err), err)
    return Array.from(ids.subarray(0, n))
  }

  #open() {
    if (this.#easy === null) throw new VerbatimError(-5, 'model: expected an open one, found a closed one')
    return this.#easy
  }

  /* Memory besides the weights that it takes. */
  get memoryBytes() {
    return Number(library().call.vb_easy_bytes(this.#open()))
  }

  /* Ends what runs; what waits goes on. */
  cancel() {
    this._cancel()
  }

  /* Waits for what runs and gives everything back. */
  async close() {
    const { koffi, call } = library()
    await this.#tail
    if (this.#easy === null) return
    const easy = this.#easy
    this.#easy = null
    call.vb_easy_close(easy)
    koffi.unregister(this.#callback)
    if (current === this) current = null
  }

  [Symbol.asyncDispose ?? Symbol('close')]() {
    return this.close()
  }
}

/* Whether the library loads on this machine, and has kernels for its processor. */
function isSupported() {
  try {
    const machine = {}
    library().call.vb_machine_describe(machine)
    return machine.isas.length > 0
  } catch {
    return false
  }
}

/* Calls `listener` with {state, progress, text} of the model that is loaded, now and at each change; what it returns ends that. */
function onStatusChange(listener) {
  listeners.add(listener)
  listener(latest)
  return () => { listeners.delete(listener) }
}

/* Opens a model; from then on it is the one that the functions below ask. */
async function load(name, options = {}) {
  if (options.signal?.aborted) throw aborted(options.signal)
  current = await new Model(options)._load(name)
  return current
}

function asked() {
  if (current === null) throw new VerbatimError(-5, 'model: expected one that is loaded, found none')
  return current
}

const LINE_ENDS = ['sentence', 'line', 'regex', 'length', 'token', 'grammar', 'fallback']

/* Characters that say the same line in every replay: a line follows from its key {world, entity, tick, draw}, the persona and what
 * fills its prompt. `say` and `step` compute beside the event loop; calls wait for each other.
 */
class Cast {
  #cast = null
  #tail = Promise.resolve()

  /* `description` as docs/DIALOGUE.md has it; without one a villager on "tales-1m". */
  static async open(description, { threads = 0 } = {}) {
    const { call } = library()
    const text = description === undefined ? null : Buffer.from(typeof description === 'string' ? description : JSON.stringify(description))
    const cast = new Cast(), out = [null], err = {}
    check(await later(call.vb_cast_open_json, out, text, text === null ? 0 : text.length, { threads: given.int('threads', threads) }, err), err)
    cast.#cast = out[0]
    return cast
  }

  #open() {
    if (this.#cast === null) throw new VerbatimError(-5, 'cast: expected an open one, found a closed one')
    return this.#cast
  }

  #queue(job) {
    const result = this.#tail.then(job)
    this.#tail = result.then(() => {}, () => {})
    return result
  }

  #key({ world = 0, entity = 0, tick = 0, draw = 0 }) {
    return { world: given.uint64('world', world), entity: typeof entity === 'string' ? entityId(entity) : given.uint64('entity', entity),
      tick: given.uint64('tick', tick), draw: given.uint64('draw', draw) }
  }

  #request(key, text, { persona = null, facts = {} }) {
    const rows = Object.entries(facts).map(([name, value]) => ({ name: given.text('fact', name), value: given.text(name, value) }))
    return { key: this.#key(key), persona: given.maybe(given.text, 'persona', persona), text: given.maybe(given.text, 'text', text), facts: rows.length > 0 ? rows : null, n_facts: rows.length }
  }

  #line(c) {
    if (c.failed < 0) throw new VerbatimError(c.failed, c.text)
    return { key: c.key, persona: c.persona, text: c.text, end: LINE_ENDS[c.end], attempts: c.attempts, promptTokens: c.prompt_tokens,
      tokens: c.tokens, baked: c.baked === 1 }
  }

  /* One line, now. */
  say(key, text, options = {}) {
    return this.#queue(async () => {
      const out = {}, err = {}
      check(await later(library().call.vb_cast_say, this.#open(), this.#request(key, text, options), out, err), err)
      return this.#line(out)
    })
  }

  /* Asks for a line that `step` will speak. */
  request(key, text, options = {}) {
    return this.#queue(() => {
      const err = {}
      check(library().call.vb_cast_request(this.#open(), this.#request(key, text, options), err), err)
    })
  }

  /* Speaks for all that wait, until so many tokens or so much time; how many lines are not finished. */
  step({ maxTokens = 0, milliseconds = 0 } = {}) {
    return this.#queue(async () => {
      const { call } = library(), err = {}
      const deadline = milliseconds > 0 ? BigInt(call.vb_cast_now()) + BigInt(Math.round(milliseconds * 1e6)) : 0
      return check(await later(call.vb_cast_step, this.#open(), given.int('maxTokens', maxTokens), deadline, err), err)
    })
  }

  /* The lines that are finished. */
  collect() {
    return this.#queue(() => {
      const lines = []
      for (let out = {}; library().call.vb_cast_collect(this.#open(), out); out = {}) lines.push(this.#line(out))
      return lines
    })
  }

  cancel(key) {
    return this.#queue(() => library().call.vb_cast_cancel(this.#open(), this.#key(key)) === 1)
  }

  /* All that waits, is half spoken, finished or remembered, as a Buffer. */
  save() {
    return this.#queue(() => {
      const { call } = library(), err = {}
      const data = Buffer.alloc(check(call.vb_cast_save(this.#open(), null, 0, err), err))
      check(call.vb_cast_save(this.#open(), data, data.length, err), err)
      return data
    })
  }

  restore(saved) {
    return this.#queue(() => {
      const err = {}
      check(library().call.vb_cast_restore(this.#open(), saved, saved.length, err), err)
    })
  }

  async close() {
    await this.#tail
    if (this.#cast !== null) library().call.vb_cast_close(this.#cast)
    this.#cast = null
  }
}

/* What stands for a name in keys. */
function entityId(name) {
  const data = Buffer.from(name)
  return BigInt(library().call.vb_entity_id(data, data.length))
}

/* The JSON in any text, no model asked: {value, repairs}. Throws, naming the place, if none fits the schema. */
function parseJson(text, schema) {
  const { call } = library()
  const wanted = schema === undefined ? null : JSON.stringify(schema)
  const repairs = new Int32Array(1), err = {}
  given.text('text', text)
  const n = check(call.vb_easy_json(text, wanted, null, 0, repairs, err), err)
  const data = Buffer.alloc(n)
  check(call.vb_easy_json(text, wanted, data, n, repairs, err), err)
  const names = []
  for (let bit = 1, name; (name = call.vb_easy_repair_name(bit)) !== null; bit *= 2) if (repairs[0] & bit) names.push(name)
  return { value: JSON.parse(data.toString('utf8')), repairs: names }
}

module.exports = {
  load, isSupported, onStatusChange, parseJson, Model, Generation, Cast, entityId, VerbatimError,
  generate: (text, options) => asked().generate(text, options),
  prompt: (text, options) => asked().prompt(text, options),
  extractJson: async (text, schema, options) => asked().extractJson(text, schema, options),
  classify: async (text, labels, options) => asked().classify(text, labels, options)
}
