// How the reports of `sluice bench` write numbers.

import type { CpuPerEvent } from './process-meter.ts'

const MEBIBYTE = 1024 * 1024

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(0)} MiB`
}

export function cpuText(cpu: CpuPerEvent): string {
  return Object.entries(cpu)
    .map(([name, us]) => `${name} ${us === null ? 'unknown' : us.toFixed(1)}`)
    .join(', ')
}
