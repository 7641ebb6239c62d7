/** Every endpoint of the sandbox: its clock, and emptying it. */
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import type { FastifyRequest } from 'fastify';
import { type Static, Type } from 'typebox';
import { assertMay } from '../../../platform/access/caller.ts';
import { ProblemBody, Text } from '../../../platform/http.ts';
import { answerCreated, attemptOf, IdempotencyHeaders } from '../../../platform/idempotency.ts';
import { formatId, Id } from '../../../platform/ids.ts';
import { type Ask, callOf } from '../../../platform/port/port.ts';
import type { Clock, Reset, Sandboxes, Seeds } from '../../../platform/sandbox.ts';
import type { ledgerPort } from '../../ledger/contract.ts';
import { refuse } from '../errors.ts';

const MAX_SECONDS = 3_155_760_000;

const ClockBody = Type.Object({
  now: Type.String({ description: 'What the clock shows' }),
  offset_s: Type.Integer({ description: 'Seconds that it is ahead of the time' }),
});

const AdvanceRequest = Type.Union([
  Type.Object(
    { seconds: Type.Integer({ minimum: 1, maximum: MAX_SECONDS, examples: [86_400] }) },
    { additionalProperties: false },
  ),
  Type.Object(
    {
      to: Type.String({
        format: 'date-time',
        pattern: '^[1-9]',
        maxLength: 40,
        description: 'A time that it does not show yet',
      }),
    },
    { additionalProperties: false },
  ),
]);

const ResetRequest = Type.Object(
  {
    seed: Type.Optional(
      Text({
        min: 1,
        max: 64,
        description: 'What to fill it with: `demo` is the books of the demo institution',
      }),
    ),
  },
  { additionalProperties: false },
);

const ResetBody = Type.Object({
  id: Id('rst'),
  reset_at: Type.String(),
  rows_erased: Type.Integer({ description: 'Rows of the database that went' }),
  seed: Type.Optional(Type.String()),
  seeded_at: Type.Optional(Type.String()),
});

const clockBody = ({ now, offset_s }: Clock) => ({ now, offset_s: Number(offset_s) });

function resetBody(reset: Reset): Static<typeof ResetBody> {
  const { seed, seeded_at } = reset;
  return {
    id: formatId('rst', reset.id),
    reset_at: reset.reset_at,
    rows_erased: Number(reset.rows_erased),
    ...(seed === null ? {} : { seed }),
    ...(seeded_at === null ? {} : { seeded_at }),
  };
}

export function sandboxRoutes(options: {
  sandboxes: Sandboxes;
  seeds: Seeds;
  /** The ledger keeps the books that a seed fills. */
  askLedger: Ask<(typeof ledgerPort)['operations']>;
}): FastifyPluginAsyncTypebox {
  const { sandboxes, seeds, askLedger } = options;

  /** Refuses a seed that there is not, or that the caller may not plant: before anything went. */
  function assertMayPlant(name: string, { caller }: FastifyRequest): void {
    const seed = Object.hasOwn(seeds, name) ? seeds[name] : undefined;
    if (seed === undefined) {
      throw refuse('unknown_seed', `There is no seed ${name}.`, { seeds: Object.keys(seeds) });
    }
    for (const permission of seed.permissions) assertMay(caller, permission, false);
  }

  return async (app) => {
    const tags = ['Sandbox'];
    const refusals = { '4xx': ProblemBody, '5xx': ProblemBody };

    app.get(
      '/api/v2/sandbox/clock',
      {
        config: { permission: 'sandbox:read' },
        schema: {
          summary: 'What time it is in the sandbox',
          tags,
          response: { 200: ClockBody, ...refusals },
        },
      },
      async ({ caller }) => clockBody(await sandboxes.clock(caller)),
    );

    app.post(
      '/api/v2/sandbox/clock/advance',
      {
        config: { permission: 'sandbox:advance_clock' },
        schema: {
          summary: 'Move the clock of the sandbox forward; what falls due meanwhile happens',
          tags,
          headers: IdempotencyHeaders,
          body: AdvanceRequest,
          response: { 200: ClockBody, ...refusals },
        },
      },
      async (request, reply) => {
        const attempt = attemptOf(request, '/api/v2/sandbox/clock/advance');
        const { before, clock, replayed } = await sandboxes.advance(request.caller, request.body, attempt);
        request.audit({
          subject: formatId('ten', request.caller.tenant_id),
          ...(before === undefined ? {} : { before: clockBody(before), after: clockBody(clock) }),
        });
        if (replayed) reply.header('idempotent-replayed', 'true');
        return clockBody(clock);
      },
    );

    app.post(
      '/api/v2/sandbox/reset',
      {
        config: { permission: 'sandbox:reset' },
        schema: {
          summary: 'Empty the sandbox, and fill it with a seed',
          description:
            'All of its books and its idempotency keys go, and its clock shows the time again. API keys, people and settings stay.',
          tags,
          headers: IdempotencyHeaders,
          body: ResetRequest,
          response: { 201: ResetBody, ...refusals },
        },
      },
      async (request, reply) => {
        const { seed } = request.body;
        if (seed !== undefined) assertMayPlant(seed, request);
        const attempt = attemptOf(request, '/api/v2/sandbox/reset');
        const { reset, replayed } = await sandboxes.reset(request.caller, seed, attempt);
        let done = reset;
        if (seed !== undefined && reset.seeded_at === null) {
          // The reset is done and its seed is not, until this is: a repetition goes on with it.
          await askLedger('plantSeed', callOf(request), { seed, key: reset.id });
          done = await sandboxes.noteSeeded(request.caller, reset.id);
        }
        const after = resetBody(done);
        request.audit({ subject: after.id, ...(replayed ? {} : { after }) });
        answerCreated(reply, '/api/v2/sandbox/clock', replayed);
        return after;
      },
    );
  };
}
