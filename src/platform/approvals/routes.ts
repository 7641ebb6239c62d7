/** Every endpoint of approval policies and proposals: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { SELF } from '../access/permission.ts';
import { Page } from '../cursor.ts';
import type { Database } from '../db.ts';
import { etagOf, IfMatchHeaders } from '../etag.ts';
import { ProblemBody } from '../http.ts';
import { Id, uuidOf } from '../ids.ts';
import {
  ApprovalRequest,
  approve,
  cancel,
  type Decided,
  type Deciding,
  RejectionRequest,
  reject,
} from './decide.ts';
import { refuse } from './errors.ts';
import {
  getPolicy,
  listPolicies,
  Policy,
  PolicyRequest,
  type Rulebook,
  removePolicy,
  setPolicy,
} from './policy.ts';
import { getRow, ListProposalsQuery, listProposals, Proposal, proposalOf } from './proposal.ts';
import type { SubjectRoute } from './route.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const PolicyParams = Type.Object({
  action: Type.String({
    pattern: '^[a-z][a-z_]*:[a-z][a-z_]*$',
    maxLength: 128,
    description: 'Permission that the policy is about',
    examples: ['transfers:post'],
  }),
});
/** A policy without who said so, for whoever it concerns. */
const OwnPolicy = Type.Pick(Policy, ['action', 'above', 'expires_in_s']);
const ProposalParams = Type.Object({ proposal_id: Id('prp') });

interface RoutesOptions {
  db: Database;
  rulebook: Rulebook;
  deciding: Deciding;
  subjects: () => readonly SubjectRoute[];
  /** Whether what needs a permission is asked of other processes, whose routes are not known here. */
  isElsewhere: (permission: string) => boolean;
}

export function approvalRoutes(options: RoutesOptions): FastifyPluginAsyncTypebox {
  const { db, rulebook, deciding } = options;

  /** Refuses a policy that no route would heed. */
  function assertSubject(action: string, isMeasured: boolean): void {
    const routes = options
      .subjects()
      .filter(
        ({ permission, approval }) => permission === action || approval.also?.includes(action) === true,
      );
    // A policy that does not fit is as strict as can be where its routes are: every amount waits.
    if (routes.length === 0 && options.isElsewhere(action)) return;
    if (routes.length === 0) {
      throw refuse('action_not_subject', `No route that a policy can be about needs ${action}.`);
    }
    if (isMeasured && routes.every(({ approval }) => approval.amounts === undefined)) {
      throw refuse('action_without_amount', `What needs ${action} moves no amount.`);
    }
  }

  /** Notes for the record of a decision what it changed. What was asked stands in the record of the proposal. */
  function noteDecision(request: FastifyRequest, { before, proposal }: Decided): Proposal {
    const { id, status, action, reason, result } = proposal;
    request.audit({
      subject: id,
      before: { status: before },
      after: {
        status,
        action,
        ...(reason === undefined ? {} : { reason }),
        ...(result === undefined ? {} : { result }),
      },
    });
    return proposal;
  }

  return async (app) => {
    app.get(
      '/api/v2/approval-policies',
      {
        config: { permission: 'approval_policies:read' },
        schema: {
          summary: 'Which actions need a second person',
          tags: ['approvals'],
          response: { 200: Type.Object({ data: Type.Array(Policy) }), ...refusals },
        },
      },
      async ({ caller }) => ({ data: await db.read(caller, (tx) => listPolicies(tx, caller)) }),
    );

    app.get(
      '/api/v2/self/approvals',
      {
        config: { permission: SELF },
        schema: {
          summary: 'Of what the caller may do, that for which a second person has to approve',
          tags: ['self'],
          response: { 200: Type.Object({ data: Type.Array(OwnPolicy) }), ...refusals },
        },
      },
      async ({ caller }) => {
        const { permissions, narrowed } = caller;
        const policies = await db.read(caller, (tx) => listPolicies(tx, caller));
        return {
          data: policies
            .filter(
              ({ action }) =>
                permissions.has(action) || narrowed.some((grant) => grant.permissions.has(action)),
            )
            .map(({ action, above, expires_in_s }) => ({
              action,
              ...(above === undefined ? {} : { above }),
              expires_in_s,
            })),
        };
      },
    );

    app.get(
      '/api/v2/approval-policies/:action',
      {
        config: { permission: 'approval_policies:read' },
        schema: {
          summary: 'The approval policy about an action',
          tags: ['approvals'],
          params: PolicyParams,
          response: { 200: Policy, ...refusals },
        },
      },
      async ({ caller, params }, reply) => {
        const { policy, version } = await db.read(caller, (tx) => getPolicy(tx, caller, params.action));
        reply.header('etag', etagOf(version));
        return policy;
      },
    );

    app.put(
      '/api/v2/approval-policies/:action',
      {
        config: { permission: 'approval_policies:edit' },
        schema: {
          summary: 'Say that an action needs a second person; If-Match where there is a policy already',
          tags: ['approvals'],
          params: PolicyParams,
          headers: IfMatchHeaders,
          body: PolicyRequest,
          response: { 200: Policy, 201: Policy, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const { action } = params;
        assertSubject(action, body.above !== undefined);
        const { policy, version, before } = await setPolicy(db, caller, action, body, headers['if-match']);
        request.audit({ subject: action, ...(before === undefined ? {} : { before }), after: policy });
        await rulebook.refresh();
        reply.code(before === undefined ? 201 : 200).header('etag', etagOf(version));
        return policy;
      },
    );

    app.delete(
      '/api/v2/approval-policies/:action',
      {
        config: { permission: 'approval_policies:edit' },
        schema: {
          summary: 'Let an action need no second person any more; what waits goes on waiting',
          tags: ['approvals'],
          params: PolicyParams,
          headers: IfMatchHeaders,
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, headers } = request;
        const before = await removePolicy(db, caller, params.action, headers['if-match']);
        request.audit({ subject: before.action, before });
        await rulebook.refresh();
        return reply.code(204).send(null);
      },
    );

    app.get(
      '/api/v2/proposals',
      {
        config: { permission: 'proposals:read' },
        schema: {
          summary: 'List proposals, newest first',
          tags: ['approvals'],
          querystring: ListProposalsQuery,
          response: { 200: Page(Proposal), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listProposals(tx, caller, query)),
    );

    app.get(
      '/api/v2/proposals/:proposal_id',
      {
        config: { permission: 'proposals:read' },
        schema: {
          summary: 'A proposal with what was asked and what came of it',
          tags: ['approvals'],
          params: ProposalParams,
          response: { 200: Proposal, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, async (tx) =>
          proposalOf(await getRow(tx, caller, uuidOf('prp', params.proposal_id))),
        ),
    );

    app.post(
      '/api/v2/proposals/:proposal_id/approve',
      {
        config: { permission: 'proposals:approve', approval: 'exempt' },
        schema: {
          summary: 'Approve a proposal of somebody else, which carries it out',
          tags: ['approvals'],
          params: ProposalParams,
          body: ApprovalRequest,
          response: { 200: Proposal, ...refusals },
        },
      },
      async (request) => {
        const { caller, params, body } = request;
        return noteDecision(
          request,
          await approve(deciding, caller, uuidOf('prp', params.proposal_id), body),
        );
      },
    );

    app.post(
      '/api/v2/proposals/:proposal_id/reject',
      {
        config: { permission: 'proposals:approve', approval: 'exempt' },
        schema: {
          summary: 'Reject a proposal of somebody else, saying why',
          tags: ['approvals'],
          params: ProposalParams,
          body: RejectionRequest,
          response: { 200: Proposal, ...refusals },
        },
      },
      async (request) => {
        const { caller, params, body } = request;
        return noteDecision(request, await reject(deciding, caller, uuidOf('prp', params.proposal_id), body));
      },
    );

    app.post(
      '/api/v2/proposals/:proposal_id/cancel',
      {
        config: { permission: 'proposals:cancel', approval: 'exempt' },
        schema: {
          summary: 'Cancel a proposal of one’s own',
          tags: ['approvals'],
          params: ProposalParams,
          response: { 200: Proposal, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        return noteDecision(request, await cancel(deciding, caller, uuidOf('prp', params.proposal_id)));
      },
    );
  };
}
