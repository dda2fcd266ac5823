// Policies of a backtest, from files.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { POLICIES_MAX } from '../../core/backtest/backtest.ts'
import { type CompiledFor, compiledByLists } from '../../core/backtest/guarded-policy.ts'
import type { Thresholds } from '../../core/decision/decide.ts'
import { SluiceError, isSluiceError } from '../../core/errors.ts'
import { FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { POLICY_LIMITS, type PolicyDocument } from '../../core/policy/policy-document.ts'
import {
  LIST_LIMITS,
  type ListContent,
  type PolicyLists,
  readList,
} from '../../core/policy/policy-lists.ts'
import { parseNewPolicy } from '../../core/policy/policy-parsing.ts'
import { type Ruleset, textDigest } from '../../core/policy/ruleset.ts'
import type { AlertCosts } from '../../core/scoring/alert-costs.ts'
import { checkModel, type ModelStore } from '../../platform/model-store.ts'
import { findList, findRuleset } from '../../platform/policy-store.ts'
import type { ContentStore } from '../../platform/stores/content-store.ts'
import { type NamedRuleset, faultLines } from '../policy/policy-stream.ts'
import { stat, readFile } from 'node:fs/promises'

/** A policy of the backtest. */
export interface LoadedPolicy {
  readonly name: string
  readonly file: string
  readonly document: PolicyDocument
  /** SHA-256 of the policy's text. */
  readonly digest: string
  readonly compiledFor: CompiledFor
}

const FAULTS_SHOWN = 20

/** `file` or `file=name`. */
interface NamedFile {
  readonly file: string
  readonly name: string | null
}

/** Reads `file=name`. The name follows the last equals sign. */
export function namedFile(text: string): NamedFile {
  const at = text.lastIndexOf('=')
  if (at <= 0) return { file: text, name: null }
  return { file: text.slice(0, at), name: text.slice(at + 1) }
}

/**
 * Reads and checks policies. @throws SluiceError SLUICE_POLICY_INVALID with the place of every fault, SLUICE_USAGE for
 * a repeated name, SLUICE_INPUT_INVALID for a file that cannot be read.
 */
export async function loadPolicies(files: readonly NamedFile[]): Promise<readonly LoadedPolicy[]> {
  if (files.length > POLICIES_MAX) throw usage(`give at most ${POLICIES_MAX} policies`)
  const loaded: LoadedPolicy[] = []
  for (const { file, name } of files) {
    const text = await readBounded(file, POLICY_LIMITS.bytesMax)
    const document = checkedPolicy(file, text)
    const called = name ?? document.name
    if (called === '') throw usage(`--policy ${file}= has no name; leave out the sign or name it`)
    if (loaded.some((other) => other.name === called)) {
      throw usage(`two policies are called ${called}; tell them apart with --policy ${file}=NAME`)
    }
    const compiledFor = compiledByLists(document)
    loaded.push({ name: called, file, document, digest: textDigest(text), compiledFor })
  }
  return loaded
}

/** Names of all lists that policies use, in order. */
export function listsNamedBy(policies: readonly LoadedPolicy[]): readonly string[] {
  const named = policies.flatMap(({ document }) => document.lists.map(({ name }) => name))
  return [...new Set(named)].sort()
}

/** Features that a policy may read: all whose name occurs anywhere in it. */
export function featuresOf(policies: readonly Pick<LoadedPolicy, 'document'>[]): readonly string[] {
  const text = JSON.stringify(policies.map(({ document }) => document))
  return FEATURE_NAMES.filter((name) => text.includes(name))
}

/** Policies that use the thresholds of a model. */
export function needModel(policies: readonly LoadedPolicy[]): readonly LoadedPolicy[] {
  return policies.filter(({ document }) => document.thresholds.kind === 'model')
}

/** The costs of the first policy that has some; null when none has. */
export function costsOf(
  policies: readonly LoadedPolicy[],
): { readonly costs: AlertCosts; readonly from: string } | null {
  for (const { name, document } of policies) {
    const { thresholds } = document
    if (thresholds.kind === 'cost') return { costs: thresholds.costs, from: name }
  }
  return null
}

function checkedPolicy(file: string, text: string): PolicyDocument {
  const parsed = parseNewPolicy(text)
  if (parsed.ok) return parsed.policy
  const { faults } = parsed
  const shown = faultLines(file, faults.slice(0, FAULTS_SHOWN))
  const more = faults.length > shown.length ? [`and ${faults.length - shown.length} more`] : []
  throw new SluiceError(
    'SLUICE_POLICY_INVALID',
    `The policy cannot be used:\n  ${[...shown, ...more].join('\n  ')}\nCorrect the file; docs/policy.md has all fields.`,
    { details: { file, faults } },
  )
}

function usage(problem: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `sluice backtest: ${problem}.`)
}

// Finds the thresholds of the models that made stored scores, by digest.

/** Used when no policy reads the model's thresholds. */
const NOT_ASKED: Thresholds = { flag: NaN, block: NaN }

interface ModelPlaces {
  readonly store: ModelStore
  /** Folders searched in addition to the store. */
  readonly folders: readonly string[]
  /** Names of the policies that use a model's thresholds. */
  readonly askedBy: readonly string[]
}

export class ModelThresholds {
  readonly #places: ModelPlaces
  readonly #known = new Map<string, Thresholds>()
  #folders: Map<string, Thresholds> | null = null

  constructor(places: ModelPlaces) {
    this.#places = places
  }

  /** @throws SluiceError SLUICE_MODEL_NOT_FOUND when a policy uses the thresholds of a model that cannot be found. */
  async of(digest: string): Promise<Thresholds> {
    const { askedBy } = this.#places
    if (askedBy.length === 0) return NOT_ASKED
    const known = this.#known.get(digest)
    if (known !== undefined) return known
    const found = (await this.#inFolders(digest)) ?? (await this.#inStore(digest))
    if (found === null) {
      throw new SluiceError(
        'SLUICE_MODEL_NOT_FOUND',
        `${askedBy.join(', ')} goes by the thresholds of the model that decided, but ${digest} is neither in the store ` +
          `${this.#places.store.place} nor in the searched folders. Give its folder with --model, or write thresholds into the policy.`,
      )
    }
    this.#known.set(digest, found)
    return found
  }

  async #inStore(digest: string): Promise<Thresholds | null> {
    try {
      return (await this.#places.store.find(digest)).manifest.thresholds
    } catch (error) {
      if (isSluiceError(error, 'SLUICE_MODEL_NOT_FOUND')) return null
      throw error
    }
  }

  async #inFolders(digest: string): Promise<Thresholds | null> {
    if (this.#folders === null) {
      this.#folders = new Map()
      for (const folder of this.#places.folders) {
        if (!existsSync(join(folder, 'manifest.json'))) continue
        const model = await checkModel(folder)
        this.#folders.set(model.digest, model.manifest.thresholds)
      }
    }
    return this.#folders.get(digest) ?? null
  }
}

// The content of the lists of a backtest, row by row. A file takes precedence; then the lists of the chosen ruleset, if
// any; else those of the ruleset that decided the row. An entry that was added later counts only from then on.

const DIGEST_CHARACTERS = 12

/** Most rulesets whose lists are cached; each is a few references to lists. */
const RULESETS_MAX = 1_024

/** Most sets of lists in memory. Rows come in time order, so few are in use at once. */
const SETS_MAX = 4
const SHOWN_MAX = 5

/** The ruleset that decided a row; null when it is not recorded. */
export type DecidedBy = { readonly digest: string; readonly version: number } | null

/** Origin of a list, in words. */
export interface ListOrigin {
  readonly name: string
  readonly from: string
}

interface ListsOfRowsOptions {
  readonly store: ContentStore
  /** Names of the lists that policies use; others are not read. */
  readonly names: readonly string[]
  readonly files: ReadonlyMap<string, ListFile>
  /** The ruleset whose lists apply to all rows; null means those of the ruleset that decided each row. */
  readonly fixed: NamedRuleset | null
}

const NO_LISTS: Readonly<Record<string, string>> = {}

export class ListsOfRows {
  readonly #options: ListsOfRowsOptions
  /** Digests of lists by their name, for each ruleset digest. */
  readonly #rulesets = new Map<string, Readonly<Record<string, string>>>()
  /** Keyed by their digests, so that rulesets with the same lists share one object. */
  readonly #sets = new Map<string, PolicyLists>()
  readonly #versions = new Set<number>()
  readonly #lacking = new Map<string, number>()
  readonly #missingRulesets = new Set<string>()
  #unknownRows = 0
  #rows = 0

  constructor(options: ListsOfRowsOptions) {
    this.#options = options
  }

  /**
   * The lists for a row with this decider. Equal content gives the same object as long as it is cached.
   * @throws SluiceError SLUICE_POLICY_CORRUPT when the store holds a damaged file.
   */
  async of(by: DecidedBy): Promise<PolicyLists> {
    const { fixed } = this.#options
    return this.#setOf(fixed === null ? await this.#digestsOf(by) : fixed.ruleset.lists)
  }

  /** Counts a row to which these lists apply. */
  count(lists: PolicyLists, by: DecidedBy): void {
    this.#rows += 1
    if (by !== null && this.#missingRulesets.has(by.digest)) this.#unknownRows += 1
    for (const name of this.#options.names) {
      if (!lists.has(name)) this.#lacking.set(name, (this.#lacking.get(name) ?? 0) + 1)
    }
  }

  /** Origin of each list; complete once all rows are counted. */
  get origins(): readonly ListOrigin[] {
    return this.#options.names.map((name) => ({ name, from: this.#originOf(name) }))
  }

  /** Caveats of the figures, for the report. */
  get warnings(): readonly string[] {
    const { store, fixed, names, files } = this.#options
    const lists = names.flatMap((name) => this.#lackText(name, this.#lacking.get(name) ?? 0))
    const early =
      fixed !== null && names.some((name) => !files.has(name) && name in fixed.ruleset.lists)
        ? [
            `Entries of version ${fixed.ruleset.version} count from the first transaction to their end, also those that were added ` +
              'later: what was learnt from a fraud may count against that very fraud.',
          ]
        : []
    if (this.#unknownRows === 0) return [...lists, ...early]
    const missing = [...this.#missingRulesets].map((digest) => digest.slice(0, DIGEST_CHARACTERS))
    const more = missing.length > SHOWN_MAX ? ' and more' : ''
    return [
      ...lists,
      ...early,
      `${this.#unknownRows} of ${this.#rows} transactions were decided by rulesets whose lists the store ${store.place} lacks ` +
        `(${missing.slice(0, SHOWN_MAX).join(', ')}${more}): their lists are taken as empty. Give the store in ` +
        'which they were applied with --store.',
    ]
  }

  #originOf(name: string): string {
    const { files, fixed } = this.#options
    const file = files.get(name)
    const versions = [...this.#versions].sort((a, b) => a - b)
    const [first, last] = [versions[0], versions.at(-1)]
    if (file !== undefined) {
      const isOver = fixed !== null || versions.length > 0
      return `file ${file.file}${isOver ? ', in place of what the ruleset has' : ''}`
    }
    const isEmpty = (this.#lacking.get(name) ?? 0) === this.#rows
    if (isEmpty) return 'nowhere: empty'
    if (fixed !== null) {
      return `ruleset version ${fixed.ruleset.version} (${fixed.digest.slice(0, DIGEST_CHARACTERS)})`
    }
    assert(first !== undefined && last !== undefined, 'Some ruleset had the list.')
    return first === last
      ? `the ruleset that decided, version ${first}`
      : `the rulesets that decided, versions ${first} to ${last}`
  }

  #lackText(name: string, lacking: number): readonly string[] {
    if (lacking === 0) return []
    const remedy = `give it with --list ${name}=FILE, or that of another ruleset with --lists-of`
    return lacking === this.#rows
      ? [`The list ${name} was not found and is taken as empty; ${remedy}.`]
      : [
          `The list ${name} was not there yet for ${lacking} of ${this.#rows} transactions and is taken as empty for them; ` +
            `to try one content on all, ${remedy}.`,
        ]
  }

  async #digestsOf(by: DecidedBy): Promise<Readonly<Record<string, string>>> {
    // The built-in policy has no lists, and without list names none need reading.
    if (by === null || by.version === 0 || this.#options.names.length === 0) return NO_LISTS
    const known = this.#rulesets.get(by.digest)
    if (known !== undefined) return known
    const ruleset = await this.#found(by.digest, () => findRuleset(this.#options.store, by.digest))
    const lists = ruleset === null ? NO_LISTS : await this.#present(by.digest, ruleset)
    if (ruleset !== null) this.#versions.add(ruleset.version)
    if (this.#rulesets.size >= RULESETS_MAX) this.#rulesets.clear()
    this.#rulesets.set(by.digest, lists)
    return lists
  }

  /** The lists of a ruleset that policies use and that the store holds. */
  async #present(digest: string, { lists }: Ruleset): Promise<Readonly<Record<string, string>>> {
    const present: [string, string][] = []
    for (const [name, listDigest] of this.#used(lists)) {
      const content = await this.#found(digest, () => findList(this.#options.store, listDigest))
      if (content !== null) present.push([name, listDigest])
    }
    return Object.fromEntries(present)
  }

  #used(lists: Readonly<Record<string, string>>): readonly (readonly [string, string])[] {
    const { names, files } = this.#options
    return Object.entries(lists)
      .filter(([name]) => names.includes(name) && !files.has(name))
      .sort(([a], [b]) => (a < b ? -1 : 1))
  }

  async #setOf(lists: Readonly<Record<string, string>>): Promise<PolicyLists> {
    const used = this.#used(lists)
    const key = JSON.stringify(used)
    const known = this.#sets.get(key)
    if (known !== undefined) return known
    const { files, store } = this.#options
    const set = new Map<string, ListContent>()
    for (const [name, { content }] of files) set.set(name, content)
    for (const [name, digest] of used) set.set(name, await findList(store, digest))
    const [oldest] = this.#sets.keys()
    if (this.#sets.size >= SETS_MAX && oldest !== undefined) this.#sets.delete(oldest)
    this.#sets.set(key, set)
    return set
  }

  /** Null, and remembered, when the store lacks it. */
  async #found<Found>(ruleset: string, find: () => Promise<Found>): Promise<Found | null> {
    try {
      return await find()
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_POLICY_NOT_FOUND')) throw error
      this.#missingRulesets.add(ruleset)
      return null
    }
  }
}

// Lists given to a backtest as files.

/** A list and its file. */
interface ListFile {
  readonly file: string
  readonly content: ListContent
}

/** Reads `--list name=file` options. @throws SluiceError SLUICE_INPUT_INVALID, SLUICE_USAGE. */
export async function loadLists(
  options: readonly string[],
): Promise<ReadonlyMap<string, ListFile>> {
  const lists = new Map<string, ListFile>()
  for (const option of options) {
    const at = option.indexOf('=')
    if (at <= 0) throw usage(`--list ${option} has no name; write --list NAME=FILE`)
    const [name, file] = [option.slice(0, at), option.slice(at + 1)]
    if (lists.has(name)) throw usage(`the list ${name} is given twice`)
    const text = await readBounded(file, LIST_LIMITS.bytesMax)
    try {
      lists.set(name, { file, content: readList(text) })
    } catch (error) {
      if (!isSluiceError(error, 'SLUICE_POLICY_CORRUPT')) throw error
      const { problem } = error.details
      throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is no list: ${String(problem)}.`, {
        cause: error,
      })
    }
  }
  return lists
}

// Reads files named by the user, up to a size limit.

/** @throws SluiceError SLUICE_INPUT_INVALID for a file that cannot be read, or is too large. */
export async function readBounded(file: string, bytesMax: number): Promise<string> {
  try {
    const { size } = await stat(file)
    if (size <= bytesMax) return await readFile(file, 'utf8')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError('SLUICE_INPUT_INVALID', `${file} cannot be read: ${problem}.`, {
      cause: error,
    })
  }
  throw new SluiceError('SLUICE_INPUT_INVALID', `${file} is larger than ${bytesMax} bytes.`)
}
