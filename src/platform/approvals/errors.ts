/** Everything that is refused about actions that need a second person. */
import { defineProblems } from '../problem.ts';

export const refuse = defineProblems({
  approval_required: {
    status: 403,
    title: 'This needs a second person',
    meaning:
      'An approval policy of the institution covers the action, and this request cannot wait as a proposal: of /api/v1 none can, and none with a secret in its body. `policy` names what covers it. What /api/v1 refuses can be asked by /api/v2.',
  },
  policy_not_found: {
    status: 404,
    title: 'No such approval policy',
    meaning: 'No policy of the tenant in this environment is about this action.',
  },
  action_not_subject: {
    status: 422,
    title: 'The action cannot be subject to approval',
    meaning:
      'A policy is about a permission that a route which changes something needs, and not about approving itself. The list of routes with the permission each needs is in the reference.',
  },
  action_without_amount: {
    status: 422,
    title: 'The action has no amount',
    meaning:
      'Only what moves or holds money can be measured. Leave `above` out: every such action then waits.',
  },
  threshold_invalid: {
    status: 422,
    title: 'The threshold is not valid',
    meaning: 'Each currency stands in `above` once, with an amount of zero or more in its own digits.',
  },
  proposal_not_found: {
    status: 404,
    title: 'No such proposal',
    meaning: 'The tenant has no proposal with this id in this environment.',
  },
  proposal_decided: {
    status: 409,
    title: 'The proposal is decided',
    meaning:
      'It was approved, rejected, cancelled or has expired; `proposal_status` says which. A decision is not taken back.',
  },
  proposal_in_progress: {
    status: 409,
    title: 'The request is being made a proposal',
    meaning: 'Another request with this Idempotency-Key is under way. Ask again after `Retry-After` seconds.',
  },
  own_proposal: {
    status: 403,
    title: 'Nobody approves their own',
    meaning:
      'The same principal, or the same person behind it, proposed this: keys that one person created or rotated are that person’s. Somebody else has to decide; who proposed can cancel.',
  },
  not_own_proposal: {
    status: 403,
    title: 'Only who proposed it cancels it',
    meaning: 'Others reject it.',
  },
  proposer_lost_access: {
    status: 403,
    title: 'Whoever proposed it may no longer do it',
    meaning:
      'Between proposal and approval the key was revoked or has expired, or the person left. Nothing was done. Whoever still may can propose it anew.',
  },
  proposal_not_carried_out: {
    status: 422,
    title: 'What was proposed was not carried out',
    meaning:
      'The request with this Idempotency-Key became a proposal that was rejected, cancelled, has expired or failed; `proposal_status` and `reason` say more. Use a new key to propose anew.',
  },
});
