/** What webhooks tell others: every event type, with its data. */
import { type Static, Type } from 'typebox';
import type { EventTypes } from '../../platform/bus/catalogue.ts';
import { Id } from '../../platform/ids.ts';

/** Data of `webhooks.endpoint.disabled`. */
export const EndpointDisabled = Type.Object({
  endpoint_id: Id('whk'),
  url: Type.String({ description: 'Without its query' }),
  application_id: Type.Union([Type.String(), Type.Null()], {
    description: "The application whose endpoint it is; null: the institution's own",
  }),
  reason: Type.Union([Type.Literal('gone'), Type.Literal('failing'), Type.Literal('application_disabled')], {
    description:
      'gone: it answered 410; failing: nothing but failures for five days; application_disabled: its application was disabled',
  }),
  failing_since: Type.String({
    format: 'date-time',
    description: 'Time of the first failure since the last success; where nothing failed, of the disabling',
  }),
  disabled_at: Type.String({ format: 'date-time' }),
});
export type EndpointDisabled = Static<typeof EndpointDisabled>;

export const TESTED = 'webhooks.endpoint.tested';

export const events: EventTypes = {
  'webhooks.endpoint.disabled': {
    version: 1,
    summary: 'An endpoint of webhooks was disabled because it failed, or with its application',
    aggregate: 'endpoint',
    data: EndpointDisabled,
    example: {
      endpoint_id: 'whk_01h455vb4pex5vsknk084sn02q',
      url: 'https://partner.example/hooks',
      application_id: null,
      reason: 'failing',
      failing_since: '2026-01-26T12:00:00Z',
      disabled_at: '2026-01-31T12:00:00Z',
    },
  },
  [TESTED]: {
    version: 1,
    summary: 'Somebody asked for a test: it is sent to the one endpoint that it is about, and never carried',
    aggregate: 'endpoint',
    data: Type.Object({ endpoint_id: Id('whk'), message: Type.String() }),
    example: { endpoint_id: 'whk_01h455vb4pex5vsknk084sn02q', message: 'This is a test.' },
  },
};
