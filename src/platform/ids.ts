/**
 * Public ids: a prefix naming the kind of thing and a UUIDv7, in TypeID form (`trf_01h455vb4pex5vsknk084sn02q`).
 * They sort by creation and cannot be guessed. Inside, and in SQL, the bare UUID is used.
 *
 * Source: TypeID specification v0.3; RFC 9562 section 5.7.
 */
import { randomFillSync } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { type TString, Type } from 'typebox';
import { fromString, fromUUID, toUUID } from 'typeid-js';
import { v7 } from 'uuid';
import { refuse } from './problem.ts';

/** What each prefix stands for. */
const prefixes = {
  acc: 'an account',
  trf: 'a transfer',
  hld: 'a hold',
  hst: 'a hold step',
  evt: 'an event',
  key: 'an API key',
  dev: 'a device',
  app: 'an application',
  con: 'a consent',
  usr: 'a person',
  rol: 'a role',
  grt: 'a grant',
  ses: 'a session',
  inv: 'an invitation',
  ins: 'an instance: a process of the installation',
  com: 'a community of developers',
  sgn: 'a sign-up',
  cin: 'an invitation into a community of developers',
  org: 'an organisation of developers',
  lrq: 'a request for live access',
  ann: 'an announcement',
  que: 'a question',
  ans: 'an answer',
  psk: 'a passkey',
  prp: 'a proposal',
  aud: 'an audit record',
  ten: 'a tenant',
  rst: 'a reset of a sandbox',
  run: 'a run of a job',
  whk: 'an endpoint of webhooks',
  dlv: 'a delivery of a webhook',
  rsd: 'a request to send webhooks again',
  rcp: 'a recipient of notifications',
  tpl: 'a template of notifications',
  ntf: 'a notification',
  msg: 'a message',
  pcl: 'a closing of a period',
  req: 'a request',
} as const;

export type IdPrefix = keyof typeof prefixes;

/** Randomness is fetched for many ids at once: asking the system for each took a tenth of a posting's time. */
const UUID_BYTES = 16;
const entropy = new Uint8Array(UUID_BYTES * 256);
let used = entropy.length;
let msecs = 0;
let seq = 0;

/** A new UUIDv7. Those of one process increase, within a millisecond too. */
export function newUuid(): string {
  if (used === entropy.length) {
    randomFillSync(entropy);
    used = 0;
  }
  const random = entropy.subarray(used, used + UUID_BYTES);
  used += UUID_BYTES;
  const now = Date.now();
  if (now > msecs) {
    msecs = now;
    // Half of the 32-bit range is left to count in.
    seq = ((random[6] ?? 0) << 23) | ((random[7] ?? 0) << 15) | ((random[8] ?? 0) << 7);
  } else {
    seq += 1;
  }
  return v7({ random, msecs, seq });
}

/** Ids that came of late: the same accounts come again and again, and to parse them was a tenth of a batch's time. */
const REMEMBERED_IDS = 50_000;
const parsed = new LRUCache<string, string>({ max: REMEMBERED_IDS });

/** The public form of a UUID: `formatId('trf', uuid)`. */
export function formatId(prefix: IdPrefix, uuid: string): string {
  return fromUUID(uuid, prefix);
}

/** The UUID in a public id, or undefined if it is not a well-formed id with this prefix. */
export function parseId(prefix: IdPrefix, id: string): string | undefined {
  if (id.startsWith(`${prefix}_`)) {
    const known = parsed.get(id);
    if (known !== undefined) return known;
  }
  try {
    const uuid = toUUID(fromString(id, prefix));
    parsed.set(id, uuid);
    return uuid;
  } catch {
    return undefined;
  }
}

/** Schema of a public id with this prefix. What it accepts, `parseId` parses. */
export function Id(prefix: IdPrefix, description?: string): TString {
  return Type.String({
    pattern: `^${prefix}_[0-7][0-9a-hjkmnp-tv-z]{25}$`,
    description: description ?? `Id of ${prefixes[prefix]}`,
  });
}

/** The UUID of an id that a schema's pattern made sure is of this kind. */
export function uuidOf(prefix: IdPrefix, id: string): string {
  const uuid = parseId(prefix, id);
  if (uuid === undefined) throw refuse('malformed_request', `${id} is not an id of this kind.`);
  return uuid;
}
