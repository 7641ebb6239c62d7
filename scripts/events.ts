/**
 * `npm run events`: what consumers hold of events, beside the API: lists it, shows one, has events tried again or given up,
 * and lets a consumer receive them again. Uses the database of DATABASE_URL, or the embedded server that runs on DATA_DIR; the
 * servers that consume take up what was changed within a second. What it changes stands in the audit trail of the tenant.
 *
 * Exit code: 0 done, 2 it could not be done.
 */
import { userInfo } from 'node:os';
import { parseArgs } from 'node:util';
import { Check } from 'typebox/value';
import { openAuditTrail } from '../src/platform/audit/write.ts';
import {
  ConsumerName,
  DiscardRequest,
  discard,
  getHeld,
  type HeldEvent as Held,
  HeldEvent,
  listHeld,
  ReplayRequest,
  redrive,
  replay,
} from '../src/platform/bus/held.ts';
import { readConfig } from '../src/platform/config.ts';
import { type Database, openDatabase, type Scope } from '../src/platform/db.ts';
import { newUuid, parseId } from '../src/platform/ids.ts';
import { openLog } from '../src/platform/log.ts';
import { openMetrics } from '../src/platform/metrics.ts';
import { operatorDatabaseUrl } from '../src/platform/operator.ts';
import { Problem } from '../src/platform/problem.ts';
import { CannotCheck, chooseScopes, messageOf, nameOf, SCOPE_OPTIONS, wantedScope } from './scopes.ts';

const usage = `usage: npm run events -- list [--consumer NAME] [--state retrying|waiting|parked] ${SCOPE_OPTIONS}
       npm run events -- show --consumer NAME --event evt_… ${SCOPE_OPTIONS}
       npm run events -- redrive --consumer NAME (--event evt_… | --all) ${SCOPE_OPTIONS}
       npm run events -- discard --consumer NAME --event evt_… --reason TEXT ${SCOPE_OPTIONS}
       npm run events -- replay --consumer NAME (--from-sequence N | --from-time TIME) [--until-sequence N]
                         --tenant ten_… --environment sandbox|live`;

const isState = (text: string): text is Held['state'] => Check(HeldEvent.properties.state, text);

/** What a record of the trail tells of a change by this command. */
interface Change {
  subject?: string;
  before?: unknown;
  after?: unknown;
}

interface Operating {
  db: Database;
  /** Changes something of a tenant, on record before and after, as a request of the API is. */
  change: <T extends Change>(
    command: 'redrive' | 'discard' | 'replay',
    scope: Scope,
    work: () => Promise<T>,
  ) => Promise<T>;
  stop: () => Promise<void>;
}

async function openOperating(): Promise<Operating> {
  const config = readConfig(process.env);
  const db = openDatabase({
    url: await operatorDatabaseUrl(config),
    role: 'platform',
    pool_size: 2,
    statement_timeout_ms: config.statement_timeout_ms,
    lock_timeout_ms: config.lock_timeout_ms,
    // It is told by the statement that meets it.
    onError: () => {},
  });
  const audit = openAuditTrail({ db, log: openLog('error', process.stderr), metrics: openMetrics() });
  return {
    db,
    async change(command, { tenant_id, environment }, work) {
      const intent = {
        tenant_id,
        environment,
        principal: { kind: 'operator' as const, id: 'operator', name: userInfo().username },
        address: 'local',
        method: 'COMMAND',
        path: `npm run events -- ${command}`,
        permission: command === 'discard' ? 'held_events:discard' : 'held_events:redrive',
        request_id: newUuid(),
      };
      const begun = { ...intent, intent: await audit.intend(intent) };
      try {
        const done = await work();
        const { subject, before, after } = done;
        await audit.record({
          ...begun,
          ...(subject === undefined ? {} : { subject }),
          before,
          after,
          outcome: 'done',
          status: 200,
        });
        return done;
      } catch (error) {
        await audit.record({
          ...begun,
          ...(error instanceof Problem
            ? { outcome: 'refused', status: error.type.status, code: error.code }
            : { outcome: 'failed', status: 500 }),
        });
        throw error;
      }
    },
    async stop() {
      await audit.stop();
      await db.close();
    },
  };
}

/** Every held event of a tenant's environment that is asked for, newest first. */
async function* heldOf(
  { db }: Operating,
  scope: Scope,
  filters: { consumer?: string; state?: Held['state'] },
): AsyncGenerator<Held> {
  let cursor: string | undefined;
  do {
    const page = await db.read(scope, (tx) =>
      listHeld(tx, scope, { limit: 100, ...(cursor === undefined ? filters : { cursor }) }),
    );
    yield* page.data;
    cursor = page.next_cursor ?? undefined;
  } while (cursor !== undefined);
}

function print({ consumer, event_id, type, subject, state, attempts, next_attempt_at, reason }: Held): void {
  const next = next_attempt_at === null ? '' : `, next at ${next_attempt_at}`;
  console.log(`  ${consumer}  ${event_id}  ${type} ${subject}  ${state} after ${attempts} attempts${next}`);
  if (reason !== null) console.log(`    ${reason}`);
}

/** The one of the scopes in which a consumer holds an event. */
async function scopeHolding(
  { db }: Operating,
  scopes: readonly Scope[],
  consumer: string,
  event: string,
): Promise<Scope> {
  let missing: unknown;
  for (const scope of scopes) {
    try {
      await db.read(scope, (tx) => getHeld(tx, scope, consumer, event));
      return scope;
    } catch (error) {
      if (!(error instanceof Problem) || error.code !== 'held_event_not_found') throw error;
      missing = error;
    }
  }
  throw missing;
}

async function redriveOne(operating: Operating, scope: Scope, consumer: string, event: string) {
  return operating.change('redrive', scope, () =>
    operating.db.write(scope, async (tx) => {
      const before = await getHeld(tx, scope, consumer, event);
      const after = await redrive(tx, scope, consumer, event);
      return { subject: after.event_id, before, after };
    }),
  );
}

/** Of the events that wait behind another only the first of each thing is tried; the others follow by themselves. */
async function redriveAll(operating: Operating, scope: Scope, consumer: string): Promise<number> {
  let redriven = 0;
  for await (const { event_id } of heldOf(operating, scope, { consumer, state: 'parked' })) {
    const { after } = await redriveOne(operating, scope, consumer, parseId('evt', event_id) ?? '');
    print(after);
    redriven += 1;
  }
  return redriven;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      consumer: { type: 'string' },
      event: { type: 'string' },
      all: { type: 'boolean', default: false },
      reason: { type: 'string' },
      state: { type: 'string' },
      'from-sequence': { type: 'string' },
      'from-time': { type: 'string' },
      'until-sequence': { type: 'string' },
      tenant: { type: 'string' },
      environment: { type: 'string' },
    },
  });
  const [command, ...more] = positionals;
  const { consumer, state, all } = values;
  const wrong = (what: string) => new CannotCheck(`${what}\n${usage}`);
  if (more.length > 0) throw wrong(`${more.join(' ')} is one word too many`);
  const isNamed: boolean = consumer === undefined || Check(ConsumerName, consumer);
  if (!isNamed) throw wrong(`${values.consumer} is no name of a consumer`);
  if (state !== undefined && !isState(state)) throw wrong(`${state} is no state of a held event`);
  const event = values.event === undefined ? undefined : parseId('evt', values.event);
  if (values.event !== undefined && event === undefined)
    throw wrong(`${values.event} is not the id of an event`);
  const wanted = wantedScope(values, usage);

  const operating = await openOperating();
  try {
    const { db } = operating;
    const scopes = await chooseScopes(db, wanted);
    if (command === 'list') {
      let held = 0;
      for (const scope of scopes) {
        let named = false;
        const filters = {
          ...(consumer === undefined ? {} : { consumer }),
          ...(state === undefined ? {} : { state }),
        };
        for await (const one of heldOf(operating, scope, filters)) {
          if (!named) console.log(nameOf(scope));
          named = true;
          print(one);
          held += 1;
        }
      }
      console.log(held === 0 ? 'no consumer holds such events' : `${held} held events`);
    } else if (command === 'show' && consumer !== undefined && event !== undefined) {
      const scope = await scopeHolding(operating, scopes, consumer, event);
      console.log(nameOf(scope));
      const shown = await db.read(scope, (tx) => getHeld(tx, scope, consumer, event));
      console.log(JSON.stringify(shown, undefined, 2));
    } else if (command === 'redrive' && consumer !== undefined && event !== undefined && !all) {
      const scope = await scopeHolding(operating, scopes, consumer, event);
      const { after } = await redriveOne(operating, scope, consumer, event);
      console.log(nameOf(scope));
      print(after);
    } else if (command === 'redrive' && consumer !== undefined && event === undefined && all) {
      let redriven = 0;
      for (const scope of scopes) redriven += await redriveAll(operating, scope, consumer);
      console.log(`${redriven} parked events of ${consumer} are tried again`);
    } else if (command === 'discard' && consumer !== undefined && event !== undefined) {
      const request = { reason: values.reason ?? '' };
      if (!Check(DiscardRequest, request))
        throw wrong('a discarded event never takes effect: say why by --reason, in 1 to 1,000 characters');
      const scope = await scopeHolding(operating, scopes, consumer, event);
      const { before } = await operating.change('discard', scope, () =>
        db.write(scope, async (tx) => {
          const held = await discard(tx, scope, consumer, event);
          return { subject: held.event_id, before: held, after: { discarded: true, ...request } };
        }),
      );
      console.log(nameOf(scope));
      print(before);
      console.log(`${before.event_id} is given up; what waited behind it goes on`);
    } else if (command === 'replay' && consumer !== undefined) {
      const [scope, another] = scopes;
      if (scope === undefined || another !== undefined || wanted.tenant_id === undefined)
        throw wrong('a replay is of one tenant and environment: name both');
      const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
      const request = Object.fromEntries(
        Object.entries({
          from_sequence: number(values['from-sequence']),
          from_time: values['from-time'],
          until_sequence: number(values['until-sequence']),
        }).filter(([, value]) => value !== undefined),
      );
      const begins = 'from_sequence' in request || 'from_time' in request;
      if (!begins || !Check(ReplayRequest, request))
        throw wrong('a replay begins at a sequence, a whole number from 1 on, or at a time of RFC 3339');
      const { replayed } = await operating.change('replay', scope, () =>
        db.write(scope, async (tx) => {
          const events = await replay(tx, scope, consumer, request);
          return { replayed: events, after: { consumer, ...request, events } };
        }),
      );
      console.log(`${nameOf(scope)}: ${consumer} receives ${replayed} events again`);
    } else throw wrong('what to do with events is not said, or not whole');
  } finally {
    await operating.stop();
  }
}

main().catch((error: unknown) => {
  const text = error instanceof CannotCheck ? error.message : messageOf(error);
  const isOfArguments =
    error instanceof Error && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  console.error(`events: ${text}${isOfArguments ? `\n${usage}` : ''}`);
  process.exitCode = 2;
});
