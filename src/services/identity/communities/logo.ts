/** The logo of a community: stored in the installation and served by it, since its pages load no picture of others. */
import { createHash } from 'node:crypto';
import { type Static, Type } from 'typebox';
import type { Caller } from '../../../platform/access/caller.ts';
import type { Database, Scope, Transaction } from '../../../platform/db.ts';
import { assertMatches } from '../../../platform/etag.ts';
import { refuse } from '../errors.ts';
import { type Community, type FoundCommunity, findCommunity, getCommunity, logoOf } from './communities.ts';
import { NotAPicture, type Picture, readPicture } from './picture.ts';

const MOST_BYTES = 65_536;
const [LEAST_PIXELS, MOST_PIXELS] = [16, 1_024];
/** Well beyond the base64 of the most bytes: what is somewhat too large is told so in clear words. */
const MOST_CHARACTERS = 1_000_000;

export const LogoRequest = Type.Object(
  {
    content_type: Type.Enum(['image/png', 'image/webp'], { description: 'What the bytes are' }),
    data: Type.String({
      minLength: 1,
      maxLength: MOST_CHARACTERS,
      contentEncoding: 'base64',
      description:
        'The file in base64 (RFC 4648, section 4). At most 64 KiB of bytes and 1024×1024 pixels, at least 16×16; a square is shown best. Not animated, and nothing behind the end of the picture',
    }),
  },
  { additionalProperties: false },
);
type LogoRequest = Static<typeof LogoRequest>;

interface ReadLogo extends Picture {
  bytes: Buffer;
}

/** @throws Problem where the file is not fit to be shown to everybody */
function readLogo({ content_type, data }: LogoRequest): ReadLogo {
  const bytes = Buffer.from(data, 'base64');
  // Node reads what it can of anything.
  if (bytes.toString('base64') !== data) {
    throw refuse(
      'logo_not_good',
      '`data` is not base64 with its padding and without line breaks (RFC 4648, section 4).',
    );
  }
  if (bytes.length > MOST_BYTES) {
    throw refuse(
      'logo_size_not_good',
      `The file has ${bytes.length} bytes; at most ${MOST_BYTES} are taken.`,
    );
  }
  const picture = readOrRefuse(bytes);
  if (picture.content_type !== content_type) {
    throw refuse('logo_not_good', `The file is ${picture.content_type}, and not ${content_type}.`);
  }
  const { width, height } = picture;
  if ([width, height].some((pixels) => !(pixels >= LEAST_PIXELS && pixels <= MOST_PIXELS))) {
    throw refuse(
      'logo_size_not_good',
      `The picture has ${width}×${height} pixels; each side has to have ${LEAST_PIXELS} to ${MOST_PIXELS}.`,
    );
  }
  return { ...picture, bytes };
}

function readOrRefuse(bytes: Buffer): Picture {
  try {
    return readPicture(bytes);
  } catch (error) {
    if (error instanceof NotAPicture) throw refuse('logo_not_good', `The file ${error.message}.`);
    throw error;
  }
}

/** A community before and after a change of its logo; the logos of the record have their hash, and never their bytes. */
interface ChangedLogo {
  before: object;
  after: object;
  community: Community;
  version: number;
}

/** Gives a community a logo, in the place of the one that it has. Who answers for the community stays who they are. */
export function putLogo(
  db: Database,
  caller: Caller,
  uuid: string,
  body: LogoRequest,
  ifMatch: string | undefined,
): Promise<ChangedLogo> {
  const { bytes, content_type, width, height } = readLogo(body);
  return changeLogo(db, caller, uuid, ifMatch, async (tx) => {
    await tx.run(
      `insert into identity.community_logos (tenant_id, environment, community_id, content_type, width, height, sha256, picture)
       values ($1, $2, $3, $4, $5, $6, $7, $8)
       on conflict (tenant_id, environment, community_id) do update
       set content_type = excluded.content_type, width = excluded.width, height = excluded.height,
         sha256 = excluded.sha256, picture = excluded.picture`,
      [
        caller.tenant_id,
        caller.environment,
        uuid,
        content_type,
        width,
        height,
        createHash('sha256').update(bytes).digest(),
        bytes,
      ],
    );
  });
}

/** Takes the logo of a community away. */
export function removeLogo(
  db: Database,
  caller: Caller,
  uuid: string,
  ifMatch: string | undefined,
): Promise<ChangedLogo> {
  return changeLogo(db, caller, uuid, ifMatch, async (tx, { community }) => {
    const removed = await tx.run(
      'delete from identity.community_logos where tenant_id = $1 and environment = $2 and community_id = $3',
      [caller.tenant_id, caller.environment, uuid],
    );
    if (removed === 0) throw refuse('logo_not_found', `The community ${community.id} has no logo.`);
  });
}

function changeLogo(
  db: Database,
  caller: Caller,
  uuid: string,
  ifMatch: string | undefined,
  change: (tx: Transaction, found: FoundCommunity) => Promise<void>,
): Promise<ChangedLogo> {
  return db.write(caller, async (tx) => {
    const at = [caller.tenant_id, caller.environment, uuid];
    await tx.run(
      'select from identity.communities where tenant_id = $1 and environment = $2 and id = $3 for no key update',
      at,
    );
    const before = await getCommunity(tx, caller, uuid);
    assertMatches(ifMatch, before.version, 'the community');
    await change(tx, before);
    await tx.run(
      `update identity.communities set updated_at = now(), version = version + 1
       where tenant_id = $1 and environment = $2 and id = $3`,
      at,
    );
    const after = await getCommunity(tx, caller, uuid);
    const { community, version } = after;
    return { before: recordOf(before), after: recordOf(after), community, version };
  });
}

function recordOf({ community, logo }: FoundCommunity): object {
  return logo === undefined
    ? community
    : { ...community, logo: { ...logoOf(community.slug, logo), sha256: logo.sha256 } };
}

const Stored = Type.Object({ picture: Type.Unsafe<Buffer>({}) });

export interface ServedLogo {
  content_type: Picture['content_type'];
  /** Hexadecimal. */
  sha256: string;
  read: () => Promise<Buffer>;
}

/** The logo of the community of a name, for everybody. Its bytes are read when they are asked for. */
export async function getServedLogo(db: Database, slug: string): Promise<ServedLogo> {
  const found = await findCommunity(db, slug);
  if (found === undefined) throw refuse('community_not_found', `There is no community ${slug}.`);
  const { scope, uuid, logo } = found;
  if (logo === undefined) throw refuse('logo_not_found', `The community ${slug} has no logo.`);
  const { content_type, sha256 } = logo;
  return { content_type, sha256, read: () => readBytes(db, scope, { uuid, slug, sha256 }) };
}

async function readBytes(
  db: Database,
  scope: Scope,
  { uuid, slug, sha256 }: { uuid: string; slug: string; sha256: string },
): Promise<Buffer> {
  // Of that hash: another that came in between has another type and another tag.
  const [stored] = await db.read(scope, (tx) =>
    tx.rows(
      Stored,
      `select picture from identity.community_logos
       where tenant_id = $1 and environment = $2 and community_id = $3 and sha256 = decode($4, 'hex')`,
      [scope.tenant_id, scope.environment, uuid, sha256],
    ),
  );
  if (stored === undefined) throw refuse('logo_not_found', `The logo of the community ${slug} was changed.`);
  return stored.picture;
}
