/**
 * Writing the audit trail by group commit: the records that wait are inserted by one statement, in one commit, while the
 * next ones gather. Whoever has a record written waits for that commit.
 */
import { setTimeout } from 'node:timers/promises';
import type { FastifyBaseLogger } from 'fastify';
import type { Principal } from '../access/caller.ts';
import { type Database, type Scope, unavailableFor } from '../db.ts';
import { newUuid } from '../ids.ts';
import type { Metrics } from '../metrics.ts';
import { doAt } from '../trace/context.ts';

/** What was done to a thing, for the trail. Both are its public form, as the API shows it, or the part that matters. */
export interface AuditedChange {
  /** Public id of the thing. */
  subject?: string;
  before?: unknown;
  after?: unknown;
}

/** Whom a record is of: a caller, or an operator, who acts by commands beside the servers. */
type Actor = Omit<Principal, 'kind'> & { kind: Principal['kind'] | 'operator' };

/** One attempt: who, on whose behalf, from where, what, and what came of it. */
export interface AuditRecord extends Scope, AuditedChange {
  principal: Actor;
  on_behalf_of?: Principal;
  address: string;
  method: string;
  /** Pattern of the path; absent where no route takes it. */
  route?: string;
  /** Without its query. */
  path: string;
  permission?: string;
  outcome: 'done' | 'refused' | 'failed';
  /** HTTP status of the answer. */
  status: number;
  /** Code of the refusal. */
  code?: string;
  request_id: string;
  /** Whether it was to be told what would happen, and nothing kept. */
  dry_run?: boolean;
  /** Whether it was the repetition of a request, which did nothing. */
  replayed?: boolean;
  /** What `intend` returned for the same request. */
  intent?: string;
}

/** A record before there is an outcome. */
export type AuditIntent = Omit<AuditRecord, 'outcome' | 'status' | 'code' | 'replayed' | 'intent'>;

export interface AuditTrail {
  /**
   * Writes a record. Resolves with true when it is on the disk of the database, with false where the database has failed
   * for two seconds: the record is kept in memory then and tried again. Never rejects.
   */
  record(record: AuditRecord): Promise<boolean>;
  /**
   * Writes down that something is begun, so that it is on record whatever becomes of this process. The record that names
   * what this returns takes its place. Rejects where the database cannot be written: then nothing may be begun.
   */
  intend(intent: AuditIntent): Promise<string>;
  /** Whether so many records wait for the database that nothing more should be begun which needs one. */
  isFull(): boolean;
  /** Writes what waits, as far as the database lets it within a few seconds. */
  stop(): Promise<void>;
}

/** Records of one commit. */
const BATCH = 500;
/** Records that are kept while the database is away; a few kilobytes each at most. */
const CAPACITY = 10_000;
/** How long after the database has begun to fail answers still wait for it. */
const PATIENCE_MS = 2_000;
const PAUSE_MS = 200;
/** How long the end of the process waits for a database that is away. */
const STOPPING_MS = 3_000;
/** Characters of JSON that are kept of a thing before or after a change. */
const MAX_DETAIL = 32_768;
const MAX_TEXT = 2_000;

/** Members that hold secrets, whoever put them into a record: the trail is read by many and kept for years. */
const secretName =
  /^(key|secret|password|passcode|passphrase|pin|otp|token|authorization|cookie|private_key|.*_(secret|password|token|hash|private_key))$/i;

function cleanText(text: string): string {
  return text.toWellFormed().replaceAll('\0', '\u{fffd}');
}

/** For JSON.stringify: what PostgreSQL cannot keep is replaced, secrets are taken out. */
export function asKept(name: string, value: unknown): unknown {
  if (secretName.test(name) && value !== null && value !== undefined) return '[redacted]';
  if (typeof value === 'string') return cleanText(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.fromEntries(Object.entries(value).map(([key, member]) => [cleanText(key), member]));
  }
  return value;
}

/** A thing before or after a change as JSON text, which stands in for what is too large or no JSON. */
function detailOf(value: unknown): string | undefined {
  let text: string | undefined;
  try {
    text = JSON.stringify(value, asKept);
  } catch (error) {
    text = JSON.stringify({ omitted: `not JSON: ${error instanceof Error ? error.message : 'unknown'}` });
  }
  if (text !== undefined && text.length > MAX_DETAIL) {
    return JSON.stringify({
      omitted: `${text.length} characters of JSON, of which ${MAX_DETAIL} are kept at most`,
    });
  }
  return text;
}

const shortText = (text: string) => cleanText(text).slice(0, MAX_TEXT).toWellFormed();
const shortTextOr = (text: string | undefined) => (text === undefined ? undefined : shortText(text));

const shortPrincipal = ({ kind, id, name }: Actor) => ({
  kind,
  id: shortText(id),
  name: shortText(name),
});

/** A record as the object that `platform.append_audit` takes, as JSON text. */
export function rowOf(id: string, record: AuditIntent & Partial<AuditRecord>, withDetail: boolean): string {
  const principal = shortPrincipal(record.principal);
  const row = JSON.stringify({
    tenant_id: record.tenant_id,
    environment: record.environment,
    id,
    principal_kind: principal.kind,
    principal_id: principal.id,
    principal_name: principal.name,
    on_behalf_of: record.on_behalf_of === undefined ? undefined : shortPrincipal(record.on_behalf_of),
    address: shortText(record.address),
    method: shortText(record.method),
    route: shortTextOr(record.route),
    path: shortText(record.path),
    permission: shortTextOr(record.permission),
    outcome: record.outcome,
    status: record.status,
    code: shortTextOr(record.code),
    subject: shortTextOr(record.subject),
    request_id: shortText(record.request_id),
    dry_run: record.dry_run ?? false,
    replayed: record.replayed ?? false,
  });
  if (!withDetail) return row;
  const before = detailOf(record.before);
  const after = detailOf(record.after);
  return [
    row.slice(0, -1),
    ...(before === undefined ? [] : [`"before":${before}`]),
    ...(after === undefined ? [] : [`"after":${after}`]),
  ]
    .join(',')
    .concat('}');
}

interface Waiting {
  id: string;
  row: string;
  record: AuditRecord;
  /** Undefined once the answer no longer waits. */
  tell: ((durable: boolean) => void) | undefined;
}

/** Whether it is the record itself that the database does not take (SQLSTATE classes 22 and 23): no retry would help. */
function isOfTheData(error: unknown): boolean {
  return error instanceof Error && 'code' in error && /^2[23]/.test(String(error.code));
}

export interface AuditTrailOptions {
  db: Database;
  log: FastifyBaseLogger;
  metrics: Metrics;
  /** Records that are kept while the database is away. */
  capacity?: number;
  /** How long after the database has begun to fail answers still wait for it. */
  patience_ms?: number;
}

export function openAuditTrail(options: AuditTrailOptions): AuditTrail {
  const { db, log, metrics, capacity = CAPACITY, patience_ms = PATIENCE_MS } = options;
  const queue: Waiting[] = [];
  let busy = false;
  let working: Promise<void> | undefined;
  let failing_since_ms: number | undefined;
  let dropping = false;
  let give_up_at_ms = Number.POSITIVE_INFINITY;

  metrics.gauge('audit_records_waiting', 'Audit records that wait for their commit', () => queue.length);
  const written = metrics.counter(
    'audit_records_total',
    'Audit records written, by the outcome they tell of',
    ['outcome'],
  );
  const lost = metrics.counter('audit_records_lost_total', 'Audit records that were given up', []);

  function lose(given: readonly Waiting[], why: string, error?: unknown): void {
    lost.inc(given.length);
    log.error(
      {
        ...(error === undefined ? {} : { err: error }),
        records: given.slice(0, 100).map(({ id, record }) => ({ id, request_id: record.request_id })),
      },
      `${given.length} audit records are lost: ${why}`,
    );
    for (const { tell } of given) tell?.(false);
  }

  async function append(batch: readonly Waiting[]): Promise<void> {
    const rows = `[${batch.map(({ row }) => row).join(',')}]`;
    const intents = batch.flatMap(({ record: { tenant_id, environment, intent } }) =>
      intent === undefined ? [] : [{ tenant_id, environment, id: intent }],
    );
    if (intents.length === 0) await session.run('select platform.append_audit($1)', [rows]);
    else {
      await session.run('select platform.append_audit($1), platform.forget_audit_intents($2)', [
        rows,
        JSON.stringify(intents),
      ]);
    }
    for (const { record, tell } of batch) {
      written.inc({ outcome: record.outcome });
      tell?.(true);
    }
  }

  /** Writes each record in a commit of its own, so that one which the database does not take keeps back no other. */
  async function appendEach(batch: readonly Waiting[]): Promise<void> {
    for (const one of batch) {
      try {
        await append([one]);
      } catch (error) {
        if (!isOfTheData(error)) throw error;
        log.error(
          { err: error, request_id: one.record.request_id },
          'an audit record is written without detail',
        );
        try {
          await append([{ ...one, row: rowOf(one.id, one.record, false) }]);
        } catch (again) {
          if (!isOfTheData(again)) throw again;
          lose([one], 'the database does not take it', again);
        }
      }
      queue.shift();
    }
  }

  const isGivenUp = () =>
    failing_since_ms !== undefined && performance.now() - failing_since_ms >= patience_ms;

  /** Lets the answers go. Their records stay. */
  function release(): void {
    for (const one of queue) {
      one.tell?.(false);
      one.tell = undefined;
    }
  }

  const session = db.session();

  async function work(): Promise<void> {
    busy = true;
    while (queue.length > 0) {
      const batch = queue.slice(0, BATCH);
      const began_ms = performance.now();
      try {
        try {
          await append(batch);
          queue.splice(0, batch.length);
        } catch (error) {
          if (!isOfTheData(error)) throw error;
          await appendEach(batch);
        }
        if (failing_since_ms !== undefined) {
          log.warn({ waiting: queue.length }, 'the audit trail is written again');
        }
        failing_since_ms = undefined;
        dropping = false;
        // Others of this process may wait for a connection, and there may be only one.
        if (db.connections().waiting > 0) session.release();
      } catch (error) {
        if (failing_since_ms === undefined) {
          failing_since_ms = began_ms;
          log.error(
            { err: unavailableFor(error) ?? error, waiting: queue.length },
            'THE AUDIT TRAIL CANNOT BE WRITTEN; its records are kept in memory and tried again',
          );
        }
        if (isGivenUp()) release();
        if (performance.now() >= give_up_at_ms) {
          lose(queue.splice(0), 'the process ends and the database cannot be written', error);
          break;
        }
        await setTimeout(PAUSE_MS);
      }
    }
    session.release();
    // In the turn in which the queue was found empty: what comes later begins anew.
    busy = false;
  }

  return {
    record(record) {
      const id = newUuid();
      return new Promise((resolve) => {
        const one: Waiting = { id, row: rowOf(id, record, true), record, tell: resolve };
        if (queue.length >= capacity) {
          // While the database is away every request may come here: one line tells of all.
          if (dropping) {
            lost.inc();
            resolve(false);
          } else {
            dropping = true;
            lose([one], `${capacity} others wait for the database already, and more may follow`);
          }
          return;
        }
        queue.push(one);
        if (isGivenUp()) {
          one.tell = undefined;
          resolve(false);
        }
        if (!busy) working = doAt(undefined, work);
      });
    },
    async intend(intent) {
      const id = newUuid();
      await db.run('select platform.intend_audit($1)', [rowOf(id, intent, false)]);
      return id;
    },
    isFull: () => queue.length >= capacity,
    async stop() {
      give_up_at_ms = performance.now() + STOPPING_MS;
      await working;
    },
  };
}
