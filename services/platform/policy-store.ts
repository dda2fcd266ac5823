// Policies, lists and rulesets in a content store. They never change, so that any decision can be recomputed.

import type { ArtifactKind } from '../core/artifact.ts'
import { isSluiceError, SluiceError } from '../core/errors.ts'
import { loadRuleset, type LoadedRuleset } from '../core/policy/loaded-ruleset.ts'
import { corruptPolicy, type ListContent, listText, readList } from '../core/policy/policy-lists.ts'
import { readRuleset, type Ruleset, rulesetText } from '../core/policy/ruleset.ts'
import type { ContentStore } from './stores/content-store.ts'

/** Stores a policy and returns its digest. @throws SluiceError as `ContentStore.put` */
export function addPolicyText(store: ContentStore, text: string): Promise<string> {
  return store.put('policy', Buffer.from(text))
}

/** Stores a list and returns its digest. @throws SluiceError as `ContentStore.put` */
export function addList(store: ContentStore, list: ListContent): Promise<string> {
  return store.put('list', Buffer.from(listText(list)))
}

/**
 * Stores a ruleset and returns its digest. The policy and lists that it names must be stored before.
 * @throws SluiceError as `ContentStore.put`
 */
export function addRuleset(store: ContentStore, ruleset: Ruleset): Promise<string> {
  return store.put('ruleset', Buffer.from(rulesetText(ruleset)))
}

/**
 * The YAML text of a policy. @throws SluiceError SLUICE_POLICY_NOT_FOUND, SLUICE_POLICY_CORRUPT or
 * SLUICE_STORE_UNAVAILABLE
 */
export function findPolicyText(store: ContentStore, digest: string): Promise<string> {
  return find(store, 'policy', digest)
}

/** A list. @throws SluiceError as `findPolicyText` */
export async function findList(store: ContentStore, digest: string): Promise<ListContent> {
  return readList(await find(store, 'list', digest))
}

/** A ruleset alone. @throws SluiceError as `findPolicyText` */
export async function findRuleset(store: ContentStore, digest: string): Promise<Ruleset> {
  return readRuleset(await find(store, 'ruleset', digest))
}

/** Loads a ruleset with its policy and lists, and compiles. @throws SluiceError as `findPolicyText` */
export async function openRuleset(store: ContentStore, digest: string): Promise<LoadedRuleset> {
  const text = await find(store, 'ruleset', digest)
  const ruleset = readRuleset(text)
  const lists = new Map<string, string>()
  for (const [name, listDigest] of Object.entries(ruleset.lists)) {
    lists.set(name, await find(store, 'list', listDigest))
  }
  const policy = ruleset.policy === null ? null : await findPolicyText(store, ruleset.policy)
  return loadRuleset(digest, { ruleset: text, policy, lists })
}

/** All readable rulesets of the store, newest version first; empty when the store does not exist. */
export async function listRulesets(
  store: ContentStore,
): Promise<readonly { readonly digest: string; readonly ruleset: Ruleset }[]> {
  const found: { readonly digest: string; readonly ruleset: Ruleset }[] = []
  for (const { digest } of await store.list('ruleset')) {
    const ruleset = await findRuleset(store, digest).catch(unlessAway)
    if (ruleset !== null) found.push({ digest, ruleset })
  }
  return found.sort(
    (one, other) =>
      other.ruleset.version - one.ruleset.version || one.digest.localeCompare(other.digest),
  )
}

/** Null for content that is no ruleset, or damaged. */
function unlessAway(error: unknown): null {
  if (
    isSluiceError(error, 'SLUICE_POLICY_CORRUPT') ||
    isSluiceError(error, 'SLUICE_POLICY_NOT_FOUND')
  )
    return null
  throw error
}

async function find(store: ContentStore, kind: ArtifactKind, digest: string): Promise<string> {
  try {
    const bytes = await store.get(kind, digest)
    if (bytes !== null) return bytes.toString('utf8')
  } catch (error) {
    if (!isSluiceError(error, 'SLUICE_STORE_CORRUPT')) throw error
    throw corruptPolicy(String(error.details['problem']), error)
  }
  throw new SluiceError(
    'SLUICE_POLICY_NOT_FOUND',
    `The store ${store.place} has no ${kind} ${digest}. Apply the policy again with "sluice policy apply", copy it from ` +
      'the store in which it was applied, or correct SLUICE_POLICY_STORE or SLUICE_MODEL_STORE.',
    { details: { store: store.place, digest } },
  )
}
