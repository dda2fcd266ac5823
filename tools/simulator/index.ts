// Public entry of the simulator: a seeded world of cards, terminals and fraud.

export { simulate } from './simulate.ts'
export { SIMULATION_START_MS, SIMULATOR_DEFAULTS } from './options.ts'
export type { SimulatorOptions } from './options.ts'
