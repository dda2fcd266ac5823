// What the lists of a backtest hold, row by row. A file wins; then, where one ruleset is asked for, its lists; else those
// of the ruleset that decided the row: an entry that was added later was not known then, and counts only from there on.

import { isSluiceError } from '../../core/errors.ts'
import type { ListContent, PolicyLists } from '../../core/policy/policy-lists.ts'
import type { Ruleset } from '../../core/policy/ruleset.ts'
import { findList, findRuleset } from '../../platform/policy-store.ts'
import type { NamedRuleset } from '../policy/named-ruleset.ts'
import type { ListFile } from './list-files.ts'

const DIGEST_CHARACTERS = 12
/** Rulesets whose lists are remembered; each is a few references to lists. */
const RULESETS_MAX = 1_024
/** Sets of lists that are held; rows come in the order of time, so few are in use at once. */
const SETS_MAX = 4
const SHOWN_MAX = 5

/** What decided a row; null where nothing says so. */
export type DecidedBy = { readonly digest: string; readonly version: number } | null

/** Where a list is from, in words. */
export interface ListOrigin {
  readonly name: string
  readonly from: string
}

export interface ListsOfRowsOptions {
  readonly store: string
  /** Lists that policies use; others are not read. */
  readonly names: readonly string[]
  readonly files: ReadonlyMap<string, ListFile>
  /** Whose lists hold for all rows; null goes by what decided each. */
  readonly fixed: NamedRuleset | null
}

const NO_LISTS: Readonly<Record<string, string>> = {}

export class ListsOfRows {
  readonly #options: ListsOfRowsOptions
  /** List names to digests, by the digest of the ruleset. */
  readonly #rulesets = new Map<string, Readonly<Record<string, string>>>()
  /** By their digests, so that rulesets with the same lists share one object. */
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
   * The lists for a row that was decided so; the same object for the same content, as long as it is in use.
   * @throws SluiceError SLUICE_POLICY_CORRUPT for what is in the store and is not as it was written.
   */
  async of(by: DecidedBy): Promise<PolicyLists> {
    const { fixed } = this.#options
    return this.#setOf(fixed === null ? await this.#digestsOf(by) : fixed.ruleset.lists)
  }

  /** Counts a row that is ruled with these lists. */
  count(lists: PolicyLists, by: DecidedBy): void {
    this.#rows += 1
    if (by !== null && this.#missingRulesets.has(by.digest)) this.#unknownRows += 1
    for (const name of this.#options.names) {
      if (!lists.has(name)) this.#lacking.set(name, (this.#lacking.get(name) ?? 0) + 1)
    }
  }

  /** Where each list is from; complete when all rows were counted. */
  get origins(): readonly ListOrigin[] {
    return this.#options.names.map((name) => ({ name, from: this.#originOf(name) }))
  }

  /** What a reader of the figures must know. */
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
      `${this.#unknownRows} of ${this.#rows} transactions were decided by rulesets whose lists the store ${store} lacks ` +
        `(${missing.slice(0, SHOWN_MAX).join(', ')}${more}): their lists are taken as empty. Copy the folder "policies" of ` +
        'the store in which they were applied, or give it with --store.',
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
    return first === last
      ? `the ruleset that decided, version ${first ?? 0}`
      : `the rulesets that decided, versions ${first ?? 0} to ${last ?? 0}`
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
    // The built-in policy has no lists, and policies without any need none read.
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

  /** The lists of a ruleset that policies use and that the store has. */
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

  /** Null for what the store lacks, which is remembered. */
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
