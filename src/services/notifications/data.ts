/** What a message is about: a value for each variable that its topic declares. */
import { Type } from 'typebox';
import { Personal } from '../../platform/access/redaction.ts';
import { Text } from '../../platform/http.ts';
import type { FieldError } from '../../platform/problem.ts';
import { refuse } from './errors.ts';
import { topicOf } from './topics.ts';

const MAX_VARIABLES = 50;

export const Data = () =>
  Personal(
    Type.Record(
      Type.String({ pattern: '^[a-z][a-z0-9_]{0,62}$' }),
      Type.Union([Text({ max: 2_000 }), Type.Number(), Type.Boolean()]),
      {
        maxProperties: MAX_VARIABLES,
        description: 'A value for each variable of the topic',
        examples: [{ title: 'Closed on Friday', message: 'We are back on Monday.' }],
      },
    ),
  );

type Values = Readonly<Record<string, unknown>>;

/** Refuses data that lack what the topic declares, or have more than that. */
export function assertData(name: string, data: Values): void {
  const { variables } = topicOf(name);
  const missing = Object.entries(variables)
    .filter(([variable, { optional }]) => optional !== true && !Object.hasOwn(data, variable))
    .map(
      ([variable, { meaning }]): FieldError => ({
        pointer: `/data/${variable}`,
        detail: `is missing: ${meaning}`,
      }),
    );
  const strange = Object.keys(data)
    .filter((variable) => !Object.hasOwn(variables, variable))
    .map(
      (variable): FieldError => ({
        pointer: `/data/${variable}`,
        detail: `is no variable of the topic ${name}`,
      }),
    );
  const errors = [...missing, ...strange];
  if (errors.length === 0) return;
  throw refuse('data_not_sound', `The data do not fit the topic ${name}.`, { errors });
}

/** The data with nothing in the place of what is optional and not there, so that templates can ask for it. */
export function completed(name: string, data: Values): Values {
  const optional = Object.entries(topicOf(name).variables).filter((entry) => entry[1].optional === true);
  return { ...Object.fromEntries(optional.map(([variable]) => [variable, null])), ...data };
}
