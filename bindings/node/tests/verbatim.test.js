'use strict'
/* The package as its users meet it, on tiny models of the project and the one inside the library. */
const assert = require('node:assert/strict')
const { execFileSync, spawnSync } = require('node:child_process')
const fs = require('node:fs')
const os = require('node:os')
const path = require('node:path')
const { after, test } = require('node:test')

const verbatim = require('verbatim')
const { load: library } = require('verbatim/library.js')

const ROOT = path.resolve(__dirname, '../../..')
const TINY = path.join(ROOT, 'tests/golden/llama-gqa/model.gguf')
const QUESTION = 'A man was asked "Where is the treasure?". He smiled and said, "'
const PERSON = { type: 'object', properties: { name: { enum: ['Ann', 'Bob'] }, age: { type: 'integer', minimum: 0, maximum: 99 } },
  required: ['name', 'age'], additionalProperties: false }
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'verbatim-node-'))
after(() => fs.rmSync(work, { recursive: true }))

async function tiny(options = {}) {
  return verbatim.load(TINY, { threads: 1, context: 1000, ...options })
}

test('every struct is as large as in C', { skip: fs.existsSync('/usr/bin/cc') ? false : 'no C compiler' }, () => {
  const { koffi, types } = library()
  const headers = fs.readdirSync(path.join(ROOT, 'include')).filter(name => name.endsWith('.h'))
  let source = '#include <stdio.h>\n#include <stddef.h>\n' + headers.map(name => `#include "${name}"\n`).join('') + 'int main(void) {\n'
  for (const [name, type] of Object.entries(types)) {
    source += `printf("${name} %zu\\n", sizeof(${name}));\n`
    for (const field of Object.keys(type.members)) source += `printf("${name} %zu ${field}\\n", offsetof(${name}, ${field}));\n`
  }
  fs.writeFileSync(path.join(work, 'sizes.c'), source + 'return 0; }\n')
  execFileSync('cc', [`-I${path.join(ROOT, 'include')}`, '-o', path.join(work, 'sizes'), path.join(work, 'sizes.c')])
  const lines = execFileSync(path.join(work, 'sizes')).toString().trim().split('\n')
  assert.ok(lines.length > 100)
  for (const line of lines) {
    const [name, size, field] = line.split(' ')
    assert.equal(field ? koffi.offsetof(types[name], field) : koffi.sizeof(types[name]), Number(size), line)
  }
})

test('it is supported here, and says so', () => {
  assert.equal(verbatim.isSupported(), true)
  const script = 'process.stdout.write(String(require("verbatim").isSupported()))'
  assert.equal(execFileSync(process.execPath, ['-e', script], { cwd: __dirname, env: { ...process.env, VERBATIM_LIBRARY: '/absent.so' } }).toString(), 'false')
})

test('a stream is the whole, and the same as ever', async () => {
  const model = await verbatim.load('tales-1m')
  const how = { maxTokens: 40, temperature: 0.9, topK: 40, seed: 7, stops: ['.'] }
  const pieces = [], heard = []
  for await (const piece of verbatim.generate(QUESTION, { ...how, onToken: piece => heard.push(piece) })) pieces.push(piece)
  const whole = verbatim.generate(QUESTION, { ...how, seed: 7n })
  assert.equal(await whole, pieces.join(''))
  assert.equal(heard.join(''), pieces.join(''))
  assert.ok(pieces.length > 3 && whole.info.tokens >= pieces.length && ['stop', 'length'].includes(whole.info.end))
  assert.ok(whole.info.knownTokens > 10)
  const other = await model.generate(QUESTION, { ...how, seed: 8 })
  assert.notEqual(other, pieces.join(''))
  const command = process.env.VERBATIM
  if (command) {
    const said = execFileSync(command, ['run', 'tales-1m', '--raw', '-n', '40', '--temp', '0.9', '--top-k', '40', '-s', '7', '--stop', '.', QUESTION], { stdio: ['ignore', 'pipe', 'ignore'] })
    assert.equal(said.toString(), pieces.join(''))
  }
  await model.close()
})

test('the event loop goes on, and calls wait for each other', async () => {
  const model = await tiny({ player: 'oracle' })
  let turns = 0
  const timer = setInterval(() => turns++, 1)
  const order = []
  await Promise.all([model.generate('abcdefgh '.repeat(20), { maxTokens: 3 }).then(() => order.push(1)),
    model.classify('x', ['a', 'b']).then(() => order.push(2)), model.prompt('Hello', { maxTokens: 2 }).then(() => order.push(3))])
  clearInterval(timer)
  assert.deepEqual(order, [1, 2, 3])
  assert.ok(turns > 5, `${turns} turns`)
  await model.close()
})

test('a signal ends what runs, waits or loads', async () => {
  const model = await tiny({ player: 'oracle', context: 24000 })
  const control = new AbortController(), begin = Date.now()
  const running = model.generate('abcdefgh '.repeat(2500), { signal: control.signal })
  const waiting = model.classify('x', ['a', 'b'], { signal: control.signal })
  setTimeout(() => control.abort(), 50)
  await Promise.all([assert.rejects(Promise.resolve(running), { name: 'AbortError' }), assert.rejects(waiting, { name: 'AbortError' })])
  assert.ok(Date.now() - begin < 3000)
  assert.equal(typeof await model.generate('abc', { maxTokens: 2 }), 'string')
  await model.close()
  await assert.rejects(verbatim.load(TINY, { signal: AbortSignal.abort() }), { name: 'AbortError' })
  const midway = new AbortController()
  await assert.rejects(verbatim.load(TINY, { signal: midway.signal, onStatus: () => midway.abort() }), { name: 'AbortError' })
})

test('leaving a loop cancels', async () => {
  const model = await tiny()
  let n = 0
  for await (const piece of model.generate('Once', { temperature: 1 })) if (piece !== null && ++n === 3) break
  assert.equal(n, 3)
  const answer = model.generate('Once', { temperature: 1 })
  await answer.cancel()
  assert.equal(typeof await model.generate('Once', { maxTokens: 2 }), 'string')
  await answer.catch(error => assert.equal(error.code, -7))
  await model.close()
})

test('status is told', async () => {
  const seen = []
  const leave = verbatim.onStatusChange(status => seen.push(status.state))
  seen.length = 0
  const model = await tiny()
  assert.equal(seen[0], 'loading')
  assert.equal(seen.at(-1), 'ready')
  seen.length = 0
  await model.generate('x', { maxTokens: 1 })
  assert.deepEqual(seen, ['generating', 'ready'])
  await assert.rejects(Promise.resolve(model.generate('x', { maxTokens: -1 })), error => error.code === -5 && error.status === 'VB_E_ARGUMENT' && /max_tokens/.test(error.message))
  assert.equal(seen.at(-1), 'error')
  leave()
  const before = seen.length
  assert.ok(model.memoryBytes > 1000)
  await model.close()
  assert.equal(seen.length, before)
  assert.throws(() => model.tokenize('x'), { code: -5 })
  await assert.rejects(model.classify('x', ['a', 'b']), { code: -5 })
  assert.throws(() => verbatim.generate('x'), { code: -5 })
})

test('labels', async () => {
  const model = await tiny()
  const { label, scores } = await model.classify('hello', ['good', 'bad', 'so so'])
  assert.equal(label, scores.reduce((a, b) => (b.mean > a.mean ? b : a)).label)
  assert.ok(Math.abs(scores.reduce((sum, score) => sum + score.probability, 0) - 1) < 1e-12)
  const raw = await verbatim.classify('Once upon', ['good', 'bad'], { raw: true, bySum: true })
  assert.equal(raw.label, raw.scores.reduce((a, b) => (b.sum > a.sum ? b : a)).label)
  await assert.rejects(model.classify('hello', ['good']), /at least 2/)
  assert.deepEqual(model.tokenize('hello', { addSpecial: true }).slice(1), model.tokenize('hello'))
  await model.close()
})

test('JSON', async () => {
  const model = await tiny()
  for (let seed = 0; seed < 5; seed++) {
    const value = await model.extractJson('Ann is 7.', PERSON, { temperature: 2, seed })
    assert.ok(['Ann', 'Bob'].includes(value.name) && value.age >= 0 && value.age <= 99)
  }
  await assert.rejects(model.extractJson('Ann is 7.', PERSON, { maxTokens: 2 }), error => error.code === -8 && /ends after 2 tokens/.test(error.message))
  assert.deepEqual(verbatim.parseJson('Sure: {name: \'Ann\', "age": 7,}!', PERSON), { value: { name: 'Ann', age: 7 }, repairs: ['prose', 'commas', 'quotes'] })
  assert.throws(() => verbatim.parseJson('{"name": "Ann", "age": "7"}', PERSON), /\$\.age: expected an integer/)
  assert.deepEqual(verbatim.parseJson('a [1, 2] b').value, [1, 2])
  await model.close()
})

test('characters say the same lines in any order', async () => {
  const keys = []
  for (const entity of ['Anna', 'Otto', 5]) for (const tick of [1, 2]) keys.push({ world: 7, entity, tick })
  const cast = await verbatim.Cast.open(), said = []
  for (const key of keys) said.push((await cast.say(key, 'Where is the treasure?')).text)
  for (const key of [...keys].reverse()) await cast.request(key, 'Where is the treasure?')
  let steps = 0
  const lines = []
  while (await cast.step({ maxTokens: 5, milliseconds: 50 }) > 0) {
    lines.push(...await cast.collect())
    if (++steps === 3) {
      const saved = await cast.save()
      await cast.restore(saved)
    }
  }
  lines.push(...await cast.collect())
  assert.ok(steps > 5)
  assert.deepEqual(lines.map(line => line.text).sort(), [...said].sort())
  const anna = lines.filter(line => line.key.entity === verbatim.entityId('Anna') && line.key.tick === 1)
  assert.deepEqual(anna.map(line => line.text), [said[0]])
  if (process.env.VERBATIM) {
    const out = execFileSync(process.env.VERBATIM, ['say', '--seed', '7', '--entity', 'Anna', '--tick', '1', 'Where is the treasure?'])
    assert.equal(out.toString().trim(), said[0])
  }
  await cast.close()
  const baker = { name: 'baker', prompt: 'It was ${weather}. The baker said, "', stop: 'sentence', max_tokens: 30 }
  const own = await verbatim.Cast.open({ personas: [baker] })
  assert.equal((await own.say(keys[0], undefined, { facts: { weather: 'raining' } })).persona, 'baker')
  await assert.rejects(own.say(keys[0]), /weather/)
  await own.close()
  await assert.rejects(own.say(keys[0]), { code: -5 })
  await assert.rejects(verbatim.Cast.open('{'), { status: 'VB_E_FORMAT' })
})

test('what cannot be loaded is said', async () => {
  await assert.rejects(verbatim.load('absent.gguf'), error => error instanceof verbatim.VerbatimError && error.code === -9 && /absent/.test(error.message))
  await assert.rejects(verbatim.load(path.join(ROOT, 'README.md')), { status: 'VB_E_FORMAT' })
})

test('nothing is left behind', async () => {
  async function round() {
    const model = await tiny()
    await model.generate('x', { maxTokens: 3 })
    await model.classify('x', ['a', 'b'])
    await model.close()
  }
  for (let i = 0; i < 15; i++) await round()
  const { koffi } = library()
  const before = process.memoryUsage().rss, callbacks = koffi.stats().callbacks
  for (let i = 0; i < 60; i++) await round()
  assert.equal(koffi.stats().callbacks, callbacks)
  assert.ok(process.memoryUsage().rss - before < 24 << 20)
})

test('what cannot be given is refused', async () => {
  const model = await tiny(), cast = await verbatim.Cast.open()
  const refused = [() => model.generate('x', { seed: '7' }), () => model.generate('x', { seed: -1 }), () => model.generate('x', { maxTokens: 2 ** 32 }),
    () => model.generate('x', { temperature: '1' }), () => model.generate(5), () => model.generate('a\0b'), () => model.prompt('x', { stops: 'ab' }),
    () => model.prompt('x', { system: 3 }), () => model.classify('x', 'ab'), () => model.classify('x', ['a', 'a\0']), () => model.extractJson('x'),
    () => verbatim.load(5), () => verbatim.load(TINY, { threads: '2' }), () => cast.say({ tick: '3' }), () => cast.say({}, 7), () => cast.step({ maxTokens: 0.5 })]
  for (const ask of refused) await assert.rejects(async () => ask(), { name: 'TypeError', message: /: expected .*, found / }, String(ask))
  assert.throws(() => verbatim.parseJson('{}\0'), TypeError)
  await assert.rejects(model.extractJson('x', { allOf: [{ type: 'string' }, { type: 'integer' }] }), /no text that fits/)
  assert.equal(typeof await model.generate('x', { maxTokens: 1, seed: 2n ** 64n - 1n }), 'string')
  await model.close()
  await cast.close()
})

test('what a listener throws, the call throws', async () => {
  const broken = () => { throw new Error('broken listener') }
  await assert.rejects(verbatim.load(TINY, { onStatus: broken }), /broken listener/)
  const model = await tiny()
  await assert.rejects(async () => model.generate('x', { maxTokens: 5, onToken: broken }), /broken listener/)
  const leave = verbatim.onStatusChange(status => { if (status.state === 'generating') broken() })
  await assert.rejects(async () => model.generate('x', { maxTokens: 5 }), /broken listener/)
  leave()
  assert.equal(typeof await model.generate('x', { maxTokens: 2 }), 'string')
  await model.close()
})

test('one that waits is left without harm to the one that runs', async () => {
  const model = await tiny({ player: 'oracle', context: 24000 }), control = new AbortController()
  let ended = false
  const running = model.generate('abcdefgh '.repeat(60), { maxTokens: 2 })
  running.then(() => { ended = true }, () => { ended = true })
  const waiting = model.generate('y', { signal: control.signal }), left = model.generate('z')
  setTimeout(() => control.abort(), 5)
  await assert.rejects(async () => waiting, { name: 'AbortError' })
  assert.equal(ended, false)
  await left.cancel()
  assert.equal(typeof await running, 'string')
  assert.equal(await left, '')
  await model.close()
})

test('a process exits with work in flight', () => {
  const script = `require('verbatim').load('tales-1m').then(model => {
    model.generate('Once', { temperature: 1, maxTokens: 2000 }).then(() => {})
    setTimeout(() => process.exit(3), 20)
  })`
  for (let i = 0; i < 4; i++) assert.equal(spawnSync(process.execPath, ['-e', script], { cwd: __dirname, timeout: 20000 }).status, 3)
})
