// Public entry of the skew meter, and of the feed of replays that other commands use.

export { feedReplay, type FeedOptions, type FedReplay, type Taken } from './replay-feed.ts'
export { loadSkewConfig, type SkewConfig } from './config.ts'
export { runSkewMeter, type SkewOptions } from './run-skew.ts'
