/**
 * Sending the transfers of a file in batches, one after the other. The key of each batch follows from the file and the
 * place of the batch in it: whoever sends the same file again is told what came of it the first time, and nothing is
 * posted twice.
 */
import { act } from '../../api/act.ts';
import { ApiProblem } from '../../api/client.ts';
import type { UploadedTransfer } from './upload-file.ts';

const PATH = '/api/v2/transfers/batch';
/** Transfers in a batch. Another number would make other batches of a file that was sent before. */
const IN_BATCH = 500;
const TRIES = 5;

/** What became of a line. */
export type LineOutcome =
  | { kind: 'posted'; transfer_id: string; replayed: boolean }
  | { kind: 'refused'; code: string; detail: string; replayed: boolean }
  | { kind: 'proposed'; proposal_id: string };

export interface Sending {
  hash: string;
  /** Tells apart what is sent twice on purpose. */
  run: string;
  transfers: readonly UploadedTransfer[];
  dry_run: boolean;
  signal: AbortSignal;
  /** Called with the outcomes of each batch, in the order of the file. */
  onOutcomes: (outcomes: LineOutcome[]) => void;
}

function keyOf({ hash, run }: Sending, batch: number): string {
  return `upload-${hash.slice(0, 40)}-${run === '' ? '' : `${run}-`}${batch}`;
}

/** Asks again under the same key where nobody answered, or where the server says to wait. */
async function patiently<Answer>(ask: () => Promise<Answer>, signal: AbortSignal): Promise<Answer> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await ask();
    } catch (error) {
      const isBusy =
        !(error instanceof ApiProblem) || error.problem.status === 429 || error.problem.status >= 500;
      if (!isBusy || tries === TRIES || signal.aborted) throw error;
      const told = error instanceof ApiProblem ? error.retry_after_s : undefined;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * (told ?? 2 ** (tries - 1))));
    }
  }
}

/**
 * @param from place of the first transfer that is sent: the beginning of a batch
 * @throws ApiProblem where a batch as a whole is refused, or whatever kept it from being sent
 */
export async function sendTransfers(sending: Sending, from = 0): Promise<void> {
  const { transfers, dry_run, signal, onOutcomes } = sending;
  for (let start = from; start < transfers.length && !signal.aborted; start += IN_BATCH) {
    const part = transfers.slice(start, start + IN_BATCH);
    const outcome = await patiently(
      () =>
        act('post', PATH, {
          body: { transfers: [...part] },
          key: dry_run ? crypto.randomUUID() : keyOf(sending, start / IN_BATCH),
          query: dry_run ? { dry_run: 'true' } : {},
        }),
      signal,
    );
    if (outcome.kind === 'proposed') {
      onOutcomes(part.map(() => ({ kind: 'proposed', proposal_id: outcome.proposal.id })));
      continue;
    }
    const { replayed } = outcome;
    onOutcomes(
      outcome.answer.outcomes.map(({ transfer, problem }) =>
        transfer === undefined
          ? { kind: 'refused', code: problem?.code ?? '', detail: problem?.detail ?? '', replayed }
          : { kind: 'posted', transfer_id: transfer.id, replayed },
      ),
    );
  }
}
