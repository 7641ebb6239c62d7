import { fileURLToPath } from 'node:url';
import { Type } from 'typebox';
import type { Database } from '../../platform/db.ts';
import type { Metrics } from '../../platform/metrics.ts';
import { openSecrets } from '../../platform/secret.ts';
import { defineService, type Service } from '../../platform/service.ts';
import { applicationConsumer } from './applications.ts';
import { deliveryRoutes } from './delivery-routes.ts';
import { endpointRoutes } from './endpoint-routes.ts';
import { openConsumer } from './enqueue.ts';
import { refuse } from './errors.ts';
import { events } from './events.ts';
import type { Outcome, Terms } from './finish.ts';
import { permissions } from './permissions.ts';
import { retention } from './retention.ts';
import { ATTEMPTS, waitAfter } from './retry.ts';
import type { Attempted } from './send.ts';
import { type Lanes, startSender } from './sender.ts';
import { signingKeyContext } from './signing-key.ts';

/** How it is sent. */
export interface Manner extends Terms, Lanes {
  /** How long an endpoint may take to answer. */
  timeout_ms: number;
}

const usual: Manner = {
  timeout_ms: 15_000,
  attempts: ATTEMPTS,
  wait_ms: (failures, retry_after_ms) => waitAfter(failures, Math.random(), retry_after_ms),
  disable_after_ms: 5 * 86_400_000,
  quick_slots: 64,
  slow_slots: 256,
  slots_of_one: 8,
  quick_ms: 1_000,
  grace_ms: 15_000,
};

const Standing = Type.Object({
  due: Type.BigInt(),
  oldest_due_s: Type.Number(),
  endpoints_disabled: Type.BigInt(),
});

/** Measures how sending stands. Returns what is told of each attempt. */
function measure(metrics: Metrics, db: Database): (outcome: Outcome, done: Attempted) => void {
  const outcomes = metrics.counter(
    'webhooks_deliveries_total',
    'Attempts by what became of the delivery: delivered, retrying, given_up, missed, or lost to another process',
    ['outcome'],
  );
  const durations = metrics.histogram(
    'webhooks_attempt_duration_seconds',
    'Time from the request to the end of the answer, or until none came',
    [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15],
  );
  const ask = async () => {
    const [row] = await db.rows(Standing, 'select * from webhooks.standing()');
    if (row === undefined) throw new Error('the database does not say how sending stands');
    return row;
  };
  // Three numbers of one scrape are asked for once.
  let asked: ReturnType<typeof ask> | undefined;
  const standing = () => {
    asked ??= ask().finally(() => {
      asked = undefined;
    });
    return asked;
  };
  metrics.gauge(
    'webhooks_deliveries_due',
    'Deliveries that are due and nobody is at',
    async () => Number((await standing()).due),
    'installation',
  );
  metrics.gauge(
    'webhooks_oldest_due_seconds',
    'How long the oldest of these has been due',
    async () => (await standing()).oldest_due_s,
    'installation',
  );
  metrics.gauge(
    'webhooks_endpoints_disabled',
    'Endpoints that are disabled',
    async () => Number((await standing()).endpoints_disabled),
    'installation',
  );
  return (outcome, done) => {
    outcomes.inc({ outcome });
    durations.observe(done.took_ms / 1_000);
  };
}

/** The service, sending in another manner than usual. */
export function webhooksWith(manner: Partial<Manner>): Service {
  return defineService({
    name: 'webhooks',
    migrations: fileURLToPath(new URL('migrations', import.meta.url)),
    problems: refuse.types,
    permissions,
    publishes: events,
    jobs: {
      'webhooks.remove_old_deliveries': {
        meaning: 'Removes what was sent by webhooks a month after it was delivered, given up or missed',
        per: 'tenant',
        schedule: { cron: '20 3 * * *' },
      },
    },
    encrypted: [
      {
        table: 'webhooks.signing_keys',
        column: 'secret',
        of: 'environment',
        key: { column: 'id', type: 'uuid' },
        context: signingKeyContext,
      },
    ],
    start({ db, config, log, metrics, outgoing, events: catalogue, wakeRelay, findPrincipal }) {
      const how = { ...usual, ...manner };
      const secrets = openSecrets({ keys: config.identity_encryption_keys, data_dir: config.data_dir });
      const count = measure(metrics, db);
      const sender = startSender({
        db,
        log,
        sending: { outgoing, secrets, catalogue, timeout_ms: how.timeout_ms },
        terms: how,
        lanes: how,
        onOutcome: (outcome, done) => {
          count(outcome, done);
          // It may have been disabled by it, which is told by an event.
          if (done.failure !== undefined) wakeRelay();
        },
      });
      const endpoints = {
        db,
        findPrincipal,
        secrets,
        catalogue,
        allowsHttp: config.outgoing_allow.length > 0,
      };
      return {
        routes: async (app) => {
          await app.register(endpointRoutes(endpoints, sender.wake));
          await app.register(deliveryRoutes(db, catalogue, sender.wake));
        },
        consumers: [openConsumer(catalogue, sender.wake), applicationConsumer(wakeRelay)],
        jobs: { 'webhooks.remove_old_deliveries': retention(db) },
        stop: sender.stop,
      };
    },
  });
}

export const webhooks = webhooksWith({});
