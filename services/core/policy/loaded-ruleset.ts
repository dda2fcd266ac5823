// Loads a ruleset: checks its texts against their digests, parses and compiles them.

import { compilePolicy } from './compile-policy.ts'
import type { PolicyDocument } from './policy-document.ts'
import { corruptPolicy, type ListContent, readList } from './policy-lists.ts'
import { parsePolicy } from './policy-parsing.ts'
import { readRuleset, type Ruleset, textDigest } from './ruleset.ts'
import type { CompiledPolicy } from './ruling.ts'

/** The texts named by a ruleset, each found by its digest. */
export interface RulesetTexts {
  readonly ruleset: string
  /** Null when the ruleset names none. */
  readonly policy: string | null
  /** By list name. */
  readonly lists: ReadonlyMap<string, string>
}

/** A checked and compiled ruleset. */
export interface LoadedRuleset {
  readonly digest: string
  readonly ruleset: Ruleset
  /** Null for the built-in policy. */
  readonly policy: { readonly document: PolicyDocument; readonly compiled: CompiledPolicy } | null
}

/**
 * Checks every text against its digest, and compiles.
 * @throws SluiceError SLUICE_POLICY_CORRUPT
 */
export function loadRuleset(digest: string, texts: RulesetTexts): LoadedRuleset {
  expectDigest(texts.ruleset, digest, 'the ruleset')
  const ruleset = readRuleset(texts.ruleset)
  const lists = new Map(
    Object.entries(ruleset.lists).map(([name, listDigest]) => [
      name,
      checkedList(name, texts.lists.get(name), listDigest),
    ]),
  )
  if (ruleset.policy === null) return { digest, ruleset, policy: null }
  const text = texts.policy ?? ''
  expectDigest(text, ruleset.policy, 'the policy')
  const document = checkedPolicy(text)
  return {
    digest,
    ruleset,
    policy: { document, compiled: compilePolicy(document, lists, ruleset) },
  }
}

/** @throws SluiceError SLUICE_POLICY_CORRUPT when this build refuses the policy. */
function checkedPolicy(text: string): PolicyDocument {
  const parsed = parsePolicy(text)
  if (parsed.ok) return parsed.policy
  const [first] = parsed.faults
  const place = first === undefined ? '' : `line ${first.line}, ${first.path} ${first.message}`
  throw corruptPolicy(`this build refuses the policy: ${place}`)
}

function checkedList(name: string, text: string | undefined, digest: string): ListContent {
  expectDigest(text ?? '', digest, `the list ${name}`)
  const list = readList(text ?? '')
  if (list.name !== name) throw corruptPolicy(`the list ${name} is named ${list.name} in its text`)
  return list
}

function expectDigest(text: string, digest: string, what: string): void {
  if (textDigest(text) !== digest) throw corruptPolicy(`${what} is not the text of ${digest}`)
}
