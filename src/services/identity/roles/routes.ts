/** Every endpoint of roles and of grants: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../../platform/cursor.ts';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import {
  createGrant,
  Grant,
  GrantRequest,
  type Grants,
  getGrant,
  ListGrantsQuery,
  listGrants,
  revokeGrant,
} from './grants.ts';
import {
  createRole,
  deleteRole,
  EditRoleRequest,
  editRole,
  getRole,
  listRoles,
  Role,
  RoleName,
  RoleRequest,
  type Roles,
} from './roles.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const RoleParams = Type.Object({ role: RoleName });
const GrantParams = Type.Object({ grant_id: Id('grt') });

export function roleRoutes(roles: Roles): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db, permissions } = roles;
    const tags = ['roles'];

    app.get(
      '/api/v2/roles',
      {
        config: { permission: 'roles:read' },
        schema: {
          summary: 'All roles: those of every institution, and your own',
          tags,
          response: { 200: Type.Object({ data: Type.Array(Role) }), ...refusals },
        },
      },
      async ({ caller }) => ({ data: await db.read(caller, (tx) => listRoles(tx, permissions, caller)) }),
    );

    app.post(
      '/api/v2/roles',
      {
        config: { permission: 'roles:edit' },
        schema: {
          summary: 'Make a role of permissions that you have yourself',
          tags,
          headers: IdempotencyHeaders,
          body: RoleRequest,
          response: { 201: Role, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/roles');
        const { role, version, replayed } = await createRole(roles, request.caller, request.body, attempt);
        request.audit(replayed ? { subject: role.name } : { subject: role.name, after: role });
        answerCreated(reply, `/api/v2/roles/${role.name}`, replayed);
        reply.header('etag', etagOf(version));
        return role;
      },
    );

    app.get(
      '/api/v2/roles/:role',
      {
        config: { permission: 'roles:read' },
        schema: { summary: 'A role', tags, params: RoleParams, response: { 200: Role, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const { role, version } = await db.read(caller, (tx) =>
          getRole(tx, permissions, caller, params.role),
        );
        reply.header('etag', etagOf(version));
        return role;
      },
    );

    app.patch(
      '/api/v2/roles/:role',
      {
        config: { permission: 'roles:edit' },
        schema: {
          summary: 'Edit what one of your own roles may do; whoever has it may do so at once',
          tags,
          params: RoleParams,
          headers: IfMatchHeaders,
          body: EditRoleRequest,
          response: { 200: Role, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const edited = await editRole(roles, caller, params.role, body, headers['if-match']);
        const { before, role, version } = edited;
        request.audit({ subject: role.name, before, after: role });
        reply.header('etag', etagOf(version));
        return role;
      },
    );

    app.delete(
      '/api/v2/roles/:role',
      {
        config: { permission: 'roles:edit' },
        schema: {
          summary: 'Delete one of your own roles that nobody has',
          tags,
          params: RoleParams,
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const before = await deleteRole(roles, request.caller, request.params.role);
        request.audit({ subject: before.name, before });
        return reply.code(204).send(null);
      },
    );
  };
}

export function grantRoutes(grants: Grants): FastifyPluginAsyncTypebox {
  return async (app) => {
    const { db } = grants;
    const tags = ['grants'];

    app.get(
      '/api/v2/grants',
      {
        config: { permission: 'grants:read' },
        schema: {
          summary: 'List who has which roles, newest first',
          tags,
          querystring: ListGrantsQuery,
          response: { 200: Page(Grant), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listGrants(tx, caller, query)),
    );

    app.post(
      '/api/v2/grants',
      {
        config: { permission: 'grants:edit' },
        schema: {
          summary: 'Grant a role to a person, for everything or for what carries labels',
          tags,
          headers: IdempotencyHeaders,
          body: GrantRequest,
          response: { 201: Grant, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/grants');
        const { grant, replayed } = await createGrant(grants, request.caller, request.body, attempt);
        request.audit(replayed ? { subject: grant.id } : { subject: grant.id, after: grant });
        answerCreated(reply, `/api/v2/grants/${grant.id}`, replayed);
        return grant;
      },
    );

    app.get(
      '/api/v2/grants/:grant_id',
      {
        config: { permission: 'grants:read' },
        schema: { summary: 'A grant', tags, params: GrantParams, response: { 200: Grant, ...refusals } },
      },
      async ({ caller, params }) =>
        db.read(caller, (tx) => getGrant(tx, caller, uuidOf('grt', params.grant_id))),
    );

    app.delete(
      '/api/v2/grants/:grant_id',
      {
        config: { permission: 'grants:edit' },
        schema: {
          summary: 'Revoke a grant, in every process at once',
          tags,
          params: GrantParams,
          response: { 204: Type.Null(), ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params } = request;
        const uuid = uuidOf('grt', params.grant_id);
        const before = await db.read(caller, (tx) => getGrant(tx, caller, uuid));
        await revokeGrant(grants, caller, uuid);
        request.audit({ before });
        return reply.code(204).send(null);
      },
    );
  };
}
