/**
 * A server whose jobs write down when they begin and end, for tests that end or freeze it. Its settings come by the
 * environment; it prints its address.
 */
import { Client } from 'pg';
import { boot } from '../src/platform/boot.ts';
import { readConfig } from '../src/platform/config.ts';
import { provide } from '../src/platform/port/port.ts';
import { defineService } from '../src/platform/service.ts';
import { ledgerPort } from '../src/services/ledger/contract.ts';
import { services } from '../src/services.ts';

const url = process.env['DATABASE_URL'] ?? '';
const trace = new Client({ connectionString: url });
await trace.connect();

const note = (job: string, what: 'begin' | 'end') =>
  trace.query('insert into job_trace (job, pid, what) values ($1, $2, $3)', [job, process.pid, what]);

async function isOpen(): Promise<boolean> {
  const { rows } = await trace.query('select from job_gate');
  return rows.length > 0;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

const traced = defineService({
  name: 'ledger',
  migrations: services.find(({ name }) => name === 'ledger')?.migrations ?? '',
  problems: {},
  permissions: {},
  jobs: {
    'ledger.tick': { meaning: 'Runs all the time', per: 'system', schedule: { every_s: 1 } },
    'ledger.slow': { meaning: 'Runs until the gate is open', per: 'tenant', schedule: { cron: '0 0 1 1 *' } },
  },
  provides: ledgerPort,
  start: () => ({
    port: provide(ledgerPort, {
      getPosition: () => Promise.resolve({ position: 0 }),
      plantSeed: () => Promise.reject(new Error('nothing is planted here')),
    }),
    routes: async () => {},
    jobs: {
      'ledger.tick': {
        run: async () => {
          await note('tick', 'begin');
          await pause(300);
          await note('tick', 'end');
          return undefined;
        },
      },
      'ledger.slow': {
        run: async ({ signal }) => {
          await note('slow', 'begin');
          while (!signal.aborted && !(await isOpen())) await pause(100);
          await note('slow', 'end');
          return undefined;
        },
      },
    },
    stop: () => Promise.resolve(),
  }),
});

const running = await boot(readConfig(process.env), [
  ...services.filter(({ name }) => name !== 'ledger'),
  traced,
]);
process.stdout.write(`listening at ${running.url}\n`);
process.once('SIGTERM', () => void running.stop().then(() => process.exit(0)));
