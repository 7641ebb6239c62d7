/** Who is calling, told to the caller itself: what a program checks first, and what a screen shows in its corner. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import { SELF } from '../../platform/access/permission.ts';
import { ProblemBody } from '../../platform/http.ts';
import { formatId, Id, parseId } from '../../platform/ids.ts';
import { type Ask, callOf } from '../../platform/port/port.ts';
import { LimitNotices, type notificationsPort } from '../notifications/contract.ts';
import { refuse } from './errors.ts';
import type { Sessions } from './people/session.ts';

const Principal = Type.Object({
  kind: Type.Enum(['key', 'person', 'application', 'service', 'device']),
  id: Type.String(),
  name: Type.String(),
});

const Self = Type.Object({
  principal: Principal,
  on_behalf_of: Type.Optional(Principal),
  tenant: Type.Object({ id: Id('ten'), name: Type.String() }),
  environment: Type.Union([Type.Literal('sandbox'), Type.Literal('live')]),
  permissions: Type.Array(Type.String(), { description: 'What it may do to anything of the tenant' }),
  narrowed: Type.Array(
    Type.Object({
      labels: Type.Record(Type.String(), Type.String()),
      permissions: Type.Array(Type.String()),
    }),
    { description: 'What it may do beside that to what carries all of these labels' },
  ),
  plan: Type.String({ description: 'How much it may ask' }),
  has_limits: Type.Boolean({ description: 'Whether monetary limits are kept for it' }),
  second_factor_missing: Type.Optional(
    Type.Literal(true, { description: 'Nothing may be done until a second factor is set up' }),
  ),
  expires_at: Type.Optional(Type.String({ description: 'From when on its credential is no longer good' })),
});

function selfOf(caller: Caller): Static<typeof Self> {
  const { principal, on_behalf_of, environment, permissions, narrowed, plan, expires_at_ms } = caller;
  return {
    principal,
    ...(on_behalf_of === undefined ? {} : { on_behalf_of }),
    tenant: { id: formatId('ten', caller.tenant_id), name: caller.tenant_name },
    environment,
    permissions: [...permissions].toSorted(),
    narrowed: narrowed.map((grant) => ({
      labels: grant.labels,
      permissions: [...grant.permissions].toSorted(),
    })),
    plan,
    has_limits: caller.limits_id !== undefined,
    ...(caller.second_factor_missing === undefined ? {} : { second_factor_missing: true as const }),
    ...(expires_at_ms === undefined ? {} : { expires_at: new Date(expires_at_ms).toISOString() }),
  };
}

interface OwnNotices {
  askNotifications: Ask<(typeof notificationsPort)['operations']>;
  /** Somebody who may sign in, by their id. */
  findPerson: Sessions['findPerson'];
}

/** What people, and nobody else, choose to be told. */
export function ownNoticesRoutes({ askNotifications, findPerson }: OwnNotices): FastifyPluginAsyncTypebox {
  return async (app) => {
    const path = '/api/v2/limits/notices';
    const tags = ['self'];
    const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

    /** Whoever asks, if it is a person. */
    async function personOf({ principal, ...caller }: Caller): Promise<{ name: string; email: string }> {
      const uuid = principal.kind === 'person' ? parseId('usr', principal.id) : undefined;
      const person = uuid === undefined ? undefined : await findPerson(caller, uuid);
      if (person === undefined)
        throw refuse('person_not_found', `${principal.id} is no person who signs in.`);
      return person;
    }

    app.get(
      path,
      {
        config: { permission: SELF },
        schema: {
          summary: 'Whether, from when on and how one is told of limits of requests that are nearly used up',
          tags,
          response: { 200: LimitNotices, ...refusals },
        },
      },
      async (request) => {
        await personOf(request.caller);
        return askNotifications('getLimitNotices', callOf(request), {});
      },
    );

    app.put(
      path,
      {
        config: { permission: 'limit_notices:choose' },
        schema: {
          summary: 'Choose whether, from when on and how one is told of limits of requests',
          description:
            'It is about all limits of the tenant in this environment: those of its keys, applications and people. Mail goes to the address by which one signs in.',
          tags,
          body: Type.Object(
            { ...LimitNotices.properties, language: Type.Optional(Type.Enum(['en', 'pt'])) },
            { additionalProperties: false },
          ),
          response: { 200: LimitNotices, ...refusals },
        },
      },
      async (request) => {
        const { language = 'en', ...notices } = request.body;
        const { name, email } = await personOf(request.caller);
        const { before, after } = await askNotifications('setLimitNotices', callOf(request), {
          name,
          email,
          language,
          notices,
        });
        request.audit({ subject: request.caller.principal.id, before, after });
        return after;
      },
    );
  };
}

export const selfRoutes: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/v2/self',
    {
      config: { permission: SELF },
      schema: {
        summary: 'Who is calling, and what it may do',
        tags: ['self'],
        response: { 200: Self, '4xx': ProblemBody, '5xx': ProblemBody },
      },
    },
    async ({ caller }) => selfOf(caller),
  );
};
