// Decide requests with @cloud-copilot/iam-simulate (AGPL-3.0-or-later), a process of its own that never ships.
// Each line of the standard input is one simulation; each line of the output is the decision on it.
import { createInterface } from 'node:readline'

import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await runSimulation(JSON.parse(line), {})
  const decided = answer.resultType === 'single'
  process.stdout.write(JSON.stringify({
    decision: decided ? answer.overallResult : null,
    resource: decided ? answer.result.analysis.resourceAnalysis?.result ?? null : null,
    ignored: decided ? answer.result.ignoredContextKeys : [],
    refusal: decided ? null : answer.errors ?? answer.resultType,
  }) + '\n')
}
