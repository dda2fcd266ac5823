// docs/configuration.md, made from the list of variables.

import { format, resolveConfig } from 'prettier'
import { type Variable, VARIABLE_GROUPS } from '../../services/platform/config/variable.ts'
import { VARIABLES } from '../../services/platform/config/variables.ts'

const OPENING = `# Configuration

Environment variables configure everything; options of the command line take precedence. An empty variable counts as not set. Wrong
values are all reported at once, each with its name, value and allowed range, before any connection is opened (exit code 2).

This page is generated from \`services/platform/config/\` by \`npm run docs\`; a test compares the two.

Lists are comma-separated. Durations are in milliseconds, as their names say. The values of secrets are never shown.
`

const PREAMBLES: Readonly<Partial<Record<(typeof VARIABLE_GROUPS)[number], string>>> = {
  'TLS and login': `Passwords and keys may be in files (\`_FILE\`), as Compose and Kubernetes mount them; setting both a variable and its file is an error.
[security.md](security.md) shows what to set for TLS, SASL, client certificates and users of Redis.\n\n`,
}

/** The page as it should be. */
export async function configurationPage(): Promise<string> {
  const sections = VARIABLE_GROUPS.map((group) => {
    const rows = Object.entries<Variable>(VARIABLES)
      .filter(([, variable]) => variable.group === group)
      .map(([name, variable]) => row(name, variable))
    return `## ${group}\n\n${PREAMBLES[group] ?? ''}| variable | read by | meaning | default | values |\n| --- | --- | --- | --- | --- |\n${rows.join('\n')}\n`
  })
  const options = (await resolveConfig(import.meta.filename)) ?? {}
  return await format([OPENING, ...sections].join('\n'), { ...options, parser: 'markdown' })
}

function row(name: string, variable: Variable): string {
  const cells = [
    `\`${name}\``,
    variable.readBy,
    variable.meaning,
    defaultOf(variable),
    valuesOf(variable),
  ]
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`
}

function defaultOf(variable: Variable): string {
  switch (variable.kind) {
    case 'text':
    case 'choice':
      return variable.default === null ? 'none' : `\`${variable.default}\``
    case 'list':
      return variable.default.length === 0 ? 'none' : `\`${variable.default.join(',')}\``
    case 'boolean':
    case 'integer':
    case 'number':
      return `\`${String(variable.default)}\``
  }
}

function valuesOf(variable: Variable): string {
  switch (variable.kind) {
    case 'text':
      return variable.form
    case 'choice':
      return variable.words.map((word) => `\`${word}\``).join(', ')
    case 'list':
      return 'list'
    case 'boolean':
      return '`true`, `false`'
    case 'integer':
      return `${variable.min} to ${variable.max}`
    case 'number':
      return `${variable.min} to ${variable.max}, fractions allowed`
  }
}
