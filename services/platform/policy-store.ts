// Store of policies, lists and rulesets by content, alongside the models: `<store>/policies/<digest>.yaml` or `.json`.
// Entries never change, so that any decision can be recomputed.

import { existsSync } from 'node:fs'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isDigest } from '../core/control/deployment.ts'
import { SluiceError } from '../core/errors.ts'
import { loadRuleset, type LoadedRuleset } from '../core/policy/loaded-ruleset.ts'
import { POLICY_LIMITS } from '../core/policy/policy-document.ts'
import {
  corruptPolicy,
  LIST_LIMITS,
  type ListContent,
  listText,
  readList,
} from '../core/policy/policy-lists.ts'
import {
  readRuleset,
  type Ruleset,
  RULESET_BYTES_MAX,
  rulesetText,
  textDigest,
} from '../core/policy/ruleset.ts'
import { writeFileAtomically } from './files/atomic-file.ts'

const FOLDER = 'policies'

/** Stores a policy and returns its digest. */
export function addPolicyText(store: string, text: string): string {
  return add(store, text, 'yaml')
}

/** Stores a list and returns its digest. */
export function addList(store: string, list: ListContent): string {
  return add(store, listText(list), 'json')
}

/** Stores a ruleset and returns its digest. The policy and lists that it names must be stored before. */
export function addRuleset(store: string, ruleset: Ruleset): string {
  return add(store, rulesetText(ruleset), 'json')
}

/** The YAML text of a policy. @throws SluiceError SLUICE_POLICY_NOT_FOUND or SLUICE_POLICY_CORRUPT */
export function findPolicyText(store: string, digest: string): Promise<string> {
  return find(store, digest, 'yaml', POLICY_LIMITS.bytesMax)
}

/** A list. @throws SluiceError SLUICE_POLICY_NOT_FOUND or SLUICE_POLICY_CORRUPT */
export async function findList(store: string, digest: string): Promise<ListContent> {
  return readList(await find(store, digest, 'json', LIST_LIMITS.bytesMax))
}

/** A ruleset alone. @throws SluiceError SLUICE_POLICY_NOT_FOUND or SLUICE_POLICY_CORRUPT */
export async function findRuleset(store: string, digest: string): Promise<Ruleset> {
  return readRuleset(await find(store, digest, 'json', RULESET_BYTES_MAX))
}

/**
 * Loads a ruleset with its policy and lists, checks every digest, and compiles. @throws SluiceError
 * SLUICE_POLICY_NOT_FOUND or SLUICE_POLICY_CORRUPT
 */
export async function openRuleset(store: string, digest: string): Promise<LoadedRuleset> {
  const text = await find(store, digest, 'json', RULESET_BYTES_MAX)
  const ruleset = readRuleset(text)
  const lists = new Map<string, string>()
  for (const [name, listDigest] of Object.entries(ruleset.lists)) {
    lists.set(name, await find(store, listDigest, 'json', LIST_LIMITS.bytesMax))
  }
  const policy = ruleset.policy === null ? null : await findPolicyText(store, ruleset.policy)
  return loadRuleset(digest, { ruleset: text, policy, lists })
}

/** All readable rulesets of the store, newest version first; empty when the store does not exist. */
export async function listRulesets(
  store: string,
): Promise<readonly { readonly digest: string; readonly ruleset: Ruleset }[]> {
  const folder = join(store, FOLDER)
  const names = existsSync(folder) ? await readdir(folder) : []
  const found: { readonly digest: string; readonly ruleset: Ruleset }[] = []
  for (const name of names) {
    const digest = name.replace(/\.json$/, '')
    if (!name.endsWith('.json') || !isDigest(digest)) continue
    const file = join(folder, name)
    // Lists are in the same folder, and may be long.
    if ((await stat(file)).size > RULESET_BYTES_MAX) continue
    const text = await readFile(file, 'utf8')
    if (!text.startsWith('{"format":1,"version":')) continue
    const ruleset = await findRuleset(store, digest).catch(() => null)
    if (ruleset !== null) found.push({ digest, ruleset })
  }
  return found.sort(
    (one, other) =>
      other.ruleset.version - one.ruleset.version || one.digest.localeCompare(other.digest),
  )
}

type Extension = 'yaml' | 'json'

function add(store: string, text: string, extension: Extension): string {
  const digest = textDigest(text)
  // Overwrites an existing file, which may be damaged.
  writeFileAtomically(fileOf(store, digest, extension), text)
  return digest
}

async function find(
  store: string,
  digest: string,
  extension: Extension,
  bytesMax: number,
): Promise<string> {
  const file = fileOf(store, digest, extension)
  if (!isDigest(digest) || !existsSync(file)) throw notFound(store, digest)
  if ((await stat(file)).size > bytesMax)
    throw corruptPolicy(`${file} is larger than ${bytesMax} bytes`)
  const text = await readFile(file, 'utf8')
  if (textDigest(text) !== digest) throw corruptPolicy(`${file} is not the text of its digest`)
  return text
}

function fileOf(store: string, digest: string, extension: Extension): string {
  return join(store, FOLDER, `${digest}.${extension}`)
}

function notFound(store: string, digest: string): SluiceError {
  return new SluiceError(
    'SLUICE_POLICY_NOT_FOUND',
    `The store ${store} has no policy, list or ruleset ${digest}. Apply the policy again with "sluice policy apply", ` +
      'copy the folder "policies" of the store in which it was applied, or correct SLUICE_MODEL_STORE.',
    { details: { store, digest } },
  )
}
