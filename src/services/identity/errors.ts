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
  tenant_not_found: {
    status: 404,
    title: 'No such tenant',
    meaning: 'The installation has no tenant with this id.',
  },
  tenant_operates_installation: {
    status: 409,
    title: 'This tenant operates the installation',
    meaning: 'Nobody could resume the tenant whose people operate the installation; it cannot be suspended.',
  },
  base_currency_in_use: {
    status: 409,
    title: 'The base currency is in use',
    meaning:
      'The numbers of the v1 API are in the base currency, so that it cannot change once the tenant has an account in either environment. An emptied sandbox has none.',
  },
  unknown_base_currency: {
    status: 422,
    title: 'No such currency',
    meaning: 'The base currency must be an active ISO 4217 currency.',
  },
  unknown_time_zone: {
    status: 422,
    title: 'No such time zone',
    meaning: 'The time zone must be a name of the IANA time zone database, as `America/Sao_Paulo` or `UTC`.',
  },
  unknown_seed: {
    status: 422,
    title: 'No such seed',
    meaning:
      'A sandbox can be filled with what this installation knows; `seeds` names it. Nothing was emptied.',
  },
});
