/** Everything the service webhooks refuses. */
import { defineProblems } from '../../platform/problem.ts';

export const refuse = defineProblems({
  webhook_endpoint_not_found: {
    status: 404,
    title: 'No such endpoint',
    meaning:
      'The tenant has no endpoint of webhooks with this id in this environment, or it is that of another application.',
  },
  webhook_delivery_not_found: {
    status: 404,
    title: 'No such delivery',
    meaning:
      'There is no delivery with this id in this environment, it is kept no more, or it is that of another application.',
  },
  webhook_endpoint_disabled: {
    status: 409,
    title: 'The endpoint is disabled',
    meaning:
      'Nothing is sent to a disabled endpoint. Enable it, then send again what it missed: `POST …/resends` with the time at which it was disabled.',
  },
  webhook_delivery_under_way: {
    status: 409,
    title: 'The delivery is under way',
    meaning: 'It is being sent at this moment. Look at what comes of it, then ask again.',
  },
  webhook_event_type_unknown: {
    status: 422,
    title: 'There is no such type of event',
    meaning:
      'A filter names one type in full, all that begin alike (`ledger.*`), or all (`*`), and must fit at least one. `/asyncapi.json` lists them.',
  },
  webhook_url_refused: {
    status: 422,
    title: 'The address cannot be an endpoint',
    meaning:
      'An endpoint is an absolute https URL without a user name, password or fragment. Plain http is for private networks that the operator allowed (OUTGOING_ALLOW), as in development.',
  },
  webhook_application_not_own: {
    status: 422,
    title: 'Not the endpoint of another application',
    meaning: 'An application makes endpoints for itself only. Leave `application_id` out.',
  },
  webhook_application_not_found: {
    status: 422,
    title: 'No such application',
    meaning:
      'An endpoint can be for an application that is registered with the tenant, in the same environment, and not disabled. `GET /api/v2/applications` lists them.',
  },
  webhook_application_disabled: {
    status: 409,
    title: 'The application is disabled',
    meaning:
      'Nothing is sent to endpoints of an application that is disabled. Enable the application: its endpoints that were disabled with it are enabled then, too.',
  },
  too_many_webhook_keys: {
    status: 409,
    title: 'Too many keys sign',
    meaning:
      'Five keys of an endpoint may sign at a time. Wait until an older one has expired, or rotate with `overlap_s` 0, which ends all of them.',
  },
  too_many_webhook_endpoints: {
    status: 409,
    title: 'Too many endpoints',
    meaning: 'A tenant may have 1,000 endpoints in an environment. Delete some that nobody needs.',
  },
});
