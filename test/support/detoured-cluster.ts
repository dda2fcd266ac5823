// A cluster that is reached past the addresses that its brokers advertise.

import { Cluster, type RequestKind } from '../../services/platform/kafka/native/cluster.ts'

/** Address used for every broker instead of the advertised one. */
export interface Detour {
  readonly host: string
  readonly port: number
}

/** An answer with another address for every broker that it names. */
export function detoured<Answer>(answer: Answer, { host, port }: Detour): Answer {
  if (typeof answer !== 'object' || answer === null) return answer
  if ('host' in answer) return { ...answer, host, port }
  if (!('brokers' in answer) || !Array.isArray(answer.brokers)) return answer
  const brokers = answer.brokers.map((broker: object) => ({ ...broker, host, port }))
  return { ...answer, brokers }
}

export class DetouredCluster extends Cluster {
  detour: Detour | null = null

  override async sendToAny<Body, Answer>(
    kind: RequestKind<Body, Answer>,
    body: Body,
  ): Promise<Answer> {
    const answer = await super.sendToAny(kind, body)
    return this.detour === null ? answer : detoured(answer, this.detour)
  }
}
