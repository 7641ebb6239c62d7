import { type Static, Type } from 'typebox';
import { ProblemBody, problemBody, Text } from '../../platform/http.ts';
import type { Attempt } from '../../platform/idempotency.ts';
import { canonicalRequest } from '../../platform/idempotency.ts';
import { newUuid } from '../../platform/ids.ts';
import { Problem } from '../../platform/problem.ts';
import type { Books } from './books.ts';
import { Transfer } from './contract.ts';
import { refuse } from './errors.ts';
import { assertForm, TransferRequest, termsOf, transferCommand, transferFor } from './post-transfer.ts';
import type { Command, Poster } from './posting.ts';
import { refusalOf } from './refusal.ts';
import { type PostOptions, submitterOf } from './submit.ts';

const MAX_TRANSFERS = 1_000;

export const BatchRequest = Type.Object(
  {
    atomic: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'Post all or none; otherwise each transfer stands for itself',
      }),
    ),
    transfers: Type.Array(
      Type.Object(
        {
          ...TransferRequest.properties,
          link: Type.Optional(
            Text({
              min: 1,
              max: 64,
              description: 'Transfers side by side with the same link are posted all or none',
            }),
          ),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: MAX_TRANSFERS },
    ),
  },
  { additionalProperties: false },
);
export type BatchRequest = Static<typeof BatchRequest>;

/** The outcome of one transfer of a batch. */
const BatchItem = Type.Object({
  status: Type.Integer({ description: 'HTTP status that the transfer alone would have been answered with' }),
  transfer: Type.Optional(Transfer),
  problem: Type.Optional(Type.Omit(ProblemBody, ['request_id', 'trace_id'], { additionalProperties: true })),
});

export const BatchResult = Type.Object({
  posted: Type.Integer({ description: 'Transfers that were posted' }),
  refused: Type.Integer(),
  outcomes: Type.Array(BatchItem, { description: 'In the order of the request' }),
});
export type BatchResult = Static<typeof BatchResult>;

/** Number of the group that each transfer belongs to; 0 stands for itself. */
function groupsOf(body: BatchRequest): number[] {
  if (body.atomic === true) return body.transfers.map(() => 1);
  const groups = new Map<string, number>();
  let previous: string | undefined;
  return body.transfers.map(({ link }, index) => {
    const seen = link === undefined ? undefined : groups.get(link);
    if (seen !== undefined && link !== previous) {
      throw refuse('links_not_adjacent', `The link ${link} is taken up again at place ${index}.`, {
        errors: [{ pointer: `/transfers/${index}/link`, detail: 'must stand beside the others of its link' }],
      });
    }
    previous = link;
    if (link === undefined) return 0;
    const group = seen ?? groups.size + 1;
    groups.set(link, group);
    return group;
  });
}

/** The commands for a batch, in its order. Throws what the batch as a whole is refused for. */
export function batchCommands(body: BatchRequest, attempt: Attempt): Command[] {
  const groups = groupsOf(body);
  const links = new Map<number, string>();
  for (const [index, transfer] of body.transfers.entries()) assertForm(transfer, `/transfers/${index}`);
  const request = canonicalRequest(body);
  return body.transfers.map((transfer, index): Command => {
    const group = groups[index] ?? 0;
    const link_id = links.get(group) ?? newUuid();
    if (group > 0) links.set(group, link_id);
    return transferCommand(transfer, {
      ...attempt,
      item: index + 1,
      request,
      ...(group > 0 ? { group, link_id } : {}),
    });
  });
}

/**
 * Posts up to 1,000 transfers in one commit, each with an outcome of its own in the order of the request.
 * The idempotency key is that of the whole batch.
 */
export async function postBatch(
  books: Books,
  scope: Poster,
  body: BatchRequest,
  attempt: Attempt,
  options: PostOptions & { publicUrl: string },
): Promise<{ result: BatchResult; replayed: boolean }> {
  const commands = batchCommands(body, attempt);
  const submit = submitterOf(books, options);
  const outcomes = await submit(scope, commands);
  // The key is that of the batch: used for another request, nothing of this one was looked at.
  const [command] = commands;
  const [first] = outcomes;
  if (command !== undefined && first?.code === 'idempotency_key_reused') throw refusalOf(command, first);
  const items = await Promise.all(
    commands.map(async (command, index): Promise<Static<typeof BatchItem>> => {
      const outcome = outcomes[index];
      if (outcome === undefined) throw new Error('a command without an outcome');
      try {
        const terms = termsOf(body.transfers[index] ?? {});
        return { status: 201, transfer: await transferFor(books, scope, command, outcome, terms) };
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        return { status: error.type.status, problem: problemBody(error, options.publicUrl) };
      }
    }),
  );
  const posted = items.filter(({ transfer }) => transfer !== undefined).length;
  return {
    result: { posted, refused: items.length - posted, outcomes: items },
    replayed: outcomes.some(({ replayed }) => replayed),
  };
}
