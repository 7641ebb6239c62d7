/** Making a proposal of a request that a policy covers, where it would otherwise be carried out. */
import { hash } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { redactorOf } from '../access/redaction.ts';
import type { Database, Scope, Transaction } from '../db.ts';
import { canonicalRequest, idempotencyKey, keyReused } from '../idempotency.ts';
import { formatId, newUuid } from '../ids.ts';
import { type Money, parseMoney } from '../money.ts';
import { Problem, refuse as refuseRequest } from '../problem.ts';
import { behind } from './behind.ts';
import { refuse } from './errors.ts';
import { addProposalEvent } from './event.ts';
import { isAbove, type Rule, type Rules } from './policy.ts';
import {
  findRow,
  namesOf,
  Proposal,
  ProposalRow,
  proposalColumns,
  proposalOf,
  Result,
  who,
} from './proposal.ts';
import type { Reservation, SubjectRoute } from './route.ts';

/** After which a process that was reserving is taken for dead. Every step of it has a shorter time limit. */
const RESERVING_FOR_S = 60;

/** The rules that cover a request; those that measure amounts are asked last. */
async function rulesFor(
  request: FastifyRequest,
  { permission, approval }: SubjectRoute,
  rules: Rules,
): Promise<{ covering: Rule[]; amounts: Money[] | undefined }> {
  const also = approval.also ?? [];
  const candidates = [permission, ...also].flatMap((action) => rules.get(action) ?? []);
  if (candidates.length === 0) return { covering: [], amounts: undefined };
  const amounts = await approval.amounts?.(request);
  // What moves nothing is none of the further actions.
  const isStill = amounts?.length === 0;
  const counting = candidates.filter(({ action }) => action === permission || !isStill);
  return { covering: counting.filter((rule) => isAbove(rule, amounts)), amounts };
}

/** The largest amount of each currency. */
function largest(amounts: readonly Money[]): Money[] {
  const found = new Map<string, { money: Money; minor: bigint }>();
  for (const money of amounts) {
    const minor = parseMoney(money);
    if (typeof minor !== 'bigint') continue;
    const before = found.get(money.currency);
    if (before === undefined || before.minor < minor) found.set(money.currency, { money, minor });
  }
  return [...found.values()].map(({ money }) => money);
}

const IdRow = Type.Object({ id: Type.String(), expires_at: Type.String(), created_at: Type.String() });

interface Asked {
  key: string;
  operation: string;
  body: string | null;
  if_match: string | null;
}

function askedBy(request: FastifyRequest, route: SubjectRoute): Asked {
  if (route.needs_key) idempotencyKey(request);
  const given = request.headers['idempotency-key'];
  const operation = `${request.method} ${request.url}`;
  const body = request.body === undefined || request.body === null ? null : canonicalRequest(request.body);
  const if_match = request.headers['if-match'] ?? null;
  const key =
    route.keyed && typeof given === 'string'
      ? given
      : // Asked twice, it waits once. A space keeps it apart from the keys of clients.
        `request ${hash('sha256', JSON.stringify([namesOf(request.caller), operation, if_match, body]))}`;
  return { key, operation, body, if_match };
}

/** What this key is a proposal of already, if it is one. */
async function findKept(db: Database, scope: Scope, key: string): Promise<ProposalRow | undefined> {
  const [row] = await db.read(scope, (tx) =>
    tx.rows(
      ProposalRow,
      `select ${proposalColumns} from platform.proposals
       where tenant_id = $1 and environment = $2 and key = $3
         and case when keyed then status <> 'refused' else status in ('reserving', 'pending', 'approved') end`,
      [scope.tenant_id, scope.environment, key],
    ),
  );
  return row;
}

/** The routes that answer with proposals mask what their own schemas mark, and this answer is none of theirs. */
const redactProposal = redactorOf(Proposal);
const redactResult = redactorOf(Result);

/** Answers with a proposal: it is neither done nor refused (RFC 9110, section 15.3.3). */
function answerProposed(
  request: FastifyRequest,
  reply: FastifyReply,
  row: ProposalRow,
  replayed: boolean,
): FastifyReply {
  const proposal = proposalOf(row);
  if (replayed) reply.header('idempotent-replayed', 'true');
  return reply
    .code(202)
    .header('location', `/api/v2/proposals/${proposal.id}`)
    .send(redactProposal(proposal, request.caller, row.action));
}

/** What a request is told that was proposed before. Undefined: its route tells what came of it. */
function answerKept(
  request: FastifyRequest,
  reply: FastifyReply,
  route: SubjectRoute,
  asked: Asked,
  row: ProposalRow,
): FastifyReply | undefined {
  const before = { operation: `${row.method} ${row.url}`, request: row.body ?? 'null' };
  const now = { operation: asked.operation, request: asked.body ?? 'null' };
  if (before.operation !== now.operation || before.request !== now.request) {
    throw keyReused(asked.key, before, now);
  }
  switch (row.status) {
    case 'reserving':
      throw refuse('proposal_in_progress', `A request with the key ${asked.key} is under way.`, {
        retry_after_s: 1,
      });
    case 'executed':
      return undefined;
    case 'approved': {
      const proposer = row.proposed_by.id === request.caller.principal.id;
      if (route.approval.answers_secret !== true || !proposer)
        return answerProposed(request, reply, row, true);
      request.approved = { proposal_id: formatId('prp', row.id), holds: row.reserved };
      return undefined;
    }
    case 'pending':
      return answerProposed(request, reply, row, true);
    default: {
      const problem = refuse(
        'proposal_not_carried_out',
        `The proposal ${formatId('prp', row.id)} is ${row.status}.`,
        {
          proposal_id: formatId('prp', row.id),
          proposal_status: row.status,
          ...(row.reason === null ? {} : { reason: row.reason }),
          ...(row.result === null ? {} : { result: redactResult(row.result, request.caller, row.action) }),
        },
      );
      problem.replayed = true;
      throw problem;
    }
  }
}

function isDryRun({ query }: FastifyRequest): boolean {
  return typeof query === 'object' && query !== null && 'dry_run' in query && query.dry_run === true;
}

/**
 * Lets a request pass that no rule covers, and makes a proposal of one that is covered. Returns whether it was answered.
 *
 * The steps, of which any may be the last before this process dies: (1) the row, with the ids of the holds to be placed,
 * as `reserving`; (2) the holds, which end when the proposal does; (3) the row as `pending`. After (1) or (2) the worker
 * releases what stands and leaves the row as `refused`, so that the key is free again.
 */
export async function propose(
  db: Database,
  rules: Rules,
  route: SubjectRoute,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<boolean> {
  const { caller } = request;
  const { approval } = route;
  const { covering, amounts } = await rulesFor(request, route, rules);
  const [rule] = covering;
  if (rule === undefined) {
    request.measured = amounts;
    return false;
  }
  if (approval.refused === true) {
    const key = route.keyed ? request.headers['idempotency-key'] : undefined;
    // It was decided before there was a policy, and is told, not done.
    if (typeof key === 'string' && (await approval.wasAttempted?.(caller, key)) === true) return false;
    throw refuse('approval_required', `The policy about ${rule.action} asks for a second person.`, {
      policy: rule.action,
    });
  }
  const asked = askedBy(request, route);
  const expires_in_s = Math.min(...covering.map((each) => each.expires_in_s));
  const draft = {
    id: newUuid(),
    action: route.permission,
    policy: rule.action,
    summary: route.summary,
    route: route.name,
    method: request.method,
    url: request.url,
    body: asked.body,
    if_match: asked.if_match,
    key: asked.key,
    keyed: route.keyed && typeof request.headers['idempotency-key'] === 'string',
    proposed_by: who(caller.principal),
    on_behalf_of: caller.on_behalf_of === undefined ? null : who(caller.on_behalf_of),
    amounts: largest(amounts ?? []),
    decided_by: null,
  };
  const proposal_id = formatId('prp', draft.id);

  if (isDryRun(request)) {
    const now = Date.now();
    const expires_at = new Date(now + expires_in_s * 1_000).toISOString();
    const reservation = await approval.reserve?.(request);
    await reservation?.place({ proposal_id, expires_at, dry_run: true });
    answerProposed(
      request,
      reply,
      {
        ...draft,
        status: 'pending',
        behind: [],
        reserved: [],
        created_at: new Date(now).toISOString(),
        expires_at,
        decided_at: null,
        reason: null,
        result: null,
        is_over: false,
      },
      false,
    );
    return true;
  }

  const kept = await findKept(db, caller, asked.key);
  if (kept !== undefined) return answerKept(request, reply, route, asked, kept) !== undefined;
  if (draft.keyed && (await approval.wasAttempted?.(caller, asked.key)) === true) return false;

  const reservation: Reservation | undefined = await approval.reserve?.(request);
  const holds = reservation?.holds ?? [];
  const tell = (tx: Transaction, expires_at: string): Promise<void> =>
    addProposalEvent(tx, caller, 'created', draft, { above: rule.thresholds, expires_at });
  const made = await db.write(caller, async (tx) => {
    const [row] = await tx.rows(
      IdRow,
      `insert into platform.proposals (tenant_id, environment, id, expires_at, status, action, policy, summary, route,
         method, url, body, if_match, key, keyed, proposed_by, on_behalf_of, behind, amounts, reserved, due_at)
       values ($1, $2, $3, now() + make_interval(secs => $4), $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16,
         $17, $18, $19, $20, now() + make_interval(secs => case $5 when 'reserving' then least($4, ${RESERVING_FOR_S}) else $4 end))
       on conflict do nothing returning id, expires_at, created_at`,
      [
        caller.tenant_id,
        caller.environment,
        draft.id,
        expires_in_s,
        holds.length > 0 ? 'reserving' : 'pending',
        draft.action,
        draft.policy,
        draft.summary,
        draft.route,
        draft.method,
        draft.url,
        draft.body,
        draft.if_match,
        draft.key,
        draft.keyed,
        JSON.stringify(draft.proposed_by),
        draft.on_behalf_of === null ? null : JSON.stringify(draft.on_behalf_of),
        await behind(tx, caller, caller),
        JSON.stringify(draft.amounts),
        holds,
      ],
    );
    if (row !== undefined && holds.length === 0) await tell(tx, row.expires_at);
    return row;
  });
  if (made === undefined) {
    // Somebody else came first with the same key.
    const other = await findKept(db, caller, asked.key);
    if (other === undefined) {
      throw refuse('proposal_in_progress', `A request with the key ${asked.key} was under way.`, {
        retry_after_s: 1,
      });
    }
    return answerKept(request, reply, route, asked, other) !== undefined;
  }
  if (reservation !== undefined && holds.length > 0) {
    await reserve(db, caller, route, reservation, {
      uuid: draft.id,
      expires_at: made.expires_at,
      tell,
    });
  }
  const row = await db.read(caller, (tx) => findRow(tx, caller, draft.id));
  if (row === undefined) throw new Error(`proposal ${proposal_id} was made and is not there`);
  answerProposed(request, reply, row, false);
  return true;
}

/** Sets aside what a proposal would move, and lets it wait. What the ledger refuses leaves no proposal. */
async function reserve(
  db: Database,
  scope: Scope,
  { approval }: SubjectRoute,
  reservation: Reservation,
  {
    uuid,
    expires_at,
    tell,
  }: { uuid: string; expires_at: string; tell: (tx: Transaction, expires_at: string) => Promise<void> },
): Promise<void> {
  const proposal_id = formatId('prp', uuid);
  const placed = await reservation
    .place({ proposal_id, expires_at, dry_run: false })
    .catch(async (error: unknown) => {
      if (error instanceof Problem && error.type.status < 500) {
        await db.write(scope, (tx) =>
          tx.run(
            `update platform.proposals set status = 'refused', due_at = null, reserved = '{}'
             where tenant_id = $1 and environment = $2 and id = $3 and status = 'reserving'`,
            [scope.tenant_id, scope.environment, uuid],
          ),
        );
      }
      throw error;
    });
  const waits = await db.write(scope, async (tx) => {
    const changed = await tx.run(
      `update platform.proposals set status = 'pending', reserved = $4, due_at = expires_at
       where tenant_id = $1 and environment = $2 and id = $3 and status = 'reserving'`,
      [scope.tenant_id, scope.environment, uuid, placed],
    );
    if (changed === 1) await tell(tx, expires_at);
    return changed;
  });
  if (waits === 1) return;
  // This took so long that the worker gave it up.
  await approval.release?.(scope, proposal_id, placed);
  throw refuseRequest('unavailable', 'The money could not be set aside in time; nothing is proposed.', {
    retry_after_s: 1,
  });
}
