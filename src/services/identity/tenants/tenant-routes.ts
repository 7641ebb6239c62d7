/** Every endpoint of tenants: the caller's own, and for whoever operates the installation all of them. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../../platform/cursor.ts';
import type { Database } from '../../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../../platform/etag.ts';
import { ProblemBody } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { Id, uuidOf } from '../../../platform/ids.ts';
import {
  createTenant,
  EditTenantRequest,
  editTenant,
  getTenant,
  ListTenantsQuery,
  listTenants,
  NewTenant,
  OwnTenant,
  SuspensionRequest,
  suspendTenant,
  Tenant,
  TenantRequest,
  TenantSummary,
} from './tenants.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const TenantParams = Type.Object({ tenant_id: Id('ten') });

export function tenantRoutes(db: Database): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Tenants'];

    app.get(
      '/api/v2/tenant',
      {
        config: { permission: 'tenant:read' },
        schema: {
          summary: 'The institution that the caller belongs to',
          tags,
          response: { 200: OwnTenant, ...refusals },
        },
      },
      async ({ caller }, reply) => {
        const { tenant, version } = await getTenant(db, caller.tenant_id);
        reply.header('etag', etagOf(version));
        return tenant;
      },
    );

    app.patch(
      '/api/v2/tenant',
      {
        config: { permission: 'tenant:edit' },
        schema: {
          summary: 'Edit the settings of the institution that the caller belongs to',
          tags,
          headers: IfMatchHeaders,
          body: EditTenantRequest,
          response: { 200: OwnTenant, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, body, headers } = request;
        const edited = await editTenant(db, caller.tenant_id, body, headers['if-match']);
        const { before, tenant, version } = edited;
        request.audit({ subject: tenant.id, before, after: tenant });
        reply.header('etag', etagOf(version));
        return tenant;
      },
    );

    app.get(
      '/api/v2/tenants',
      {
        config: { permission: 'tenants:read' },
        schema: {
          summary: 'List all tenants of the installation, newest first',
          tags,
          querystring: ListTenantsQuery,
          response: { 200: Page(TenantSummary), ...refusals },
        },
      },
      async ({ query }) => listTenants(db, query),
    );

    app.post(
      '/api/v2/tenants',
      {
        config: { permission: 'tenants:create' },
        schema: {
          summary: 'Create a tenant; the first key of its administrator is shown once',
          tags,
          headers: IdempotencyHeaders,
          body: TenantRequest,
          response: { 201: NewTenant, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/tenants');
        const { replayed, ...created } = await createTenant(db, request.caller, request.body, attempt);
        const { key: _, ...after } = created;
        request.audit({ subject: created.id, ...(replayed ? {} : { after }) });
        answerCreated(reply, `/api/v2/tenants/${created.id}`, replayed);
        return created;
      },
    );

    app.get(
      '/api/v2/tenants/:tenant_id',
      {
        config: { permission: 'tenants:read' },
        schema: { summary: 'A tenant', tags, params: TenantParams, response: { 200: Tenant, ...refusals } },
      },
      async ({ params }, reply) => {
        const { tenant, version } = await getTenant(db, uuidOf('ten', params.tenant_id));
        reply.header('etag', etagOf(version));
        return tenant;
      },
    );

    app.patch(
      '/api/v2/tenants/:tenant_id',
      {
        config: { permission: 'tenants:edit' },
        schema: {
          summary: 'Edit the settings of a tenant',
          tags,
          params: TenantParams,
          headers: IfMatchHeaders,
          body: EditTenantRequest,
          response: { 200: Tenant, ...refusals },
        },
      },
      async (request, reply) => {
        const { params, body, headers } = request;
        const uuid = uuidOf('ten', params.tenant_id);
        const { before, tenant, version } = await editTenant(db, uuid, body, headers['if-match']);
        request.audit({ before, after: tenant });
        reply.header('etag', etagOf(version));
        return tenant;
      },
    );

    app.post(
      '/api/v2/tenants/:tenant_id/suspend',
      {
        config: { permission: 'tenants:suspend' },
        schema: {
          summary: 'Suspend a tenant, at once in every process',
          tags,
          params: TenantParams,
          body: SuspensionRequest,
          response: { 200: Tenant, ...refusals },
        },
      },
      async (request) => {
        const { params, body } = request;
        const { before, tenant } = await suspendTenant(db, uuidOf('ten', params.tenant_id), body.reason);
        request.audit({ before, after: tenant });
        return tenant;
      },
    );

    app.post(
      '/api/v2/tenants/:tenant_id/resume',
      {
        config: { permission: 'tenants:suspend' },
        schema: {
          summary: 'Resume a suspended tenant',
          tags,
          params: TenantParams,
          response: { 200: Tenant, ...refusals },
        },
      },
      async (request) => {
        const uuid = uuidOf('ten', request.params.tenant_id);
        const { before, tenant } = await suspendTenant(db, uuid, undefined);
        request.audit({ before, after: tenant });
        return tenant;
      },
    );
  };
}
