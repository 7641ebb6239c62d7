/** Every endpoint by which people are administered: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import { Page } from '../../../platform/cursor.ts';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import {
  getInvitation,
  Invitation,
  InvitationRequest,
  invite,
  ListInvitationsQuery,
  listInvitations,
  NewInvitation,
  resendInvitation,
  revokeInvitation,
} from './invitation.ts';
import { beginPasswordReset, PasswordReset } from './password-reset.ts';
import {
  type Administering,
  type ChangedPerson,
  EditPersonRequest,
  editPerson,
  getPerson,
  ListPeopleQuery,
  listPeople,
  Person,
  removePerson,
  resetFactors,
  setSuspended,
} from './person.ts';
import { endSessions, listSessions, Session, type Sessions } from './session.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const PersonParams = Type.Object({ person_id: Id('usr') });
const InvitationParams = Type.Object({ invitation_id: Id('inv') });
const SessionList = Type.Object({ data: Type.Array(Session) });

/** Name in the path, permission, summary, and what it does to a person. */
type Action = readonly [string, string, string, (caller: Caller, uuid: string) => Promise<ChangedPerson>];

export function staffRoutes({
  sessions,
  idle_s,
  ...administering
}: Administering & { sessions: Sessions; idle_s: number }): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = administering;
    const people = ['People'];
    const invitations = ['Invitations'];

    app.get(
      '/api/v2/people',
      {
        config: { permission: 'people:read' },
        schema: {
          summary: 'List people, newest first',
          tags: people,
          querystring: ListPeopleQuery,
          response: { 200: Page(Person), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listPeople(tx, caller, query)),
    );

    app.get(
      '/api/v2/people/:person_id',
      {
        config: { permission: 'people:read' },
        schema: {
          summary: 'A person',
          tags: people,
          params: PersonParams,
          response: { 200: Person, ...refusals },
        },
      },
      async ({ caller, params }, reply) => {
        const { person, version } = await db.read(caller, (tx) =>
          getPerson(tx, caller, uuidOf('usr', params.person_id)),
        );
        reply.header('etag', etagOf(version));
        return person;
      },
    );

    app.patch(
      '/api/v2/people/:person_id',
      {
        config: { permission: 'people:edit' },
        schema: {
          summary: 'Edit the name or e-mail address of a person',
          tags: people,
          params: PersonParams,
          headers: IfMatchHeaders,
          body: EditPersonRequest,
          response: { 200: Person, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const { before, person, version } = await editPerson(
          administering,
          caller,
          uuidOf('usr', params.person_id),
          body,
          headers['if-match'],
        );
        request.audit({ before, after: person });
        sessions.forget();
        reply.header('etag', etagOf(version));
        return person;
      },
    );

    for (const [action, permission, summary, act] of [
      [
        'suspend',
        'people:suspend',
        'Suspend a person; their sessions end at once',
        (caller, uuid) => setSuspended(db, caller, uuid, true),
      ],
      [
        'resume',
        'people:suspend',
        'Let a suspended person in again',
        (caller, uuid) => setSuspended(db, caller, uuid, false),
      ],
      [
        'remove',
        'people:remove',
        'Remove a person for good',
        (caller, uuid) => removePerson(db, caller, uuid),
      ],
      [
        'reset-factors',
        'people:reset_factors',
        'Take away the second factors of a person who lost them',
        (caller, uuid) => resetFactors(administering, caller, uuid),
      ],
    ] as const satisfies readonly Action[]) {
      app.post(
        `/api/v2/people/:person_id/${action}`,
        {
          config: { permission },
          schema: { summary, tags: people, params: PersonParams, response: { 200: Person, ...refusals } },
        },
        async (request) => {
          const { before, person } = await act(request.caller, uuidOf('usr', request.params.person_id));
          request.audit({ before, after: person });
          sessions.forget();
          return person;
        },
      );
    }

    app.post(
      '/api/v2/people/:person_id/password-resets',
      {
        config: { permission: 'people:reset_password' },
        schema: {
          summary: 'Make a token with which a person can choose a new password',
          tags: people,
          params: PersonParams,
          response: { 201: PasswordReset, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const uuid = uuidOf('usr', params.person_id);
        const { before, reset } = await beginPasswordReset(administering, caller, uuid);
        const { token: _, person_id: _person, ...after } = reset;
        request.audit({
          ...(before === undefined ? {} : { before: { password_reset: before } }),
          after: { password_reset: after },
        });
        reply.code(201);
        return reset;
      },
    );

    app.get(
      '/api/v2/people/:person_id/sessions',
      {
        config: { permission: 'people:read' },
        schema: {
          summary: 'Where a person is signed in',
          tags: people,
          params: PersonParams,
          response: { 200: SessionList, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, async (tx) => {
          const person_id = uuidOf('usr', params.person_id);
          await getPerson(tx, caller, person_id);
          return { data: await listSessions(tx, { tenant_id: caller.tenant_id, person_id }, { idle_s }) };
        }),
    );

    app.post(
      '/api/v2/people/:person_id/sessions/end',
      {
        config: { permission: 'people:sign_out' },
        schema: {
          summary: 'End one session of a person, or all',
          tags: people,
          params: PersonParams,
          body: Type.Object(
            { session_id: Type.Optional(Id('ses', 'The session to end; absent means all')) },
            { additionalProperties: false },
          ),
          response: { 200: SessionList, ...refusals },
        },
      },
      async (request) => {
        const { caller, params, body } = request;
        const person = { tenant_id: caller.tenant_id, person_id: uuidOf('usr', params.person_id) };
        const { before, data } = await db.write(caller, async (tx) => {
          await getPerson(tx, caller, person.person_id);
          const before = await listSessions(tx, person, { idle_s });
          const only = body.session_id === undefined ? {} : { only: uuidOf('ses', body.session_id) };
          await endSessions(tx, person, only, caller.principal.id);
          return { before, data: await listSessions(tx, person, { idle_s }) };
        });
        request.audit({ before: { sessions: before }, after: { sessions: data } });
        sessions.forget();
        return { data };
      },
    );

    app.get(
      '/api/v2/invitations',
      {
        config: { permission: 'invitations:read' },
        schema: {
          summary: 'List invitations, newest first',
          tags: invitations,
          querystring: ListInvitationsQuery,
          response: { 200: Page(Invitation), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listInvitations(tx, caller, query)),
    );

    app.post(
      '/api/v2/invitations',
      {
        config: { permission: 'invitations:create' },
        schema: {
          summary: 'Invite somebody; the token is told once',
          tags: invitations,
          headers: IdempotencyHeaders,
          body: InvitationRequest,
          response: { 201: NewInvitation, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/invitations');
        const { created, replayed } = await invite(administering, request.caller, request.body, attempt);
        const { token: _, ...after } = created;
        request.audit({ subject: created.id, ...(replayed ? {} : { after }) });
        answerCreated(reply, `/api/v2/invitations/${created.id}`, replayed);
        return created;
      },
    );

    app.get(
      '/api/v2/invitations/:invitation_id',
      {
        config: { permission: 'invitations:read' },
        schema: {
          summary: 'An invitation',
          tags: invitations,
          params: InvitationParams,
          response: { 200: Invitation, ...refusals },
        },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getInvitation(tx, caller, uuidOf('inv', params.invitation_id))),
    );

    app.post(
      '/api/v2/invitations/:invitation_id/revoke',
      {
        config: { permission: 'invitations:revoke' },
        schema: {
          summary: 'Revoke an invitation',
          tags: invitations,
          params: InvitationParams,
          response: { 200: Invitation, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        const { before, after } = await revokeInvitation(db, caller, uuidOf('inv', params.invitation_id));
        request.audit({ before, after });
        return after;
      },
    );

    app.post(
      '/api/v2/invitations/:invitation_id/resend',
      {
        config: { permission: 'invitations:create' },
        schema: {
          summary: 'Make another token for an invitation, told once; the one before is good no more',
          tags: invitations,
          params: InvitationParams,
          response: { 200: NewInvitation, ...refusals },
        },
      },
      async (request) => {
        const { caller, params } = request;
        const uuid = uuidOf('inv', params.invitation_id);
        const { before, after, token } = await resendInvitation(administering, caller, uuid);
        request.audit({ before, after });
        return { ...after, token };
      },
    );
  };
}
