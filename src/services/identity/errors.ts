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
  plan_not_found: {
    status: 404,
    title: 'No such plan',
    meaning: 'The tenant has no plan of this name in this environment.',
  },
  plan_exists: {
    status: 409,
    title: 'There is a plan of this name',
    meaning:
      'The name of a plan is used once in an environment. Edit the plan that is there, or choose another name.',
  },
  permission_not_held: {
    status: 422,
    title: 'Nobody gives what they do not have',
    meaning:
      'Keys, roles and tokens can be given permissions that their creator has, no others. `permissions` names those that are too many.',
  },
});
