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
  role_not_found: {
    status: 404,
    title: 'No such role',
    meaning:
      'The tenant has no role of this name in this environment. The list of roles shows those there are.',
  },
  role_name_taken: {
    status: 409,
    title: 'The name of the role is taken',
    meaning: 'A role is known by its name, and those of every institution have theirs. Choose another.',
  },
  role_predefined: {
    status: 409,
    title: 'The role is of every institution',
    meaning: 'Predefined roles can be neither edited nor deleted. Make a role of your own.',
  },
  role_granted: {
    status: 409,
    title: 'Somebody has the role',
    meaning:
      'A role is deleted when nobody has it any more. Revoke its grants first; the list of grants finds them.',
  },
  too_many_roles: {
    status: 409,
    title: 'There are too many roles',
    meaning: 'An environment has up to 200 roles of its own. Delete those that nobody has.',
  },
  grantee_not_found: {
    status: 404,
    title: 'No such person to grant it to',
    meaning: 'The tenant has nobody with this id.',
  },
  grant_not_found: {
    status: 404,
    title: 'No such grant',
    meaning: 'The tenant has no grant with this id in this environment, or it was revoked.',
  },
  grant_exists: {
    status: 409,
    title: 'The person has the role already',
    meaning: 'A role is granted to a person once for everything, and once for the same labels.',
  },
  last_administrator: {
    status: 409,
    title: 'Somebody must administer',
    meaning:
      'The last grant of the administrator that reaches everything cannot be revoked: nobody could grant it again. Grant it to somebody else first.',
  },
  permission_not_held: {
    status: 422,
    title: 'Nobody gives what they do not have',
    meaning:
      'Keys, roles and tokens can be given permissions that their creator has, no others. `permissions` names those that are too many.',
  },
});
