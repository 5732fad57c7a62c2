// A process that loads one handler and invokes it with each line of standard input, then reports itself: what
// bench/invoke.py does in Python.
const fs = require("node:fs");
const os = require("node:os");
const readline = require("node:readline");

const context = {
  functionName: "huntaze-stripe-bench",
  awsRequestId: "00000000-0000-4000-8000-000000000000",
  getRemainingTimeInMillis: () => 30_000,
};

const main = async (module, answers) => {
  const { handler } = require(module);
  const outcomes = [];
  for await (const line of readline.createInterface({ input: process.stdin })) {
    if (line) outcomes.push((await handler(JSON.parse(line), context)).outcome);
    else os.getPriority(0);
  }
  const { user, system } = process.cpuUsage();
  const peak = /^VmHWM:\s+(\d+)/m.exec(fs.readFileSync("/proc/self/status", "ascii"));
  fs.writeSync(answers, JSON.stringify({ outcomes, cpu_ms: (user + system) / 1000, peak_kb: Number(peak[1]) }));
  process.exit(0);
};

main(process.argv[2], Number(process.argv[3]));
