import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { test } from 'node:test';
import { runFaults } from './faults/run.ts';

// `npm run faults` does the same at greater length.
test('kill -9 of the server, of PostgreSQL, of both: what was answered stands, and nothing else was posted', async (t) => {
  const seed = randomInt(2 ** 31);
  const report = await runFaults({
    seed,
    rounds: ['server', 'postmaster', 'both', 'backend'],
    clients: 8,
    load_ms: 800,
    onProgress: (line) => t.diagnostic(line),
  });
  assert.deepEqual(report.violations, [], `npm run faults -- --seed ${seed}`);
  assert.equal(report.kills, 5);
  assert.ok(report.asked > 4 * 8, `only ${report.asked} requests came to an outcome`);
});
