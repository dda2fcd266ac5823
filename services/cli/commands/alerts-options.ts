// Options of `sluice alerts` that need reading.

import { InvalidArgumentError } from 'commander'

/** Reads a list of brokers, such as 127.0.0.1:19092,[::1]:19092. */
export function brokersOption(text: string): readonly string[] {
  const brokers = text.split(',').map((broker) => broker.trim())
  if (brokers.every((broker) => /^([^\s:]+|\[[0-9a-fA-F:]+\]):\d{1,5}$/.test(broker)))
    return brokers
  throw new InvalidArgumentError('Give HOST:PORT, or several with commas between.')
}
