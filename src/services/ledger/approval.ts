/** What the routes of the ledger say about themselves to whoever asks a second person: amounts, and how to set them aside. */
import type { FastifyRequest } from 'fastify';
import { type Static, type TSchema, Type } from 'typebox';
import { Check } from 'typebox/value';
import type { Approved } from '../../platform/approvals/execution.ts';
import type { Approval, Reservation } from '../../platform/approvals/route.ts';
import type { Scope } from '../../platform/db.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import { formatMoney, type Money } from '../../platform/money.ts';
import type { Books } from './books.ts';
import { claimHold, unclaimWithin } from './claim-hold.ts';
import { HoldRequest, placementCommand } from './place-hold.ts';
import { BatchRequest, batchCommands } from './post-batch.ts';
import { assertForm, TransferRequest, transferCommand } from './post-transfer.ts';
import type { Command } from './posting.ts';
import { refusalOf } from './refusal.ts';
import { partsOf, releaseReserved, reserveParts, wasAttempted } from './reserve.ts';
import { ReversalRequest, reversalCommand } from './reverse-transfer.ts';
import { CaptureRequest, captureCommand, IncrementRequest, incrementCommand } from './step-hold.ts';
import type { Reserved } from './submit.ts';

/** A part of a request that its route's schema has checked. */
function checked<Schema extends TSchema>(schema: Schema, value: unknown): Static<Schema> {
  if (!Check(schema, value)) throw new Error('a request that is not as its route says');
  return value;
}

/** What was reserved for a request that is carried out after its approval. */
export function reservedFor(approved: Approved | undefined): Reserved | undefined {
  return approved && { reserved_for: approved.proposal_id, holds: approved.holds };
}

/** What a command moves in each currency: the sum of its debits. */
function amountsOf(commands: readonly Command[]): Money[] {
  return commands.flatMap(({ legs }) => {
    const sums = new Map<string, bigint>();
    for (const { side, amount, currency } of legs) {
      if (side === 'debit') sums.set(currency, (sums.get(currency) ?? 0n) + amount);
    }
    return [...sums].map(([currency, sum]) => formatMoney(sum, currency));
  });
}

/** Commands are built for their legs, and rehearsed under this. No client can have a key with a space in it. */
const unposted = { key: 'not posted', operation: 'system:rehearse' };

const HoldParams = Type.Object({ hold_id: Id('hld') });
const TransferParams = Type.Object({ transfer_id: Id('trf') });
const HoldRow = Type.Object({ amount: Type.BigInt(), currency: Type.String() });

/** Whether the transfers of a batch are posted all or none. */
const isWhole = ({ atomic }: Static<typeof BatchRequest>): boolean => atomic === true;

/** Throws what commands would be refused for if they were posted now. */
async function assertPostable(
  { posting }: Books,
  caller: Scope,
  commands: readonly Command[],
): Promise<void> {
  const outcomes = await posting.rehearse(caller, commands);
  for (const [index, command] of commands.entries()) {
    const outcome = outcomes[index];
    if (outcome === undefined) throw new Error('a command without an outcome');
    // The others of a group are refused with the one that says why.
    if (outcome.code !== null && outcome.code !== 'linked_transfer_refused')
      throw refusalOf(command, outcome);
  }
}

export function approvalsOf(books: Books) {
  const common = {
    shows_answer: true,
    wasAttempted: (scope: Scope, key: string) => wasAttempted(books, scope, key),
    release: (scope: Scope, proposal_id: string, holds: readonly string[]) =>
      releaseReserved(books, scope, proposal_id, holds),
  } satisfies Approval;

  function reservation(caller: Scope, commands: readonly Command[], each: boolean): Reservation {
    const parts = partsOf(commands);
    const { tenant_id, environment } = caller;
    return {
      holds: parts.map(({ id }) => id),
      async place({ proposal_id, expires_at, dry_run }) {
        // Whatever refuses it does so now, not after somebody has approved it.
        if (!each) await assertPostable(books, caller, commands);
        // The system holds: what the caller may move in a day is used by what is carried out, not twice.
        const scope: Scope = { tenant_id, environment };
        return reserveParts(books, scope, parts, { reserved_for: proposal_id, expires_at, dry_run, each });
      },
    };
  }

  /** A route whose commands are known from the request. */
  function moving(
    commandsOf: (request: FastifyRequest) => Promise<Command[]> | Command[],
    more: Approval & { each?: (request: FastifyRequest) => boolean } = {},
  ): Approval {
    const { each = () => false, ...approval } = more;
    return {
      ...common,
      amounts: async (request) => amountsOf(await commandsOf(request)),
      reserve: async (request) => reservation(request.caller, await commandsOf(request), each(request)),
      ...approval,
    };
  }

  const holdOf = ({ params }: FastifyRequest): string => uuidOf('hld', checked(HoldParams, params).hold_id);

  return {
    transfer: moving(({ body }) => {
      const transfer = checked(TransferRequest, body);
      assertForm(transfer);
      return [transferCommand(transfer, { ...unposted, item: 0, request: 'null' })];
    }),
    batch: moving(({ body }) => batchCommands(checked(BatchRequest, body), unposted), {
      each: ({ body }) => !isWhole(checked(BatchRequest, body)),
    }),
    reversal: moving(async ({ caller, params, body }) => {
      const uuid = uuidOf('trf', checked(TransferParams, params).transfer_id);
      return [await reversalCommand(books, caller, uuid, checked(ReversalRequest, body), unposted)];
    }),
    placement: moving(({ body }) => [placementCommand(checked(HoldRequest, body), unposted).command]),
    increment: moving(async (request) => [
      await incrementCommand(
        books,
        request.caller,
        holdOf(request),
        checked(IncrementRequest, request.body),
        unposted,
      ),
    ]),
    extension: { ...common, amounts: () => [] },
    /**
     * A capture counts as the whole of its hold, which could otherwise be captured piece by piece. The hold itself keeps
     * the money: it is claimed, so that nobody else captures or releases it while the proposal waits.
     */
    capture: {
      ...common,
      also: ['transfers:post'],
      reserve: (request) => {
        const { caller, body } = request;
        const uuid = holdOf(request);
        return {
          holds: [uuid],
          async place({ proposal_id, dry_run }) {
            const capture = checked(CaptureRequest, body ?? {});
            const step = await captureCommand(books, caller, uuid, capture, unposted);
            await claimHold(books, caller, uuid, { reserved_for: proposal_id, step, dry_run });
            return [uuid];
          },
        };
      },
      release: (scope, proposal_id, holds) =>
        books.db.write(scope, (tx) => unclaimWithin(tx, proposal_id, holds)),
      amounts: async (request) => {
        const { caller } = request;
        const uuid = holdOf(request);
        const rows = await books.db.read(caller, (tx) =>
          tx.rows(
            HoldRow,
            'select amount, currency from ledger.holds where tenant_id = $1 and environment = $2 and id = $3',
            [caller.tenant_id, caller.environment, uuid],
          ),
        );
        return rows.map(({ amount, currency }) => formatMoney(amount, currency));
      },
    },
  } satisfies Record<string, Approval>;
}
