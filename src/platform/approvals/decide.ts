/** Deciding proposals, carrying out what was approved, and giving back what was set aside for the others. */
import type { FastifyBaseLogger } from 'fastify';
import { type Static, Type } from 'typebox';
import type { Access } from '../access/access.ts';
import { assertMay, type Caller } from '../access/caller.ts';
import type { Database, Scope, Transaction } from '../db.ts';
import { type Api, problemBody, Text } from '../http.ts';
import { formatId } from '../ids.ts';
import { behind } from './behind.ts';
import { refuse } from './errors.ts';
import { addProposalEvent } from './event.ts';
import { carryOut } from './execution.ts';
import {
  findRow,
  getRow,
  namesOf,
  type Proposal,
  type ProposalRow,
  proposalOf,
  type Result,
  who,
} from './proposal.ts';
import type { SubjectRoute } from './route.ts';

const Reason = Text({
  min: 1,
  max: 1_000,
  description: 'Why, for whoever proposed it and whoever reads it later',
});
export const ApprovalRequest = Type.Object(
  { reason: Type.Optional(Reason) },
  { additionalProperties: false },
);
export const RejectionRequest = Type.Object({ reason: Reason }, { additionalProperties: false });

export interface Deciding {
  db: Database;
  app: Api;
  access: Pick<Access, 'findPrincipal'>;
  log: FastifyBaseLogger;
  publicUrl: () => string;
  /** The route of this process that a proposal is about. */
  routeOf: (name: string) => SubjectRoute | undefined;
}

/** How long whoever approved has to carry it out before the worker does. */
const CARRIED_OUT_WITHIN_S = 60;
/** When what could not be done for now is tried again. */
const TRIED_AGAIN_AFTER_S = 5;

type Decision = 'approved' | 'rejected' | 'cancelled';

/** Whether a decision that was made is the one that is made now, by the same caller: told again, not refused. */
function isRepeated(row: ProposalRow, caller: Caller, decision: Decision): boolean {
  const decided: Decision[] =
    row.status === 'executed' || row.status === 'failed'
      ? ['approved']
      : row.status === 'approved' || row.status === 'rejected' || row.status === 'cancelled'
        ? [row.status]
        : [];
  return decided.includes(decision) && row.decided_by?.id === caller.principal.id;
}

async function assertMayDecide(
  tx: Transaction,
  caller: Caller,
  row: ProposalRow,
  decision: Decision,
): Promise<void> {
  const id = formatId('prp', row.id);
  const own = (names: readonly string[], ids: readonly string[]) => names.some((name) => ids.includes(name));
  if (decision === 'cancelled') {
    const proposers = [row.proposed_by.id, ...(row.on_behalf_of === null ? [] : [row.on_behalf_of.id])];
    if (!own(namesOf(caller), proposers)) {
      throw refuse('not_own_proposal', `${id} was proposed by ${row.proposed_by.name}.`);
    }
    return;
  }
  assertMay(caller, row.action, false);
  if (own(await behind(tx, caller, caller), row.behind)) {
    throw refuse('own_proposal', `Behind ${caller.principal.name} is whoever proposed ${id}.`);
  }
}

/** Decides a proposal that waits. One decision is made, whoever else is about to make one. */
async function decide(
  { db, routeOf }: Deciding,
  caller: Caller,
  uuid: string,
  decision: Decision,
  reason: string | undefined,
): Promise<{ row: ProposalRow; repeated: boolean }> {
  return db.write(caller, async (tx) => {
    await tx.run(
      'select from platform.proposals where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [caller.tenant_id, caller.environment, uuid],
    );
    const row = await getRow(tx, caller, uuid);
    await assertMayDecide(tx, caller, row, decision);
    if (isRepeated(row, caller, decision)) return { row, repeated: true };
    if (row.status !== 'pending' || row.is_over) {
      const status = row.status === 'pending' ? 'expired' : row.status;
      throw refuse('proposal_decided', `${formatId('prp', uuid)} is ${status}.`, { proposal_status: status });
    }
    const route = routeOf(row.route);
    const waitsForProposer = decision === 'approved' && route?.approval.answers_secret === true;
    await tx.run(
      `update platform.proposals set status = $4, decided_by = $5, decided_at = statement_timestamp(), reason = $6,
         due_at = case when $7 then expires_at when $4 = 'approved' or cardinality(reserved) > 0
                  then statement_timestamp() + make_interval(secs => $8) end
       where tenant_id = $1 and environment = $2 and id = $3`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        decision,
        JSON.stringify(who(caller.principal)),
        reason ?? null,
        waitsForProposer,
        // Where the service is another process's, that one is to do it at once.
        route === undefined ? 0 : CARRIED_OUT_WITHIN_S,
      ],
    );
    const decided = await getRow(tx, caller, uuid);
    await addProposalEvent(tx, caller, decision, decided);
    return { row: decided, repeated: false };
  });
}

async function shownNow({ db }: Deciding, scope: Scope, uuid: string): Promise<Proposal> {
  return db.read(scope, async (tx) => proposalOf(await getRow(tx, scope, uuid)));
}

/** A proposal after it was decided, and its status before. */
export interface Decided {
  before: ProposalRow['status'];
  proposal: Proposal;
}

async function decided(
  deciding: Deciding,
  scope: Scope,
  uuid: string,
  { row, repeated }: Awaited<ReturnType<typeof decide>>,
): Promise<Decided> {
  return { before: repeated ? row.status : 'pending', proposal: await shownNow(deciding, scope, uuid) };
}

/** Approves a proposal of somebody else and carries it out. */
export async function approve(
  deciding: Deciding,
  caller: Caller,
  uuid: string,
  { reason }: Static<typeof ApprovalRequest>,
): Promise<Decided> {
  const decision = await decide(deciding, caller, uuid, 'approved', reason);
  const { row, repeated } = decision;
  const route = deciding.routeOf(row.route);
  // Where the service is another process's, its worker carries it out.
  if (!repeated && route !== undefined && route.approval.answers_secret !== true) {
    await execute(deciding, caller, row, route);
  }
  return decided(deciding, caller, uuid, decision);
}

/** Rejects a proposal of somebody else, saying why. */
export async function reject(
  deciding: Deciding,
  caller: Caller,
  uuid: string,
  { reason }: Static<typeof RejectionRequest>,
): Promise<Decided> {
  const decision = await decide(deciding, caller, uuid, 'rejected', reason);
  await giveBack(deciding, caller, decision.row);
  return decided(deciding, caller, uuid, decision);
}

/** Takes a proposal of one's own back. */
export async function cancel(deciding: Deciding, caller: Caller, uuid: string): Promise<Decided> {
  const decision = await decide(deciding, caller, uuid, 'cancelled', undefined);
  await giveBack(deciding, caller, decision.row);
  return decided(deciding, caller, uuid, decision);
}

/** Releases what was set aside for a proposal that is over. What fails is left to the worker. */
async function giveBack(deciding: Deciding, scope: Scope, row: ProposalRow): Promise<void> {
  if (row.reserved.length === 0) return;
  const { log, db, routeOf } = deciding;
  try {
    const route = routeOf(row.route);
    if (route === undefined) return;
    await route.approval.release?.(scope, formatId('prp', row.id), row.reserved);
    await db.write(scope, (tx) =>
      tx.run(
        `update platform.proposals set due_at = null where tenant_id = $1 and environment = $2 and id = $3
           and status not in ('reserving', 'pending', 'approved')`,
        [scope.tenant_id, scope.environment, row.id],
      ),
    );
  } catch (error) {
    log.warn(
      { err: error, proposal_id: formatId('prp', row.id) },
      'what a proposal reserved is not released yet',
    );
  }
}

/** Writes down what carrying out came to. */
async function settle(deciding: Deciding, scope: Scope, row: ProposalRow, result: Result): Promise<void> {
  const status = result.status < 400 ? 'executed' : 'failed';
  const settled = await deciding.db.write(scope, async (tx) => {
    const changed = await tx.run(
      `update platform.proposals set status = $4, result = $5,
         due_at = case when $4 = 'failed' and cardinality(reserved) > 0 then statement_timestamp() end
       where tenant_id = $1 and environment = $2 and id = $3 and status = 'approved'`,
      [scope.tenant_id, scope.environment, row.id, status, JSON.stringify(result)],
    );
    if (changed === 1) {
      const happening = status === 'executed' ? 'carried_out' : 'failed';
      await addProposalEvent(tx, scope, happening, row, { status: result.status });
    }
    return changed;
  });
  if (settled === 1 && status === 'failed') await giveBack(deciding, scope, row);
}

/** Whether an answer says nothing about the request itself, so that it may be asked again. */
function isPassing(status: number): boolean {
  return status >= 500 || status === 408 || status === 429;
}

/** More than a screen shows is not kept a second time. */
const MAX_SHOWN_CHARACTERS = 65_536;

function resultOf(
  { approval }: SubjectRoute,
  answer: { statusCode: number; headers: Record<string, unknown>; body: string },
): Result {
  const { statusCode: status, headers, body } = answer;
  const { location } = headers;
  const isShown = (approval.shows_answer === true || status >= 400) && body.length <= MAX_SHOWN_CHARACTERS;
  const type = headers['content-type'];
  const isJson = typeof type === 'string' && type.includes('json');
  return {
    status,
    ...(typeof location === 'string' ? { location } : {}),
    ...(isShown && isJson && body !== '' ? { body: JSON.parse(body) } : {}),
  };
}

/**
 * Carries out what was approved: the request as it is kept, for whoever proposed it, with what they may do now. Its
 * Idempotency-Key makes it safe to do this again when its outcome is not known. While it cannot be done for now it stays
 * approved, and the worker tries again.
 */
async function execute(
  deciding: Deciding,
  scope: Scope,
  row: ProposalRow,
  route: SubjectRoute,
): Promise<void> {
  const { app, access, db, log, publicUrl } = deciding;
  const proposal_id = formatId('prp', row.id);
  try {
    const caller = await access.findPrincipal(scope, row.proposed_by, row.on_behalf_of ?? undefined);
    if (caller === undefined) {
      const problem = refuse('proposer_lost_access', `${row.proposed_by.name} has no access any more.`);
      await settle(deciding, scope, row, {
        status: problem.type.status,
        body: problemBody(problem, publicUrl()),
      });
      return;
    }
    const answer = await carryOut({ caller, approved: { proposal_id, holds: row.reserved } }, () =>
      app.inject({
        method: methodOf(row.method),
        url: row.url,
        headers: {
          ...(row.keyed ? { 'idempotency-key': row.key } : {}),
          ...(row.if_match === null ? {} : { 'if-match': row.if_match }),
          ...(row.body === null ? {} : { 'content-type': 'application/json' }),
        },
        ...(row.body === null ? {} : { payload: row.body }),
      }),
    );
    if (!isPassing(answer.statusCode)) {
      await settle(deciding, scope, row, resultOf(route, answer));
      return;
    }
    log.warn({ proposal_id, status: answer.statusCode }, 'what was approved cannot be carried out for now');
  } catch (error) {
    log.error({ err: error, proposal_id }, 'what was approved could not be carried out');
  }
  await db
    .write(scope, (tx) =>
      tx.run(
        `update platform.proposals set due_at = statement_timestamp() + make_interval(secs => ${TRIED_AGAIN_AFTER_S})
         where tenant_id = $1 and environment = $2 and id = $3 and status = 'approved'`,
        [scope.tenant_id, scope.environment, row.id],
      ),
    )
    // It is due again anyway, when the time of this attempt is over.
    .catch((error: unknown) => log.warn({ err: error, proposal_id }, 'a proposal is tried again later'));
}

function methodOf(text: string): 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE' {
  if (text === 'GET' || text === 'POST' || text === 'PUT' || text === 'PATCH' || text === 'DELETE')
    return text;
  throw new Error(`a proposal of the method ${text}`);
}

/** Writes down that the proposer has carried out what was approved, where only they see the answer. */
export async function settleByProposer(
  deciding: Deciding,
  scope: Scope,
  uuid: string,
  result: Result,
): Promise<void> {
  if (isPassing(result.status)) return;
  const row = await deciding.db.read(scope, (tx) => findRow(tx, scope, uuid));
  if (row !== undefined) await settle(deciding, scope, row, result);
}

/** Does what is due about a proposal, whatever process left it so. */
export async function attend(deciding: Deciding, scope: Scope, uuid: string): Promise<void> {
  const { db, routeOf } = deciding;
  const taken = await db.write(scope, async (tx) => {
    // Whoever comes second finds that it is not due.
    await tx.run(
      'select from platform.proposals where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      [scope.tenant_id, scope.environment, uuid],
    );
    const row = await findRow(tx, scope, uuid);
    if (row === undefined) return undefined;
    const waitsForProposer = routeOf(row.route)?.approval.answers_secret === true;
    const isExpiring =
      row.is_over && (row.status === 'pending' || (row.status === 'approved' && waitsForProposer));
    // It was approved in a process that does not know that only the proposer may see the answer.
    const isLeft = row.status === 'approved' && waitsForProposer && !isExpiring;
    const changed = await tx.run(
      `update platform.proposals set status = $4,
         due_at = case when $5 then expires_at when $4 = 'approved' or cardinality(reserved) > 0
                  then statement_timestamp() + make_interval(secs => ${CARRIED_OUT_WITHIN_S}) end
       where tenant_id = $1 and environment = $2 and id = $3 and due_at <= statement_timestamp()`,
      [
        scope.tenant_id,
        scope.environment,
        uuid,
        isExpiring ? 'expired' : row.status === 'reserving' ? 'refused' : row.status,
        isLeft,
      ],
    );
    if (changed !== 1 || isLeft) return undefined;
    const attended = await findRow(tx, scope, uuid);
    if (attended !== undefined && isExpiring) await addProposalEvent(tx, scope, 'expired', attended);
    return attended;
  });
  if (taken === undefined) return;
  const route = routeOf(taken.route);
  if (taken.status === 'approved') {
    if (route !== undefined) await execute(deciding, scope, taken, route);
    return;
  }
  await giveBack(deciding, scope, taken);
}
