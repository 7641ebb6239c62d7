/** What a route says about being subject to approval, in its `config`. */
import type { FastifyRequest } from 'fastify';
import type { Scope } from '../db.ts';
import type { Money } from '../money.ts';
import type { Approved } from './execution.ts';

/** What is set aside while a proposal waits. */
export interface Reservation {
  /** UUIDs of the holds that `place` will place, known before so that none is ever lost. */
  holds: readonly string[];
  /**
   * Places them and tells which stand now. Throws what the ledger refuses, and then none stands.
   *
   * @param terms.proposal_id public id that the holds name
   * @param terms.dry_run tells what would happen and keeps nothing
   */
  place(terms: { proposal_id: string; expires_at: string; dry_run: boolean }): Promise<readonly string[]>;
}

/**
 * Every route under /api/ that changes something is subject to the policies about its permission. What it says here
 * makes more of that.
 */
export interface Approval {
  /**
   * Further actions whose policies count where an amount moves: who captures a hold moves money as a transfer does.
   */
  also?: readonly string[];
  /**
   * The amounts that policies look at, each for itself; undefined where it cannot be told before, which counts as above
   * every threshold. A route without this has no amount.
   */
  amounts?: (request: FastifyRequest) => Promise<Money[] | undefined> | Money[] | undefined;
  /** Prepares to set aside what the request would move. */
  reserve?: (request: FastifyRequest) => Promise<Reservation> | Reservation;
  /** Releases holds of a proposal that was not carried out. Those that are gone are no error. */
  release?: (scope: Scope, proposal_id: string, holds: readonly string[]) => Promise<void>;
  /** Whether the request with this key was decided before there was a policy: it is then told what came of it. */
  wasAttempted?: (scope: Scope, key: string) => Promise<boolean>;
  /** The route cannot be asked as a proposal: what a policy covers is refused. */
  refused?: boolean;
  /**
   * The answer has a secret that only whoever asked may see: approval lets the proposer repeat the request, and that
   * carries it out.
   */
  answers_secret?: boolean;
  /** The answer has nothing secret in it and is shown with the proposal. */
  shows_answer?: boolean;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** How policies of approval apply to the route; `exempt`: never. */
    approval?: Approval | 'exempt';
  }
  interface FastifyRequest {
    /** Set while something is carried out that a second person approved. */
    approved: Approved | undefined;
    /** Amounts by which no policy covered the request; undefined where none was asked. */
    measured: readonly Money[] | undefined;
  }
}

const safeMethods = new Set(['GET', 'HEAD', 'OPTIONS']);

export interface SubjectRoute {
  /** Method and pattern of the path, by which a proposal finds its route again. */
  name: string;
  /** The service that has it, or `platform`. */
  owner: string;
  permission: string;
  summary: string;
  approval: Approval;
  /** Whether the route keeps what came of it under the Idempotency-Key. */
  keyed: boolean;
  /** Whether it is refused without one. */
  needs_key: boolean;
}

/** Whether a route can be subject to approval: it changes something. */
export function isSubject(method: string, config: { changes_state?: boolean }): boolean {
  return !safeMethods.has(method) || config.changes_state === true;
}
