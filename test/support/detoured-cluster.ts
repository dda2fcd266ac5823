// A cluster that is reached past the addresses that its brokers advertise.

import { Cluster, type RequestKind } from '../../services/platform/kafka/native/cluster.ts'

export class DetouredCluster extends Cluster {
  /** Address used for every broker instead of the advertised one. */
  detour: { readonly host: string; readonly port: number } | null = null

  override async sendToAny<Body, Answer>(
    kind: RequestKind<Body, Answer>,
    body: Body,
  ): Promise<Answer> {
    const answer = await super.sendToAny(kind, body)
    if (this.detour === null || typeof answer !== 'object' || answer === null) return answer
    const { host, port } = this.detour
    if ('host' in answer) return { ...answer, host, port }
    if (!('brokers' in answer) || !Array.isArray(answer.brokers)) return answer
    const brokers = answer.brokers.map((broker: object) => ({ ...broker, host, port }))
    return { ...answer, brokers }
  }
}
