/**
 * Public ids: a prefix naming the kind of thing and a UUIDv7, in TypeID form (`trf_01h455vb4pex5vsknk084sn02q`).
 * They sort by creation and cannot be guessed. Inside, and in SQL, the bare UUID is used.
 *
 * Source: TypeID specification v0.3; RFC 9562 section 5.7.
 */
import { type TString, Type } from 'typebox';
import { fromString, fromUUID, toUUID } from 'typeid-js';

export { v7 as newUuid } from 'uuid';

/** What each prefix stands for. */
const prefixes = {
  acc: 'an account',
  trf: 'a transfer',
  hld: 'a hold',
  hst: 'a hold step',
  evt: 'an event',
  key: 'an API key',
  ten: 'a tenant',
} as const;

export type IdPrefix = keyof typeof prefixes;

/** The public form of a UUID: `formatId('trf', uuid)`. */
export function formatId(prefix: IdPrefix, uuid: string): string {
  return fromUUID(uuid, prefix);
}

/** The UUID in a public id, or undefined if it is not a well-formed id with this prefix. */
export function parseId(prefix: IdPrefix, id: string): string | undefined {
  try {
    return toUUID(fromString(id, prefix));
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
