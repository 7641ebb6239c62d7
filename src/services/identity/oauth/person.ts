/** What OAuth needs to know of people: who sits at the browser, and what somebody may do. */
import type { FastifyRequest } from 'fastify';
import type { Scope } from '../../../platform/db.ts';

export interface SignedInPerson {
  person_uuid: string;
  email: string;
  name: string;
  tenant_id: string;
}

export interface People {
  /** Who is signed in at the browser that sent a request. */
  signedInPerson: (request: FastifyRequest) => Promise<SignedInPerson | undefined>;
  /** What a person may do in an environment; undefined for who is not active there. */
  findPerson: (
    scope: Scope,
    person_uuid: string,
  ) => Promise<{ name: string; email: string; permissions: ReadonlySet<string> } | undefined>;
}
