// A policy from a file, checked, with every fault in words.

import { readFile } from 'node:fs/promises'
import { SluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import { parseNewPolicy, type ParsedPolicy } from '../../core/policy/policy-parsing.ts'
import type { YamlFault } from '../../core/yaml/yaml-fields.ts'

export interface ReadPolicy {
  readonly text: string
  readonly document: PolicyDocument
}

/** @throws SluiceError SLUICE_INPUT_INVALID when the file cannot be read. */
export async function parsePolicyFile(
  file: string,
): Promise<{ readonly text: string; readonly parsed: ParsedPolicy }> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The policy ${file} cannot be read: ${problem}. Give the path of a YAML file.`,
      { cause: error },
    )
  }
  return { text, parsed: parseNewPolicy(text) }
}

/** @throws SluiceError SLUICE_POLICY_INVALID naming every fault, or SLUICE_INPUT_INVALID. */
export async function readPolicyFile(file: string): Promise<ReadPolicy> {
  const { text, parsed } = await parsePolicyFile(file)
  if (parsed.ok) return { text, document: parsed.policy }
  const { faults } = parsed
  throw new SluiceError(
    'SLUICE_POLICY_INVALID',
    `The policy ${file} is not applied; it has ${faultCount(faults)}:\n${faultLines(file, faults).join('\n')}\n` +
      'Correct them and ask again; docs/policy.md has every field.',
    { details: { file, faults } },
  )
}

/** How many there are, in words. */
export function faultCount({ length }: readonly YamlFault[]): string {
  return `${length} ${length === 1 ? 'fault' : 'faults'}`
}

/** As compilers print them: file, line, column, what. */
export function faultLines(file: string, faults: readonly YamlFault[]): readonly string[] {
  return faults.map(({ line, column, path, message }) =>
    `${file}:${line}:${column}: ${path} ${message}`.replace(':  ', ': '),
  )
}
