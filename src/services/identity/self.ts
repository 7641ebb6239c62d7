/** Who is calling, told to the caller itself: what a program checks first, and what a screen shows in its corner. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type Static, Type } from 'typebox';
import type { Caller } from '../../platform/access/caller.ts';
import { SELF } from '../../platform/access/permission.ts';
import { ProblemBody } from '../../platform/http.ts';
import { formatId, Id } from '../../platform/ids.ts';

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
    ...(expires_at_ms === undefined ? {} : { expires_at: new Date(expires_at_ms).toISOString() }),
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
