/** verbatim - language models whose answers are the same bits on every machine. */

export type State = 'idle' | 'loading' | 'ready' | 'generating' | 'error'

export interface Status {
  state: State
  /** Of loading, 0 to 1. */
  progress: number
  /** Of an error; otherwise empty. */
  text: string
}

export interface LoadOptions {
  threads?: number
  player?: 'cpu' | 'oracle' | 'blas'
  isa?: string
  /** Tokens; the default is the model's own, at most 8192. */
  context?: number
  /** A folder that keeps evaluated prompts. */
  cache?: string
  templateAs?: 'ollama'
  /** The weights are not read ahead. */
  lazy?: boolean
  signal?: AbortSignal
  onStatus?: (status: Status) => void
}

export interface Sampling {
  /** 0, the default: always the best token. */
  temperature?: number
  topK?: number
  topP?: number
  minP?: number
  typical?: number
  repeat?: number
  presence?: number
  frequency?: number
  repeatLast?: number
  seed?: number | bigint
  stream?: number | bigint
}

export interface GenerateOptions extends Sampling {
  /** 0, the default: until the model ends or the context is full. */
  maxTokens?: number
  stops?: string[]
  /** A file, which must not exist, that records the answer. */
  trace?: string
  signal?: AbortSignal
  onToken?: (piece: string) => void
}

export interface PromptOptions extends GenerateOptions {
  system?: string
}

export interface ClassifyOptions {
  system?: string
  /** The text is the whole prompt, and the labels stand right behind it. */
  raw?: boolean
  /** Compare sums of log-probabilities instead of their means. */
  bySum?: boolean
  signal?: AbortSignal
}

export interface Score {
  label: string
  tokens: number
  sum: number
  mean: number
  probability: number
}

export interface Classification {
  label: string
  scores: Score[]
}

export interface AnswerInfo {
  end: 'token' | 'stop' | 'length' | 'context' | 'callback' | 'none'
  tokens: number
  promptTokens: number
  /** Those that needed no evaluation. */
  knownTokens: number
}

/** An answer while it comes: `for await` gives its pieces, `await` the whole text. Leaving the loop cancels it. */
export interface Generation extends AsyncIterable<string>, Promise<string> {
  /** Once it has ended. */
  readonly info: AnswerInfo | null
  /** Ends it; resolves when it has ended. */
  cancel(): Promise<void>
}

/** One model; calls wait for each other in the order in which they were made. */
export interface Model {
  /** Goes on behind the text as it is. */
  generate(text: string, options?: GenerateOptions): Generation
  /** Answers a user's text, through the model's chat template. */
  prompt(text: string, options?: PromptOptions): Generation
  /** What the text says, as a value that fits the JSON Schema. */
  extractJson<T = unknown>(text: string, schema: object | boolean, options?: PromptOptions): Promise<T>
  /** Which label fits the text best. */
  classify(text: string, labels: string[], options?: ClassifyOptions): Promise<Classification>
  tokenize(text: string, options?: { addSpecial?: boolean; parseSpecial?: boolean }): number[]
  /** Besides the weights. */
  readonly memoryBytes: number
  /** Ends what runs; what waits goes on. */
  cancel(): void
  /** Waits for what runs and gives everything back. */
  close(): Promise<void>
}

export class VerbatimError extends Error {
  /** A vb_status, below 0. */
  readonly code: number
  /** Its name, "VB_E_FORMAT". */
  readonly status: string
}

/** All that is random about a line follows from this. A name stands for the number that `entityId` makes of it. */
export interface LineKey {
  world?: number | bigint
  entity?: number | bigint | string
  tick?: number | bigint
  draw?: number | bigint
}

export interface Line {
  key: { world: number | bigint; entity: number | bigint; tick: number | bigint; draw: number | bigint }
  persona: string
  text: string
  end: 'sentence' | 'line' | 'regex' | 'length' | 'token' | 'grammar' | 'fallback'
  attempts: number
  promptTokens: number
  tokens: number
  baked: boolean
}

export interface LineOptions {
  persona?: string
  facts?: Record<string, string>
}

/** Characters that say the same line in every replay. */
export class Cast {
  private constructor()
  /** `description` as docs/DIALOGUE.md has it; without one a villager on "tales-1m". */
  static open(description?: object | string, options?: { threads?: number }): Promise<Cast>
  /** One line, now. */
  say(key: LineKey, text?: string, options?: LineOptions): Promise<Line>
  /** Asks for a line that `step` will speak. */
  request(key: LineKey, text?: string, options?: LineOptions): Promise<void>
  /** Speaks for all that wait, until so many tokens or so much time; how many lines are not finished. */
  step(options?: { maxTokens?: number; milliseconds?: number }): Promise<number>
  collect(): Promise<Line[]>
  cancel(key: LineKey): Promise<boolean>
  save(): Promise<Uint8Array>
  restore(saved: Uint8Array): Promise<void>
  close(): Promise<void>
}

export function entityId(name: string): bigint

/** Whether the library loads on this machine. */
export function isSupported(): boolean
/** Calls `listener` now and at each change; what it returns ends that. */
export function onStatusChange(listener: (status: Status) => void): () => void
/** A path of a GGUF file, a name in a local store, or "tales-1m", the model inside the library. The functions below ask the model
 * that was loaded last. */
export function load(name: string, options?: LoadOptions): Promise<Model>
export function generate(text: string, options?: GenerateOptions): Generation
export function prompt(text: string, options?: PromptOptions): Generation
export function extractJson<T = unknown>(text: string, schema: object | boolean, options?: PromptOptions): Promise<T>
export function classify(text: string, labels: string[], options?: ClassifyOptions): Promise<Classification>
/** The JSON in any text, no model asked, and what was repaired in its form. Throws, naming the place, if none fits. */
export function parseJson<T = unknown>(text: string, schema?: object | boolean): { value: T; repairs: string[] }
