/** Everything the service identity refuses. */
import { defineProblems } from '../../platform/problem.ts';

export const refuse = defineProblems({
  api_key_not_found: {
    status: 404,
    title: 'No such API key',
    meaning: 'The tenant has no API key with this id in this environment.',
  },
  api_key_revoked: {
    status: 409,
    title: 'The API key is revoked',
    meaning: 'A revoked key stays so. Create another.',
  },
  permission_not_held: {
    status: 422,
    title: 'Nobody gives what they do not have',
    meaning:
      'Keys, roles and tokens can be given permissions that their creator has, no others. `permissions` names those that are too many.',
  },
  application_not_found: {
    status: 404,
    title: 'No such application',
    meaning: 'The tenant has no application with this id in this environment.',
  },
  application_not_sound: {
    status: 422,
    title: 'The application cannot be registered so',
    meaning:
      'What was given does not fit together: an application with a redirect address needs the grant authorization_code and the other way round, one that signs its requests needs keys, and one of the FAPI 2.0 profile needs both keys and tokens bound to a key. The detail says which.',
  },
  application_has_no_secret: {
    status: 409,
    title: 'The application has no secret',
    meaning: 'It authenticates by a key, or not at all. Replace its keys instead.',
  },
  consent_not_found: {
    status: 404,
    title: 'No such consent',
    meaning: 'Whoever asks has given no consent with this id, or has taken it back.',
  },
});
