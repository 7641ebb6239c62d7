/** Proofs that whoever sends a token has the key that it is bound to (RFC 9449), as a resource server checks them. */
import { hash, timingSafeEqual } from 'node:crypto';
import { calculateJwkThumbprint, EmbeddedJWK, jwtVerify } from 'jose';
import type { UsedProofs } from '../used-proofs.ts';
import { CLOCK_TOLERANCE_S } from './issuer.ts';

export const PROOF_ALGS = ['ES256', 'EdDSA', 'PS256'] as const;
/** How old a proof may be. */
const PROOF_AGE_S = 60;

export interface ProofExpectation {
  method: string;
  /** Without query and fragment. */
  url: string;
  access_token: string;
  /** Thumbprint of the key that the token is bound to. */
  jkt: string;
}

export function sameText(left: string, right: string): boolean {
  const [a, b] = [Buffer.from(left), Buffer.from(right)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function sameUrl(given: unknown, expected: string): boolean {
  const url = typeof given === 'string' ? URL.parse(given) : null;
  if (url === null) return false;
  url.search = '';
  url.hash = '';
  return url.href === new URL(expected).href;
}

/**
 * Checks proofs, each once whichever process it is shown to. Returns what is wrong with one, or undefined. Proven by
 * oauth/replay.test.ts.
 */
export function proofChecker(
  usedProofs: UsedProofs,
): (proof: string, expected: ProofExpectation) => Promise<string | undefined> {
  return async (proof, expected) => {
    let verified: Awaited<ReturnType<typeof jwtVerify>>;
    try {
      verified = await jwtVerify(proof, EmbeddedJWK, {
        typ: 'dpop+jwt',
        algorithms: [...PROOF_ALGS],
        maxTokenAge: PROOF_AGE_S,
        clockTolerance: CLOCK_TOLERANCE_S,
        requiredClaims: ['jti', 'htm', 'htu', 'ath'],
      });
    } catch {
      return 'The DPoP proof is malformed, too old, or not signed by the key that it names.';
    }
    const { payload, protectedHeader } = verified;
    if (payload['htm'] !== expected.method || !sameUrl(payload['htu'], expected.url)) {
      return 'The DPoP proof is for another request.';
    }
    const ath = hash('sha256', expected.access_token, 'base64url');
    if (typeof payload['ath'] !== 'string' || !sameText(payload['ath'], ath)) {
      return 'The DPoP proof is for another token.';
    }
    const { jwk } = protectedHeader;
    if (jwk === undefined || !sameText(await calculateJwkThumbprint(jwk), expected.jkt)) {
      return 'The DPoP proof is of another key than the token is bound to.';
    }
    const isFirst = await usedProofs.use(
      `proof ${expected.jkt} ${String(payload.jti)}`,
      PROOF_AGE_S + 2 * CLOCK_TOLERANCE_S,
    );
    return isFirst ? undefined : 'The DPoP proof was used before.';
  };
}
