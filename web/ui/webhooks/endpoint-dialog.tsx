/** Makes an endpoint that events are sent to, or edits one. */
import { Select, Switch, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../act-dialog.tsx';
import { useWebhookWords } from './webhook-words.ts';

export type Endpoint = BodyOf<'/api/v2/webhooks/endpoints/{endpoint_id}'>;

/** What is proposed while one types; any other can be typed. */
const families = ['*', 'ledger.*', 'ledger.transfer.*', 'ledger.account.*', 'ledger.hold.*', 'platform.*'];

const signatures = ['hmac', 'ed25519'] as const;

export function EndpointDialog({
  edited,
  application_id,
  onClose,
  onMade,
}: {
  /** Another one is made if absent. */
  edited?: { endpoint: Endpoint; etag: string };
  /** Whose it is to be, if another one is made. */
  application_id?: string;
  onClose: () => void;
  onMade?: (made: { id: string; secret?: string }) => void;
}) {
  const t = useWebhookWords();
  const [url, setUrl] = useState(edited?.endpoint.url ?? '');
  const [types, setTypes] = useState(edited?.endpoint.event_types ?? ['ledger.transfer.*']);
  const [description, setDescription] = useState(edited?.endpoint.description ?? '');
  const [ordered, setOrdered] = useState(edited?.endpoint.ordered ?? false);
  const [personal, setPersonal] = useState(edited?.endpoint.personal_data ?? false);
  const [signature, setSignature] = useState<(typeof signatures)[number]>('hmac');
  const body = {
    url: url.trim(),
    event_types: types,
    description: description.trim(),
    ordered,
    personal_data: personal,
  };
  const fresh = { ...body, signature, ...(application_id === undefined ? {} : { application_id }) };
  const ids = { endpoint_id: edited?.endpoint.id ?? '' };
  const path = '/api/v2/webhooks/endpoints/{endpoint_id}';
  return (
    <ActDialog<{ id: string; secret?: string }>
      opened
      onClose={onClose}
      size="lg"
      title={t(edited === undefined ? 'make_endpoint' : 'edit_endpoint')}
      verb={t(edited === undefined ? 'make_endpoint' : 'save')}
      consequence={t(edited === undefined ? 'make_endpoint_consequence' : 'edit_endpoint_consequence')}
      isReady={url.trim() !== '' && types.length > 0}
      run={(key) =>
        edited === undefined
          ? act('post', '/api/v2/webhooks/endpoints', { key, body: fresh })
          : act('patch', path, { ids, key, body, if_match: edited.etag })
      }
      call={
        edited === undefined
          ? { method: 'POST', path: '/api/v2/webhooks/endpoints', body: fresh, idempotent: true }
          : { method: 'PATCH', path, ids, body }
      }
      onDone={(endpoint) => onMade?.(endpoint)}
    >
      <TextInput
        label={t('url')}
        type="url"
        required
        placeholder="https://"
        value={url}
        onChange={(event) => setUrl(event.currentTarget.value)}
        data-autofocus
      />
      <TagsInput
        size="xs"
        label={t('event_types')}
        description={t('event_types_about')}
        data={families}
        value={types}
        onChange={setTypes}
      />
      <TextInput
        label={t('description')}
        value={description}
        onChange={(event) => setDescription(event.currentTarget.value)}
      />
      <Switch
        size="xs"
        label={t('ordered')}
        description={t('ordered_about')}
        checked={ordered}
        onChange={(event) => setOrdered(event.currentTarget.checked)}
      />
      <Switch
        size="xs"
        label={t('personal_data')}
        description={t('personal_data_about')}
        checked={personal}
        onChange={(event) => setPersonal(event.currentTarget.checked)}
      />
      {edited === undefined && (
        <Select
          label={t('signature')}
          description={t(`signature_${signature}`)}
          data={[...signatures]}
          value={signature}
          allowDeselect={false}
          onChange={(value) => setSignature(signatures.find((one) => one === value) ?? signature)}
        />
      )}
    </ActDialog>
  );
}
