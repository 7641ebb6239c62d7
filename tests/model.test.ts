import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Client } from 'pg';
import { openTestPlatform, type TestPlatform } from '../src/testing.ts';
import { mutants, plant } from './model/mutants.ts';
import { runModel } from './model/run.ts';

let platform: TestPlatform;
before(async () => {
  // What planted bugs make the server log is no failure of the test.
  platform = await openTestPlatform({ LOG_LEVEL: 'silent' });
});
after(() => platform.close());

test('the ledger does what the model does, whatever it is asked', async (t) => {
  const { failure, runs, seed, seen } = await runModel(platform, { runs: 1_000, time_limit_ms: 15_000 });
  if (failure !== undefined) assert.fail(failure);
  assert.ok(runs >= 3, `only ${runs} runs`);
  const outcomes = [...seen.values()].reduce((sum, count) => sum + count, 0);
  t.diagnostic(`seed ${seed}: ${runs} runs, ${outcomes} outcomes of ${seen.size} kinds`);
});

test('the model test finds a bug that is planted into the ledger', async (t) => {
  const sql = new Client({ connectionString: platform.url });
  await sql.connect();
  try {
    for (const mutant of mutants) {
      const takeOut = await plant(sql, mutant);
      const began = performance.now();
      // A fixed seed: whether they are found is not left to luck.
      const { seed } = mutant;
      const { failure, runs } = await runModel(platform, {
        seed,
        runs: 400,
        time_limit_ms: 60_000,
        shrink: false,
      });
      await takeOut();
      assert.ok(failure !== undefined, `not found in ${runs} runs: ${mutant.bug}`);
      // The bug is what was found: without it the same runs find nothing.
      const sound = await runModel(platform, { seed, runs, time_limit_ms: 60_000 });
      if (sound.failure !== undefined) assert.fail(sound.failure);
      t.diagnostic(`${mutant.bug}: found in run ${runs}, ${Math.round(performance.now() - began)} ms`);
    }
  } finally {
    await sql.end();
  }
});
