/** What other services may ask of notifications. */
import { Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import { Text } from '../../platform/http.ts';
import { definePort } from '../../platform/port/port.ts';

export const notificationsPort = definePort({
  service: 'notifications',
  operations: {
    tell: {
      meaning: 'Tells somebody something, whom it registers as a recipient where they are none',
      input: Type.Object(
        {
          recipient: Type.Object(
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
          ),
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
  },
});
