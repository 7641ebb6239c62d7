/** What the service keeps encrypted, for when the key rotates. Each context is that of the file that encrypts. */
import type { EncryptedColumn } from '../../platform/reencryption.ts';
import { signingKeyContext } from './oauth/signing-keys.ts';
import { verifierContext } from './people/external.ts';
import { clientSecretContext } from './people/provider.ts';
import { totpContext } from './people/totp.ts';

export const encryptedColumns: readonly EncryptedColumn[] = [
  {
    table: 'identity.totp',
    column: 'secret',
    of: 'tenant',
    key: { column: 'person_id', type: 'uuid' },
    context: ({ tenant_id }, person_id) => totpContext({ tenant_id, person_id }),
  },
  {
    table: 'identity.identity_providers',
    column: 'client_secret',
    of: 'tenant',
    context: ({ tenant_id }) => clientSecretContext(tenant_id),
  },
  {
    table: 'identity.external_sign_ins',
    column: 'code_verifier',
    of: 'tenant',
    key: { column: 'state_hash', type: 'bytea' },
    context: ({ tenant_id }) => verifierContext(tenant_id),
  },
  {
    table: 'identity.oauth_signing_keys',
    column: 'private_jwk',
    of: 'environment',
    key: { column: 'kid', type: 'text' },
    context: signingKeyContext,
  },
];
