/** What happens to a hold after it was placed: increment, extend, capture, release. Each is a step of its own. */
import { type Static, Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import type { Scope, Transaction } from '../../platform/db.ts';
import { Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { formatId, newUuid } from '../../platform/ids.ts';
import { Money } from '../../platform/money.ts';
import type { Books } from './books.ts';
import { Hold, IsoDate, Metadata, Timestamp, Transfer } from './contract.ts';
import { holdEvent, holdLegs, RESERVED_LABEL } from './hold-terms.ts';
import { instantOf } from './instant.ts';
import { transferEvent } from './post-transfer.ts';
import type { Command, Outcome, Poster } from './posting.ts';
import { getHold } from './read-holds.ts';
import { getTransferAsPosted } from './read-transfers.ts';
import { commandOrRefusal, holdReserved, refusalOf } from './refusal.ts';
import { type PostOptions, type Reserved, submitterOf } from './submit.ts';
import { existingDate, positiveAmount } from './terms.ts';

export const IncrementRequest = Type.Object(
  {
    amount: Type.Object(Money.properties, {
      additionalProperties: false,
      description: 'How much to hold beside what is held already',
    }),
  },
  { additionalProperties: false },
);
export type IncrementRequest = Static<typeof IncrementRequest>;

export const ExtensionRequest = Type.Object(
  { expires_at: Type.String({ ...Timestamp, description: 'The new end, later than the present one' }) },
  { additionalProperties: false },
);
export type ExtensionRequest = Static<typeof ExtensionRequest>;

export const CaptureRequest = Type.Object(
  {
    amount: Type.Optional(
      Type.Object(Money.properties, {
        additionalProperties: false,
        description: 'How much to capture; absent: all that remains',
      }),
    ),
    final: Type.Optional(
      Type.Boolean({ default: false, description: 'Release what remains after this capture' }),
    ),
    effective_date: Type.Optional(
      Type.String({ ...IsoDate, description: 'Business date; absent means the day it is recorded, UTC' }),
    ),
    description: Type.Optional(Personal(Text({ max: 500 }))),
    metadata: Type.Optional(Metadata),
  },
  { additionalProperties: false },
);
export type CaptureRequest = Static<typeof CaptureRequest>;

export const ReleaseRequest = Type.Object(
  {
    amount: Type.Optional(
      Type.Object(Money.properties, {
        additionalProperties: false,
        description: 'How much to release; absent: all that remains',
      }),
    ),
  },
  { additionalProperties: false },
);
export type ReleaseRequest = Static<typeof ReleaseRequest>;

export const CaptureResult = Type.Object({
  hold: Type.Object(Hold.properties, { description: 'The hold as the capture left it' }),
  transfer: Type.Object(Transfer.properties, { description: 'The transfer that the capture posted' }),
});
export type CaptureResult = Static<typeof CaptureResult>;

/** What a step answers with, and the position it has in the ledger. */
export interface Stepped<Answer> {
  answer: Answer;
  position: number;
  replayed: boolean;
}

const TermsRow = Type.Object({
  id: Type.String(),
  debit_account_id: Type.String(),
  credit_account_id: Type.String(),
  currency: Type.String(),
  reserved_for: Type.Union([Type.String(), Type.Null()]),
});

const holdTerms = {
  name: 'ledger.hold_terms',
  text: `select h.id, h.debit_account_id, h.credit_account_id, h.currency,
           h.metadata ->> '${RESERVED_LABEL}' as reserved_for
         from ledger.holds h
         where h.tenant_id = $1 and h.environment = $2 and h.id = $3`,
};

/** What never changes of a hold, or undefined if there is no such hold. */
async function findTerms(
  books: Books,
  scope: Scope,
  uuid: string,
): Promise<Static<typeof TermsRow> | undefined> {
  const [row] = await books.db.read(scope, (tx) =>
    tx.rows(TermsRow, holdTerms, [scope.tenant_id, scope.environment, uuid]),
  );
  return row;
}

/** What a step asks for. */
interface Step {
  kind: 'increment' | 'extend' | 'capture' | 'release';
  /** Absent: all that remains. */
  amount?: Money | undefined;
  expires_at?: string;
  final?: boolean;
  effective_date?: string | undefined;
  description?: string | undefined;
  metadata?: Record<string, string> | undefined;
}

function stepCommand(
  uuid: string,
  terms: Static<typeof TermsRow> | undefined,
  body: unknown,
  attempt: Attempt,
  step: Step,
  reserved?: Reserved,
): Command {
  const identity = { ...attempt, item: 0, request: canonicalRequest(body) };
  return commandOrRefusal(identity, () => {
    if (typeof terms?.reserved_for === 'string' && terms.reserved_for !== reserved?.reserved_for) {
      throw holdReserved(uuid, terms.reserved_for);
    }
    const id = newUuid();
    const { kind, expires_at, final, description, metadata } = step;
    const amount = step.amount === undefined ? undefined : positiveAmount(step.amount);
    const effective_date = step.effective_date === undefined ? undefined : existingDate(step.effective_date);
    const common = {
      id,
      kind,
      ...identity,
      ref: uuid,
      amount,
      ...(expires_at === undefined ? {} : { expires_at }),
      ...(final === undefined ? {} : { final }),
      effective_date,
      description,
      metadata: metadata === undefined ? undefined : JSON.stringify(metadata),
    };
    // Without a hold there are no accounts to name. It is asked for all the same, so that this outcome is kept as well.
    if (terms === undefined) return { ...common, event: '{}', legs: [] };
    const legs = holdLegs(terms, amount ?? 0n, step.amount?.currency ?? terms.currency);
    if (kind !== 'capture') return { ...common, event: holdEvent(terms, { id, kind }), legs };
    const transfer: unknown = JSON.parse(
      transferEvent(formatId('trf', id), legs, {
        description,
        metadata,
        effective_date,
        hold_id: formatId('hld', uuid),
      }),
    );
    return { ...common, event: holdEvent(terms, { id, kind }, { transfer }), legs };
  });
}

/** Position and id of a step that was done; throws what was refused. */
function doneAt(command: Command, outcome: Outcome | undefined): { position: bigint; resultId: string } {
  if (outcome === undefined) throw new Error('a command without an outcome');
  if (outcome.code !== null) throw refusalOf(command, outcome);
  const { position, result_id } = outcome;
  if (position === null || result_id === null) throw new Error('a hold step without position or id');
  return { position, resultId: result_id };
}

/**
 * Posts a step, once for each idempotency key.
 *
 * @param read tells the answer from the books as of the step, whether it was posted now or by an earlier attempt
 */
async function post<Answer>(
  books: Books,
  scope: Poster,
  command: Command,
  options: PostOptions,
  read: (tx: Transaction, position: bigint, resultId: string) => Promise<Answer>,
): Promise<Stepped<Answer>> {
  if (options.dry_run) {
    let answer: Answer | undefined;
    const [outcome] = await books.posting.rehearse(scope, [command], async (tx, [rehearsed]) => {
      const { position, resultId } = doneAt(command, rehearsed);
      answer = await read(tx, position, resultId);
    });
    if (answer === undefined || outcome === undefined) throw new Error('a rehearsal that nobody looked at');
    return { answer, position: Number(outcome.position), replayed: outcome.replayed };
  }
  const [outcome] = await submitterOf(books, options)(scope, [command]);
  const { position, resultId } = doneAt(command, outcome);
  const answer = await books.db.read(scope, (tx) => read(tx, position, resultId));
  return { answer, position: Number(position), replayed: outcome?.replayed ?? false };
}

/** The command that holds more. */
export async function incrementCommand(
  books: Books,
  scope: Scope,
  uuid: string,
  body: IncrementRequest,
  attempt: Attempt,
): Promise<Command> {
  const step: Step = { kind: 'increment', amount: body.amount };
  return stepCommand(uuid, await findTerms(books, scope, uuid), body, attempt, step);
}

/** Holds more. */
export async function incrementHold(
  books: Books,
  scope: Poster,
  uuid: string,
  body: IncrementRequest,
  attempt: Attempt,
  options: PostOptions,
): Promise<Stepped<Hold>> {
  const command = await incrementCommand(books, scope, uuid, body, attempt);
  return post(books, scope, command, options, (tx, position) => getHold(tx, scope, uuid, position));
}

/** Lets a hold last longer. */
export async function extendHold(
  books: Books,
  scope: Poster,
  uuid: string,
  body: ExtensionRequest,
  attempt: Attempt,
  options: { dry_run: boolean },
): Promise<Stepped<Hold>> {
  const step: Step = { kind: 'extend', expires_at: instantOf(body.expires_at, '/expires_at') };
  const command = stepCommand(uuid, await findTerms(books, scope, uuid), body, attempt, step);
  return post(books, scope, command, options, (tx, position) => getHold(tx, scope, uuid, position));
}

/** The command that captures. */
export async function captureCommand(
  books: Books,
  scope: Scope,
  uuid: string,
  body: CaptureRequest,
  attempt: Attempt,
  reserved?: Reserved,
): Promise<Command> {
  const { amount, final, effective_date, description, metadata } = body;
  const step: Step = {
    kind: 'capture',
    amount,
    final: final ?? false,
    effective_date,
    description,
    metadata,
  };
  return stepCommand(uuid, await findTerms(books, scope, uuid), body, attempt, step, reserved);
}

/** Posts held money to the credit account: part of it, as often as something remains, or all. */
export async function captureHold(
  books: Books,
  scope: Poster,
  uuid: string,
  body: CaptureRequest,
  attempt: Attempt,
  options: PostOptions,
): Promise<Stepped<CaptureResult>> {
  const command = await captureCommand(books, scope, uuid, body, attempt, options.reserved);
  return post(books, scope, command, options, async (tx, position, transferUuid) => ({
    hold: await getHold(tx, scope, uuid, position),
    transfer: await getTransferAsPosted(tx, scope, transferUuid),
  }));
}

/** Gives held money back to the debit account, in part or whole. */
export async function releaseHold(
  books: Books,
  scope: Poster,
  uuid: string,
  body: ReleaseRequest,
  attempt: Attempt,
  options: { dry_run: boolean },
): Promise<Stepped<Hold>> {
  const step: Step = { kind: 'release', amount: body.amount };
  const command = stepCommand(uuid, await findTerms(books, scope, uuid), body, attempt, step);
  return post(books, scope, command, options, (tx, position) => getHold(tx, scope, uuid, position));
}
