/** Sets up an authenticator app as a second factor of whoever is signed in. */
import { Button, Code, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { encode } from 'uqr';
import { send } from '../../api/client.ts';
import { CopyId } from '../copy-id.tsx';
import { Refused } from '../states.tsx';
import { useUiWords } from '../ui-words.ts';
import { useSecurityWords } from './security-words.ts';

interface Enrolment {
  secret: string;
  uri: string;
}

export function AuthenticatorButton({ label }: { label: string }) {
  const [enrolment, setEnrolment] = useState<Enrolment>();
  const beginning = useMutation({
    mutationFn: async () => {
      const { text } = await send({ method: 'POST', path: '/identity/me/totp', stays: true });
      const answer: Enrolment = JSON.parse(text);
      return answer;
    },
    onSuccess: setEnrolment,
  });
  return (
    <>
      <Button variant="default" loading={beginning.isPending} onClick={() => beginning.mutate()}>
        {label}
      </Button>
      {beginning.isError && <Refused error={beginning.error} />}
      {enrolment !== undefined && (
        <ConfirmDialog title={label} enrolment={enrolment} onClose={() => setEnrolment(undefined)} />
      )}
    </>
  );
}

/** A picture for the camera of a telephone; dark on white whatever the colours of the page are, as scanners expect it. */
function QrCode({ text, label }: { text: string; label: string }) {
  const { size, data } = encode(text, { border: 2 });
  const path = data
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : '')))
    .join('');
  return (
    <svg viewBox={`0 0 ${size} ${size}`} width={180} height={180} role="img" aria-label={label}>
      <rect width={size} height={size} fill="#ffffff" />
      <path d={path} fill="#000000" shapeRendering="crispEdges" />
    </svg>
  );
}

function ConfirmDialog({
  title,
  enrolment,
  onClose,
}: {
  title: string;
  enrolment: Enrolment;
  onClose: () => void;
}) {
  const t = useSecurityWords();
  const words = useUiWords();
  const queries = useQueryClient();
  const [code, setCode] = useState('');
  const confirming = useMutation({
    mutationFn: async () => {
      const { text } = await send({
        method: 'POST',
        path: '/identity/me/totp/confirm',
        body: { code: code.trim() },
        stays: true,
      });
      const answer: { recovery_codes: string[] } = JSON.parse(text);
      return answer.recovery_codes;
    },
  });
  const close = () => {
    onClose();
    // Not before the codes were seen: what is shown when it is done has no place for them.
    if (confirming.isSuccess) void queries.invalidateQueries();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    confirming.mutate();
  };
  return (
    <Modal
      opened
      onClose={close}
      title={title}
      closeOnClickOutside={false}
      closeButtonProps={{ 'aria-label': words('close') }}
    >
      {confirming.isSuccess ? (
        <Stack gap="sm">
          <Text size="sm">{t('recovery_codes_about')}</Text>
          <Code block tabIndex={0} data-secret>
            {confirming.data.join('\n')}
          </Code>
          <Group justify="flex-end">
            <Button onClick={close}>{words('kept')}</Button>
          </Group>
        </Stack>
      ) : (
        <form onSubmit={submit}>
          <Stack gap="sm">
            <Text size="sm">{t('authenticator_about')}</Text>
            <Group justify="center">
              <QrCode text={enrolment.uri} label={t('qr_code')} />
            </Group>
            <Text size="sm">{t('secret_about')}</Text>
            <CopyId id={enrolment.secret} />
            <TextInput
              label={t('code')}
              required
              inputMode="numeric"
              autoComplete="one-time-code"
              value={code}
              onChange={(event) => setCode(event.currentTarget.value)}
            />
            {confirming.isError && <Refused error={confirming.error} />}
            <Group justify="flex-end">
              <Button type="submit" loading={confirming.isPending} disabled={code.trim() === ''}>
                {t('confirm')}
              </Button>
            </Group>
          </Stack>
        </form>
      )}
    </Modal>
  );
}
