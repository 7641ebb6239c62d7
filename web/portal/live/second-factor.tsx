/** Sets up an authenticator app as a second factor of whoever is signed in. */
import { Button, Code, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { send } from '../../api/client.ts';
import { CopyId } from '../../ui/copy-id.tsx';
import { Refused } from '../../ui/states.tsx';
import { useUiWords } from '../../ui/ui-words.ts';
import { useLiveWords } from './live-words.ts';

interface Enrolment {
  secret: string;
  uri: string;
}

export function SecondFactorButton() {
  const t = useLiveWords();
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
        {t('set_factor')}
      </Button>
      {beginning.isError && <Refused error={beginning.error} />}
      {enrolment !== undefined && (
        <ConfirmDialog enrolment={enrolment} onClose={() => setEnrolment(undefined)} />
      )}
    </>
  );
}

function ConfirmDialog({ enrolment, onClose }: { enrolment: Enrolment; onClose: () => void }) {
  const t = useLiveWords();
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
      title={t('set_factor')}
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
            <Text size="sm">{t('factor_about')}</Text>
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
