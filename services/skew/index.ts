// Public entry of the skew meter, and of the feed of replays that other commands use.

export { feedReplay, type FeedOptions, type FedReplay } from './replay-feed.ts'
