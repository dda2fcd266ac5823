// Public entry of the skew meter, and of the replay feed used by other commands.

export { feedReplay, type Taken } from './replay-feed.ts'
export { measureSkew } from './skew-meter.ts'
export { loadSkewConfig } from './config.ts'
export { runSkewMeter } from './skew-meter.ts'
