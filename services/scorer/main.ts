// Scorer process: transactions and labels in, decisions and alerts out.

import { runScorer } from './run.ts'

// Whatever still holds a handle after closing must not keep the process.
process.exit(await runScorer(process.env))
