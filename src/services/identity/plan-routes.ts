/** Every endpoint of plans, quotas and limits: method, path, permission, schema, call. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { Type } from 'typebox';
import { Page } from '../../platform/cursor.ts';
import type { Database } from '../../platform/db.ts';
import { etagOf, IfMatchHeaders } from '../../platform/etag.ts';
import { ProblemBody } from '../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../platform/idempotency.ts';
import { Id, uuidOf } from '../../platform/ids.ts';
import type { ReadLimits } from '../../platform/limits/limits.ts';
import { getApiKey } from './api-keys.ts';
import {
  createPlan,
  EditPlanRequest,
  editPlan,
  getPlan,
  getQuota,
  KeyUsage,
  ListPlansQuery,
  listPlans,
  OwnLimits,
  Plan,
  PlanName,
  PlanRequest,
  Quota,
  QuotaRequest,
  readKeyUsage,
  setQuota,
  standingOf,
} from './plans.ts';

/** Refusals that every route may give, for the reference. */
const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };
const PlanParams = Type.Object({ name: PlanName });
const QuotaParams = Type.Object({
  tenant_id: Id('ten'),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
});

export function planRoutes(db: Database, limits: ReadLimits): FastifyPluginAsyncTypebox {
  return async (app) => {
    const tags = ['Plans and limits'];

    app.get(
      '/api/v2/plans',
      {
        config: { permission: 'plans:read', administers_limits: true },
        schema: {
          summary: 'List plans, by name',
          tags,
          querystring: ListPlansQuery,
          response: { 200: Page(Plan), ...refusals },
        },
      },
      async ({ caller, query }) => db.read(caller, (tx) => listPlans(tx, caller, query)),
    );

    app.post(
      '/api/v2/plans',
      {
        config: { permission: 'plans:edit', administers_limits: true },
        schema: {
          summary: 'Create a plan: how much whoever is on it may ask',
          tags,
          headers: IdempotencyHeaders,
          body: PlanRequest,
          response: { 201: Plan, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/plans');
        const { thing, version, replayed } = await createPlan(db, request.caller, request.body, attempt);
        request.audit({ subject: thing.name, ...(replayed ? {} : { after: thing }) });
        answerCreated(reply, `/api/v2/plans/${thing.name}`, replayed);
        reply.header('etag', etagOf(version));
        return thing;
      },
    );

    app.get(
      '/api/v2/plans/:name',
      {
        config: { permission: 'plans:read', administers_limits: true },
        schema: { summary: 'A plan', tags, params: PlanParams, response: { 200: Plan, ...refusals } },
      },
      async ({ caller, params }, reply) => {
        const { thing, version } = await db.read(caller, (tx) => getPlan(tx, caller, params.name));
        reply.header('etag', etagOf(version));
        return thing;
      },
    );

    app.patch(
      '/api/v2/plans/:name',
      {
        config: { permission: 'plans:edit', administers_limits: true },
        schema: {
          summary: 'Edit a plan; what was counted stays counted',
          tags,
          params: PlanParams,
          headers: IfMatchHeaders,
          body: EditPlanRequest,
          response: { 200: Plan, ...refusals },
        },
      },
      async (request, reply) => {
        const { caller, params, body, headers } = request;
        const edited = await editPlan(db, caller, params.name, body, headers['if-match']);
        const { before, thing, version } = edited;
        request.audit({ subject: thing.name, before, after: thing });
        reply.header('etag', etagOf(version));
        return thing;
      },
    );

    app.get(
      '/api/v2/tenants/:tenant_id/quotas/:environment',
      {
        config: { permission: 'quotas:read', administers_limits: true },
        schema: {
          summary: 'What all callers of a tenant may ask together',
          tags,
          params: QuotaParams,
          response: { 200: Quota, ...refusals },
        },
      },
      async ({ params }, reply) => {
        const scope = { tenant_id: uuidOf('ten', params.tenant_id), environment: params.environment };
        const { thing, version } = await db.read(scope, (tx) => getQuota(tx, scope));
        reply.header('etag', etagOf(version));
        return thing;
      },
    );

    app.put(
      '/api/v2/tenants/:tenant_id/quotas/:environment',
      {
        config: { permission: 'quotas:edit', administers_limits: true },
        schema: {
          summary: 'Set what all callers of a tenant may ask together',
          tags,
          params: QuotaParams,
          headers: IfMatchHeaders,
          body: QuotaRequest,
          response: { 200: Quota, ...refusals },
        },
      },
      async (request, reply) => {
        const { params, body, headers } = request;
        const scope = { tenant_id: uuidOf('ten', params.tenant_id), environment: params.environment };
        const { before, thing, version } = await setQuota(db, scope, body, headers['if-match']);
        request.audit({ before, after: thing });
        reply.header('etag', etagOf(version));
        return thing;
      },
    );

    app.get(
      '/api/v2/limits',
      {
        config: { permission: 'limits:read', administers_limits: true },
        schema: {
          summary: 'The limits of whoever asks, and what is left of them',
          tags,
          response: { 200: OwnLimits, ...refusals },
        },
      },
      async ({ caller: { tenant_id, environment, principal, plan, application_id } }) => {
        const standings = await limits.read({
          tenant_id,
          environment,
          id: principal.id,
          plan,
          application_id,
        });
        return { plan, limits: standings.map(standingOf) };
      },
    );

    app.get(
      '/api/v2/api-keys/:key_id/usage',
      {
        config: { permission: 'api_keys:read', administers_limits: true },
        schema: {
          summary: 'What an API key has asked, and what it may still ask',
          tags,
          params: Type.Object({ key_id: Id('key') }),
          response: { 200: KeyUsage, ...refusals },
        },
      },
      async ({ caller, params: { key_id } }) => {
        const key = await db.read(caller, (tx) => getApiKey(tx, caller, uuidOf('key', key_id)));
        return readKeyUsage(db, limits, caller, key);
      },
    );
  };
}
