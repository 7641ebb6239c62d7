/**
 * Group commit. What waits is posted by one call of `ledger.post` in one commit, each command with an outcome of
 * its own; while a batch commits, the next one gathers. An idle lane posts at once.
 *
 * A lane is a tenant and environment, since their positions have no gaps and so are handed out one batch after the
 * other. Commands are safe to repeat because each carries an idempotency key that is kept in the commit: a batch
 * whose outcome was lost with the connection is simply posted again.
 */
import { Type } from 'typebox';
import {
  type Database,
  isConnectionFailure,
  isRetryable,
  type Scope,
  type Session,
  type Transaction,
} from '../../platform/db.ts';
import { formatId } from '../../platform/ids.ts';
import { type Problem, refuse } from '../../platform/problem.ts';
import { currentPlace, doAt, traceparentOf } from '../../platform/trace/context.ts';
import { errorTypeOf, type Span, type Traces, untraced } from '../../platform/trace/span.ts';
import { refusalText } from './errors.ts';

/** Numbers as `ledger.post` knows them. */
const commandKinds = {
  transfer: 1,
  reversal: 2,
  place: 3,
  increment: 4,
  extend: 5,
  capture: 6,
  release: 7,
  expire: 8,
} as const;

export type Side = 'debit' | 'credit';

/** One line of a command: `amount` in minor units of `currency`, ids as bare UUIDs. */
export interface Leg {
  account_id: string;
  /** The same id in its public form, where it is known: to make it of the other again and again is dear. */
  account?: string;
  side: Side;
  amount: bigint;
  currency: string;
  /** For a reversal: the leg of the original that this one takes back. */
  reverses_leg?: number;
}

export interface Command {
  id: string;
  /** The same id in its public form, where it was needed already. */
  public_id?: string;
  kind: keyof typeof commandKinds;
  /** Idempotency key, and the command's place in its batch: 0 for a single request, from 1 on otherwise. */
  key: string;
  item: number;
  /** What was asked, e.g. `POST /api/v2/transfers`; with `request`, all of its body, it is what a repetition must equal. */
  operation: string;
  request: string;
  /** Commands of one submission with the same number, side by side, are posted all or none. */
  group?: number;
  link_id?: string;
  effective_date?: string | undefined;
  description?: string | undefined;
  /** JSON texts. */
  metadata?: string | undefined;
  exchange?: string | undefined;
  /** Data of the event, as JSON. For hold steps the database completes it: see `holdEvent`. */
  event: string;
  /** What the request is bound to beside the rules of the accounts, as JSON with `limits_id` or `reach`. */
  bound?: string;
  /** Of the first command of a request: its record for the audit trail if anything of it is posted, as JSON. */
  attribution?: string;
  /** The place in a trace of what asks for it, for its event. */
  traceparent?: string;
  /** Why it cannot be carried out for what it says itself: kept under the key, and never posted. */
  refused?: Problem;
  /** The transfer to reverse or the hold to act on. */
  ref?: string;
  /** For hold steps; absent means all that remains. */
  amount?: bigint | undefined;
  expires_at?: string | undefined;
  final?: boolean;
  legs: readonly Leg[];
}

const Uuid = Type.Union([Type.String(), Type.Null()]);
const Numbers = Type.Union([Type.Array(Type.Union([Type.BigInt(), Type.Null()])), Type.Null()]);

/** The first row of `ledger.post` is of command 0 and tells of all that was posted; the others are what differs. */
const Row = Type.Object({
  command: Type.Integer(),
  created_at: Type.String(),
  positions: Numbers,
  balances: Numbers,
  code: Type.Union([Type.String(), Type.Null()]),
  detail: Type.Union([Type.Record(Type.String(), Type.Unknown()), Type.Null()]),
  replayed: Type.Union([Type.Boolean(), Type.Null()]),
  position: Type.Union([Type.BigInt(), Type.Null()]),
  result_id: Uuid,
  first_request: Type.Union([Type.String(), Type.Null()]),
});

export interface Outcome {
  /** Null if it was done; else a code of the catalogue. */
  code: string | null;
  detail: Record<string, unknown> | null;
  /** Whether this is what an earlier attempt with the same key came to. */
  replayed: boolean;
  position: bigint | null;
  created_at: string;
  result_id: string | null;
  first_request: string | null;
  /** Balance of the account after each leg, in the legs' order; null where the command posted no entry now. */
  balances: (bigint | null)[];
}

/**
 * ASCII's unit separator. JSON escapes it, and keys and operations are printable: it stands between texts without a
 * need to quote them, which costs both sides less than an array literal does.
 */
const SEPARATOR = '\x1f';
const separated = 'separated';

/** The parameters of `ledger.post`, in its order. */
const parameterTypes = [
  'uuid',
  'platform.environment',
  'uuid[]',
  'smallint[]',
  separated,
  'smallint[]',
  separated,
  separated,
  separated,
  separated,
  'integer[]',
  'integer[]',
  'uuid[]',
  'date[]',
  'text[]',
  separated,
  separated,
  'uuid[]',
  'bigint[]',
  'timestamptz[]',
  'boolean[]',
  separated,
  separated,
  'integer[]',
  'uuid[]',
  'integer[]',
  'smallint[]',
  'integer[]',
  'boolean[]',
  'bigint[]',
  'text[]',
  'smallint[]',
  separated,
];

const post = {
  name: 'ledger.post',
  text: `select * from ledger.post(${parameterTypes
    .map((type, index) =>
      type === separated ? `string_to_array($${index + 1}, E'\\x1f', '')` : `$${index + 1}::${type}`,
    )
    .join(', ')})`,
};

/**
 * An array with what `read` finds in each item and needs no quotes: numbers, ids, dates. Where it finds nothing the
 * member is NULL; so is an array of only those.
 */
function plainArray<Item>(
  items: readonly Item[],
  read: (item: Item) => string | number | bigint | boolean | undefined,
): string | null {
  let text = '';
  let present = false;
  for (const item of items) {
    const value = read(item);
    if (value === undefined) {
      text += ',NULL';
    } else {
      present = true;
      text += `,${value}`;
    }
  }
  return present ? `{${text.slice(1)}}` : null;
}

/** An array of any texts, quoted as PostgreSQL reads array literals. */
function textArray<Item>(items: readonly Item[], read: (item: Item) => string | undefined): string | null {
  return plainArray(items, (item) => {
    const value = read(item);
    return value === undefined ? undefined : `"${value.replaceAll(/["\\]/g, '\\$&')}"`;
  });
}

/** Texts without the separator, none of them empty; where there is none, NULL, and so is a list of only those. */
function separatedTexts<Item>(
  items: readonly Item[],
  read: (item: Item) => string | undefined,
): string | null {
  let text = '';
  let present = false;
  for (const item of items) {
    const value = read(item);
    text += SEPARATOR;
    if (value !== undefined) {
      present = true;
      text += value;
    }
  }
  return present ? text.slice(1) : null;
}

function parametersOf(scope: Scope, commands: readonly Command[]): (string | null)[] {
  const ids = [...new Set(commands.flatMap(({ legs }) => legs.map(({ account_id }) => account_id)))].sort();
  const slots = new Map(ids.map((id, index) => [id, index + 1]));
  const requests: Command[] = [];
  const firstCommands: number[] = [];
  const groups: (number | undefined)[] = [];
  let group = 0;
  const firstLegs: number[] = [];
  const legs: { leg: Leg; command: number; number: number }[] = [];
  for (const [index, command] of commands.entries()) {
    const before = commands[index - 1];
    const isFirst = command.key !== before?.key;
    if (isFirst) {
      requests.push(command);
      firstCommands.push(index + 1);
    }
    // Groups of different requests have numbers of their own.
    if (isFirst || command.group !== before?.group) group += 1;
    groups.push(command.group === undefined ? undefined : group);
    firstLegs.push(legs.length + 1);
    for (const [number, leg] of command.legs.entries()) {
      legs.push({ leg, command: index + 1, number: number + 1 });
    }
  }
  firstCommands.push(commands.length + 1);
  firstLegs.push(legs.length + 1);
  const itself = <Value>(value: Value) => value;
  return [
    scope.tenant_id,
    scope.environment,
    plainArray(commands, ({ id }) => id),
    plainArray(commands, ({ kind }) => commandKinds[kind]),
    separatedTexts(requests, ({ key }) => key),
    plainArray(requests, ({ item }) => item),
    separatedTexts(requests, ({ operation }) => operation),
    separatedTexts(requests, ({ request }) => request),
    separatedTexts(requests, ({ bound }) => bound),
    separatedTexts(requests, ({ attribution }) => attribution),
    plainArray(firstCommands, itself),
    plainArray(groups, itself),
    plainArray(commands, ({ link_id }) => link_id),
    plainArray(commands, ({ effective_date }) => effective_date),
    textArray(commands, ({ description }) => description),
    separatedTexts(commands, ({ metadata }) => metadata),
    separatedTexts(commands, ({ exchange }) => exchange),
    plainArray(commands, ({ ref }) => ref),
    plainArray(commands, ({ amount }) => amount),
    plainArray(commands, ({ expires_at }) => expires_at),
    plainArray(commands, ({ final }) => final),
    separatedTexts(commands, ({ event }) => event),
    separatedTexts(commands, ({ refused }) => refused && refusalText(refused)),
    plainArray(firstLegs, itself),
    plainArray(ids, itself),
    plainArray(legs, ({ command }) => command),
    plainArray(legs, ({ number }) => number),
    plainArray(legs, ({ leg }) => slots.get(leg.account_id)),
    plainArray(legs, ({ leg }) => leg.side === 'credit'),
    plainArray(legs, ({ leg }) => leg.amount),
    plainArray(legs, ({ leg }) => leg.currency),
    plainArray(legs, ({ leg }) => leg.reverses_leg),
    separatedTexts(commands, ({ traceparent }) => traceparent),
  ];
}

/** Whose books are posted to, and what who asks for it is bound to. */
export interface Poster extends Scope {
  /** UUID of monetary limits. */
  limits_id?: string;
  /** The record of the request for the audit trail, if anything of it is posted; of a batch without a subject. */
  attribution?: (subject: string | undefined) => string;
}

/** Public id of what a command is about. */
function subjectOf({ id, public_id, kind, ref }: Command): string {
  if (kind === 'transfer' || kind === 'reversal') return public_id ?? formatId('trf', id);
  return formatId('hld', ref ?? id);
}

/** Puts the record for the audit trail to the commands of a request. */
function attribute({ attribution }: Poster, commands: readonly Command[]): void {
  const [first] = commands;
  if (attribution === undefined || first === undefined) return;
  first.attribution = attribution(commands.length === 1 && first.item === 0 ? subjectOf(first) : undefined);
}

/** Puts the place in a trace to commands, and returns it. Most are at none. */
function locate(commands: readonly Command[]): Span['place'] | undefined {
  const place = currentPlace();
  if (place === undefined) return undefined;
  const traceparent = traceparentOf(place);
  for (const command of commands) command.traceparent = traceparent;
  return place;
}

/** The commands of a request with what it is bound to. Most are bound to nothing, and stay as they are. */
function bound({ limits_id, reach }: Poster, commands: readonly Command[]): readonly Command[] {
  if (limits_id === undefined && reach === undefined) return commands;
  const text = JSON.stringify({ limits_id, reach });
  return commands.map((command) => ({ ...command, bound: text }));
}

/** Commands that were submitted together and are posted in one commit. */
interface Unit {
  commands: readonly Command[];
  /** The place of the request, and the span of its wait, where that is recorded. */
  traced?: { place: Span['place']; wait: Span } | undefined;
  resolve(outcomes: Outcome[]): void;
  reject(error: unknown): void;
}

interface Lane {
  scope: Scope;
  waiting: Unit[];
  /** Number of commands in `waiting`. */
  depth: number;
  /** Calls under way: at most two. */
  calls: number;
}

export interface PostingOptions {
  /** Commands that may wait, over all lanes, before further ones are refused as `overloaded`. */
  queue_limit: number;
  /** Commands posted by one call, unless one submission alone has more. */
  batch_limit: number;
  /** How long a batch is tried again while the database cannot be reached. */
  retry_for_ms: number;
  /** Told of every call of `ledger.post` that was committed. */
  onBatch?: (outcomes: readonly Outcome[], duration_s: number) => void;
  /** Absent: no spans are recorded. */
  traces?: Traces;
}

export interface PostingQueue {
  /** Outcomes in the order of the commands. Throws `overloaded` or `unavailable`. */
  submit: (poster: Poster, commands: readonly Command[]) => Promise<Outcome[]>;
  /**
   * What the commands would come to now. Nothing is kept, not even the key; only `look` sees the books as they would
   * then be.
   */
  rehearse: (
    poster: Poster,
    commands: readonly Command[],
    look?: (tx: Transaction, outcomes: readonly Outcome[]) => Promise<void>,
  ) => Promise<Outcome[]>;
  /**
   * Posts in a transaction of the caller's, past the queue: kept if that commits. For money that moves together with
   * something else, by what was read under the head that the transaction has locked (`lockHead`).
   */
  postWithin: (tx: Transaction, poster: Poster, commands: readonly Command[]) => Promise<Outcome[]>;
  /** Commands waiting now. */
  depth: () => number;
  /** Resolves when all that was submitted has its outcome. */
  drain: () => Promise<void>;
}

/**
 * With so many commands waiting, a second call is sent while the first one commits: PostgreSQL reads its parameters
 * meanwhile and goes on without a pause. With fewer it would only halve the batches.
 */
const OVERLAP_FROM = 500;

const RETRY_PAUSE_MS = 100;

/** The statement took longer than allowed and was rolled back: the database is not well, no command is to blame. */
function isTimeout(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === '57014';
}

export function openPostingQueue(db: Database, options: PostingOptions): PostingQueue {
  const { traces = untraced } = options;
  const lanes = new Map<string, Lane>();
  let depth = 0;
  let idle: (() => void)[] = [];

  /**
   * The next units of a lane that fit one call. A unit that shares a key, a hold or a reversed transfer with one
   * before it waits for the next call, where it meets what the first one left.
   */
  function take(lane: Lane): Unit[] {
    const units: Unit[] = [];
    const claimed = new Set<string>();
    let left: Unit[] = [];
    let count = 0;
    for (const [index, unit] of lane.waiting.entries()) {
      if (count > 0 && count + unit.commands.length > options.batch_limit) {
        left = left.concat(lane.waiting.slice(index));
        break;
      }
      const [first] = unit.commands;
      const claims = first === undefined ? [] : [`key ${first.key}`];
      for (const { ref } of unit.commands) if (ref !== undefined) claims.push(ref);
      if (claims.some((claim) => claimed.has(claim))) {
        left.push(unit);
      } else {
        units.push(unit);
        count += unit.commands.length;
      }
      // What is left behind claims too, so that a third one does not overtake the second.
      for (const claim of claims) claimed.add(claim);
    }
    lane.waiting = left;
    lane.depth -= count;
    depth -= count;
    return units;
  }

  async function callOnce(tx: Transaction, scope: Scope, commands: readonly Command[]): Promise<Outcome[]> {
    const [summary, ...others] = await tx.rows(Row, post, parametersOf(scope, commands));
    const { created_at = '', positions, balances } = summary ?? {};
    let leg = 0;
    const outcomes = commands.map(({ id, legs }, index): Outcome => {
      leg += legs.length;
      return {
        code: null,
        detail: null,
        replayed: false,
        position: positions?.[index] ?? null,
        created_at,
        result_id: id,
        first_request: null,
        balances: balances?.slice(leg - legs.length, leg) ?? [],
      };
    });
    for (const { command, positions: _, ...row } of others) {
      const { balances = [] } = outcomes[command - 1] ?? {};
      outcomes[command - 1] = { ...row, replayed: row.replayed === true, balances };
    }
    return outcomes;
  }

  async function call(session: Session, scope: Scope, commands: readonly Command[]): Promise<Outcome[]> {
    const deadline = performance.now() + options.retry_for_ms;
    for (;;) {
      try {
        return await callOnce(session, scope, commands);
      } catch (error) {
        const passing = isConnectionFailure(error) || isRetryable(error) || isTimeout(error);
        if (!passing) throw error;
        if (performance.now() > deadline) {
          throw refuse(
            'unavailable',
            'The database could not be reached in time; whether the request was carried out is unknown.',
            { retry_after_s: 1 },
          );
        }
        await new Promise((resolve) => setTimeout(resolve, RETRY_PAUSE_MS));
      }
    }
  }

  /**
   * The span of a call, where one of its requests is traced: part of the first one's trace, and linked with all of them, for
   * it is about each. Their waits end where it begins.
   */
  function beginBatch(units: readonly Unit[]): Span | undefined {
    const traced = units.flatMap((unit) => unit.traced ?? []);
    const [first] = traced;
    if (first === undefined) return undefined;
    const batch = traces.begin('ledger.post', {
      parent: first.place,
      kind: 'client',
      links: traced.map(({ place }) => place),
      attributes: {
        'db.system.name': 'postgresql',
        'financialapi.requests': units.length,
        'financialapi.commands': units.reduce((count, { commands }) => count + commands.length, 0),
      },
    });
    for (const { wait } of traced) {
      if (batch !== undefined) wait.link(batch.place);
      wait.end();
    }
    return batch;
  }

  /** Posts units in one call. What it resolves to gives them their outcomes; it never rejects. */
  async function postUnits(session: Session, scope: Scope, units: readonly Unit[]): Promise<() => void> {
    const batch = beginBatch(units);
    try {
      const began = performance.now();
      const outcomes = await call(
        session,
        scope,
        units.flatMap((unit) => unit.commands),
      );
      batch?.end();
      options.onBatch?.(outcomes, (performance.now() - began) / 1_000);
      return () => {
        let start = 0;
        for (const unit of units) {
          unit.resolve(outcomes.slice(start, start + unit.commands.length));
          start += unit.commands.length;
        }
      };
    } catch (error) {
      batch?.end(errorTypeOf(error));
      if (units.length === 1 || (error instanceof Error && error.name === 'Problem')) {
        return () => {
          for (const unit of units) unit.reject(error);
        };
      }
      // One command that the database cannot take must not fail those beside it: each alone shows which it is.
      for (const unit of units) (await postUnits(session, scope, [unit]))();
      return () => {};
    }
  }

  async function run(lane: Lane): Promise<void> {
    const session = db.session();
    let answer = () => {};
    while (lane.waiting.length > 0 && mayCall(lane, lane.calls - 1)) {
      const units = take(lane);
      // What is left may be enough for a call of its own.
      start(lane);
      const posted = postUnits(session, lane.scope, units);
      // PostgreSQL has the next batch before Node is busy with the answers to the last one.
      answer();
      answer = await posted;
    }
    session.release();
    lane.calls -= 1;
    answer();
    // Whoever came after the last look found two calls under way.
    start(lane);
    if (!busy()) {
      for (const resolve of idle) resolve();
      idle = [];
    }
  }

  function mayCall(lane: Lane, others: number): boolean {
    return others === 0 || (others === 1 && lane.depth >= OVERLAP_FROM);
  }

  /** Begins another call, if there is reason for one. */
  function start(lane: Lane): void {
    if (lane.waiting.length === 0 || !mayCall(lane, lane.calls)) return;
    lane.calls += 1;
    // All requests that this turn of the event loop has read go into the batch, which is at no place of one of them.
    doAt(undefined, () => setImmediate(() => void run(lane)));
  }

  function busy(): boolean {
    return depth > 0 || [...lanes.values()].some(({ calls }) => calls > 0);
  }

  function laneOf(scope: Scope): Lane {
    const name = `${scope.tenant_id} ${scope.environment}`;
    let lane = lanes.get(name);
    if (lane === undefined) {
      const { tenant_id, environment } = scope;
      lane = { scope: { tenant_id, environment }, waiting: [], depth: 0, calls: 0 };
      lanes.set(name, lane);
    }
    return lane;
  }

  function overloaded(): Problem {
    return refuse('overloaded', `${options.queue_limit} postings are waiting already.`, { retry_after_s: 1 });
  }

  return {
    submit(poster, commands) {
      if (commands.length === 0) return Promise.resolve([]);
      if (depth + commands.length > options.queue_limit) return Promise.reject(overloaded());
      attribute(poster, commands);
      const place = locate(commands);
      const wait = place === undefined ? undefined : traces.begin('wait for a batch', { parent: place });
      const lane = laneOf(poster);
      return new Promise<Outcome[]>((resolve, reject) => {
        lane.waiting.push({
          commands: bound(poster, commands),
          ...(place === undefined || wait === undefined ? {} : { traced: { place, wait } }),
          resolve,
          reject,
        });
        lane.depth += commands.length;
        depth += commands.length;
        start(lane);
      });
    },
    rehearse: (poster, commands, look) =>
      db.rehearse(poster, async (tx) => {
        const outcomes = await callOnce(tx, poster, bound(poster, commands));
        await look?.(tx, outcomes);
        return outcomes;
      }),
    postWithin(tx, poster, commands) {
      attribute(poster, commands);
      locate(commands);
      return callOnce(tx, poster, bound(poster, commands));
    },
    depth: () => depth,
    drain() {
      if (!busy()) return Promise.resolve();
      return new Promise((resolve) => idle.push(resolve));
    },
  };
}
