// The rights of the roles, from infra/security/, granted to and revoked from a running Kafka and Redis.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import kafkajs, { type AclEntry, type Admin } from 'kafkajs'
import { eventually } from './poll.ts'

const FOLDER = join(import.meta.dirname, '../../infra/security')

interface AclList {
  readonly role: string
  readonly principal: string
  readonly acls: readonly {
    readonly resource: 'TOPIC' | 'GROUP' | 'TRANSACTIONAL_ID'
    readonly pattern: 'LITERAL' | 'PREFIXED'
    readonly name: string
    readonly operations: readonly ('READ' | 'WRITE' | 'CREATE' | 'DELETE' | 'DESCRIBE')[]
  }[]
}

/** Every right of a role: one operation on one resource. */
export function rightsOf(role: string, prefix: string, groupId: string): readonly AclEntry[] {
  const text = readFileSync(join(FOLDER, 'kafka-acls.json'), 'utf8')
  const list = (JSON.parse(text) as { readonly roles: readonly AclList[] }).roles.find(
    (entry) => entry.role === role,
  )
  if (list === undefined) throw new Error(`kafka-acls.json has no role ${role}.`)
  return list.acls.flatMap(({ resource, pattern, name, operations }) =>
    operations.map((operation) => ({
      resourceType: kafkajs.AclResourceTypes[resource],
      resourceName: name
        .replace('${TOPIC_PREFIX}', prefix)
        .replace('${GROUP_ID}', groupId)
        .replace('${SOURCE_TOPIC}', `${prefix}acme.payments`),
      resourcePatternType: kafkajs.ResourcePatternTypes[pattern],
      principal: list.principal,
      host: '*',
      operation: kafkajs.AclOperationTypes[operation],
      permissionType: kafkajs.AclPermissionTypes.ALLOW,
    })),
  )
}

/** A right in words, for messages. */
export function wordsOf(right: AclEntry): string {
  const operation = Object.entries(kafkajs.AclOperationTypes).find(
    ([, code]) => code === right.operation,
  )
  return `${right.principal} ${operation?.[0] ?? '?'} ${right.resourceName}`
}

/** Grants the rights and waits until the broker knows them. */
export async function grant(admin: Admin, rights: readonly AclEntry[]): Promise<void> {
  if (rights.length > 0) await admin.createAcls({ acl: [...rights] })
  for (const right of rights) {
    await eventually(`${wordsOf(right)} is granted`, () => isGranted(admin, right))
  }
}

/** Revokes one right and waits until the broker applies that. */
export async function take(admin: Admin, right: AclEntry): Promise<void> {
  await admin.deleteAcls({ filters: [right] })
  await eventually(`${wordsOf(right)} is taken`, async () => !(await isGranted(admin, right)))
}

async function isGranted(admin: Admin, right: AclEntry): Promise<boolean> {
  const { resources } = await admin.describeAcls(right)
  return resources.some(({ acls }) => acls.length > 0)
}

/** The commands that a user of redis-users.acl may run, in the order of the file. */
export function redisCommandsOf(user: string): readonly string[] {
  const lines = readFileSync(join(FOLDER, 'redis-users.acl'), 'utf8').split('\n')
  const words = lines.find((line) => line.startsWith(`user ${user} `))?.split(' ') ?? []
  return words.filter((word) => word.startsWith('+')).map((word) => word.slice(1))
}
