/** The passkeys of whoever is signed in: by each they sign in without a password, or with it as the second factor. */
import { Button, Group, Table, Text, TextInput } from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { useQuery } from '@tanstack/react-query';
import { Fingerprint, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { send } from '../../api/client.ts';
import { ActDialog } from '../act-dialog.tsx';
import { CopyId } from '../copy-id.tsx';
import { Moment } from '../figures.tsx';
import { Loading, Refused } from '../states.tsx';
import { done } from './done.ts';
import { useSecurityWords } from './security-words.ts';

interface Passkey {
  id: string;
  label: string;
  is_backed_up: boolean;
  created_at: string;
  last_used_at: string | null;
}

/**
 * Asks the browser for a passkey, which it keeps on the device or with whom it trusts, and registers it.
 *
 * @param refused what to say where there is none: what the browser says, as of a person who cancelled, is for developers
 */
async function addPasskey(label: string, refused: string) {
  const options = await send({ method: 'POST', path: '/identity/me/passkeys/options', stays: true });
  const credential = await navigator.credentials
    .create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(JSON.parse(options.text)) })
    .catch(() => null);
  if (!(credential instanceof PublicKeyCredential)) throw new Error(refused);
  await send({
    method: 'POST',
    path: '/identity/me/passkeys',
    body: { label, credential: credential.toJSON() },
    stays: true,
  });
  return done;
}

const canAdd = typeof globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON === 'function';

export function AddPasskeyButton() {
  const t = useSecurityWords();
  const [opened, { open, close }] = useDisclosure(false);
  const [label, setLabel] = useState('');
  return (
    <>
      <Button variant="default" leftSection={<Fingerprint size={14} />} onClick={open} disabled={!canAdd}>
        {t('add_passkey')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={t('add_passkey')}
        verb={t('add_passkey')}
        consequence={t('add_passkey_consequence')}
        isReady={label.trim() !== ''}
        run={() => addPasskey(label.trim(), t('passkey_refused'))}
        onDone={() => setLabel('')}
      >
        <TextInput
          label={t('passkey_name')}
          description={t('passkey_name_about')}
          required
          maxLength={255}
          value={label}
          onChange={(event) => setLabel(event.currentTarget.value)}
          data-autofocus
        />
      </ActDialog>
    </>
  );
}

export function Passkeys() {
  const t = useSecurityWords();
  const found = useQuery({
    queryKey: ['passkeys'],
    queryFn: async () => {
      const { text } = await send({ method: 'GET', path: '/identity/me/passkeys' });
      const answer: { data: Passkey[] } = JSON.parse(text);
      return answer.data;
    },
  });
  if (found.isError) return <Refused error={found.error} retry={() => void found.refetch()} />;
  if (found.data === undefined) return <Loading />;
  if (found.data.length === 0) {
    return (
      <Text size="sm" c="dimmed">
        {t(canAdd ? 'no_passkeys' : 'cannot_add_passkey')}
      </Text>
    );
  }
  return (
    <Table.ScrollContainer minWidth={420}>
      <Table fz="sm">
        <Table.Thead>
          <Table.Tr>
            <Table.Th>{t('passkey')}</Table.Th>
            <Table.Th>{t('id')}</Table.Th>
            <Table.Th>{t('added')}</Table.Th>
            <Table.Th>{t('last_used')}</Table.Th>
            <Table.Th>
              <span aria-hidden />
            </Table.Th>
          </Table.Tr>
        </Table.Thead>
        <Table.Tbody>
          {found.data.map((passkey) => (
            <Table.Tr key={passkey.id}>
              <Table.Td>{passkey.label}</Table.Td>
              <Table.Td>
                <CopyId id={passkey.id} short />
              </Table.Td>
              <Table.Td>
                <Moment at={passkey.created_at} />
              </Table.Td>
              <Table.Td>
                {passkey.last_used_at === null ? '–' : <Moment at={passkey.last_used_at} />}
              </Table.Td>
              <Table.Td>
                <Group justify="flex-end">
                  <RemoveButton passkey={passkey} />
                </Group>
              </Table.Td>
            </Table.Tr>
          ))}
        </Table.Tbody>
      </Table>
    </Table.ScrollContainer>
  );
}

function RemoveButton({ passkey }: { passkey: Passkey }) {
  const t = useSecurityWords();
  const [opened, { open, close }] = useDisclosure(false);
  const path = '/identity/me/passkeys/{passkey_id}/remove';
  return (
    <>
      <Button variant="default" leftSection={<Trash2 size={14} />} onClick={open}>
        {t('remove')}
      </Button>
      <ActDialog
        opened={opened}
        onClose={close}
        title={`${t('remove')}: ${passkey.label}`}
        verb={t('remove')}
        consequence={t('remove_passkey_consequence')}
        danger="final"
        run={async () => {
          await send({ method: 'POST', path, ids: { passkey_id: passkey.id }, stays: true });
          return done;
        }}
      />
    </>
  );
}
