/**
 * `npm run faults -- [--rounds N] [--seed S]`: the fault test of tests/faults, with as many kills as one likes: of the
 * server, of PostgreSQL, of one of its processes, and of both together, in an order that follows from the seed.
 */
import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { randomFrom } from '../tests/faults/load.ts';
import { type Fault, runFaults } from '../tests/faults/run.ts';

const { values } = parseArgs({ options: { rounds: { type: 'string' }, seed: { type: 'string' } } });
const count = Number(values.rounds ?? 12);
const seed = Number(values.seed ?? randomInt(2 ** 31));
if (!Number.isInteger(count) || count < 1 || !Number.isInteger(seed) || seed < 0) {
  console.error('usage: npm run faults -- [--rounds <1 or more>] [--seed <0 or more>]');
  process.exit(2);
}

/** Of every twelve rounds: the server dies in seven, PostgreSQL in seven. */
const twelve: readonly Fault[] = [
  ...Array.from({ length: 5 }, (): Fault => 'server'),
  ...Array.from({ length: 3 }, (): Fault => 'postmaster'),
  ...Array.from({ length: 2 }, (): Fault => 'backend'),
  ...Array.from({ length: 2 }, (): Fault => 'both'),
];
const random = randomFrom(seed);
const rounds: Fault[] = [];
while (rounds.length < count) {
  const block = twelve.map((fault): [number, Fault] => [random(), fault]);
  rounds.push(...block.toSorted(([left], [right]) => left - right).map(([, fault]) => fault));
}

console.log(`seed ${seed}: ${count} rounds`);
const began = performance.now();
const report = await runFaults({
  seed,
  rounds: rounds.slice(0, count),
  clients: 16,
  load_ms: 2_000,
  onProgress: (line) => console.log(`[${Math.round((performance.now() - began) / 1_000)} s] ${line}`),
});
console.log(
  `${report.kills} kills; ${report.asked} outcomes, ${report.unanswered} of them after a request without an answer, ` +
    `${report.carried_out} of those carried out already`,
);
if (report.violations.length > 0) {
  console.error(`VIOLATED (repeat with --seed ${seed} --rounds ${count}):`);
  for (const what of report.violations) console.error(`  ${what}`);
  process.exitCode = 1;
} else {
  console.log('every answer stands, and the books are their sum');
}
