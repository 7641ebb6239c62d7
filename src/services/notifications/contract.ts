/** What other services may ask of notifications. */
import { Type } from 'typebox';
import { SELF } from '../../platform/access/permission.ts';
import { Personal } from '../../platform/access/redaction.ts';
import { Text } from '../../platform/http.ts';
import { definePort } from '../../platform/port/port.ts';

const KnownRecipient = Type.Object(
  {
    reference: Type.String({
      minLength: 1,
      maxLength: 255,
      description: 'By which they are known again, as the id of an organisation',
    }),
    kind: Type.Enum(['staff', 'customer', 'organisation']),
    name: Personal(Text({ min: 1, max: 255 })),
    email: Personal(Type.String({ minLength: 3, maxLength: 254 })),
    language: Type.String({ minLength: 2, maxLength: 35 }),
  },
  { additionalProperties: false },
);

/** What somebody wants to be told of limits of requests, and how. */
export const LimitNotices = Type.Object(
  {
    from_percent: Type.Union([Type.Literal(80), Type.Literal(100), Type.Null()], {
      description: 'Of what a limit allows: 80, and 100 again; 100 only; null: nothing is told',
    }),
    channels: Type.Array(Type.Enum(['email', 'in_app']), {
      minItems: 1,
      maxItems: 2,
      uniqueItems: true,
      description: 'How: by mail to the address by which one signs in, or in the inbox',
    }),
  },
  { additionalProperties: false },
);

export const notificationsPort = definePort({
  service: 'notifications',
  operations: {
    tell: {
      meaning: 'Tells somebody something, whom it registers as a recipient where they are none',
      input: Type.Object(
        {
          recipient: KnownRecipient,
          topic: Type.String({ minLength: 1, maxLength: 64 }),
          data: Type.Record(
            Type.String({ maxLength: 64 }),
            Type.Union([Text({ max: 2_000 }), Type.Number()]),
          ),
          cause: Type.String({
            pattern: '^[A-Za-z0-9_./-]{1,100}$',
            description: 'What it tells of; of one cause they are told once',
          }),
        },
        { additionalProperties: false },
      ),
      output: Type.Object({ messages: Type.Integer({ minimum: 0, description: 'That were made' }) }),
      timeout_ms: 5_000,
      idempotent: true,
      writes: true,
      permission: 'notifications:send',
    },
    getWaysOut: {
      meaning: 'Whether what is told leaves the installation',
      input: Type.Object({}, { additionalProperties: false }),
      output: Type.Object({
        email: Type.Enum(['sent', 'kept'], {
          description: '`kept`: no way out is configured, and mail lies in the local outbox',
        }),
      }),
      timeout_ms: 5_000,
      idempotent: true,
      writes: false,
      permission: 'notifications:send',
    },
    getLimitNotices: {
      meaning: 'What the caller wants to be told of limits of requests',
      input: Type.Object({}, { additionalProperties: false }),
      output: LimitNotices,
      timeout_ms: 5_000,
      idempotent: true,
      writes: false,
      permission: SELF,
    },
    setLimitNotices: {
      meaning: 'Notes what the caller wants to be told of limits of requests, at the address they sign in by',
      input: Type.Object(
        {
          name: KnownRecipient.properties.name,
          email: KnownRecipient.properties.email,
          language: KnownRecipient.properties.language,
          notices: LimitNotices,
        },
        { additionalProperties: false },
      ),
      output: Type.Object({ before: LimitNotices, after: LimitNotices }),
      timeout_ms: 5_000,
      idempotent: true,
      writes: true,
      permission: SELF,
    },
  },
});
