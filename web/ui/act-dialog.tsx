/**
 * A dialog that does something by the API: it names what follows, shows what is sent, keeps what was typed when the
 * server refuses, and says where it went when a second person has to approve it.
 */
import { Anchor, Button, Group, Modal, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { type FormEvent, type ReactNode, useState } from 'react';
import { Link } from 'react-router';
import type { Outcome } from '../api/act.ts';
import { ApiProblem } from '../api/client.ts';
import { ApiCallButton } from './api-call.tsx';
import type { Call } from './call.ts';
import { CanItBeUndone, type Danger } from './can-it-be-undone.tsx';
import { Refused } from './states.tsx';
import { useUiWords } from './ui-words.ts';

export interface ActDialogProps<Answer> {
  opened: boolean;
  onClose: () => void;
  title: string;
  /** What follows from it, in words that leave no doubt. */
  consequence: ReactNode;
  /** On the button: the verb of what is done. */
  verb: string;
  /** Of what takes something away: whether it can be undone. */
  danger?: Danger;
  isReady?: boolean;
  /** Does it. The key is the same for each attempt at the same intention. */
  run: (key: string) => Promise<Outcome<Answer>>;
  /** The same as code. */
  call?: Call;
  onDone?: (answer: Answer) => void;
  size?: 'md' | 'lg' | 'xl';
  children?: ReactNode;
}

export function ActDialog<Answer>(props: ActDialogProps<Answer>) {
  const {
    opened,
    onClose,
    title,
    consequence,
    verb,
    danger,
    isReady = true,
    run,
    call,
    onDone,
    size = 'md',
    children,
  } = props;
  const t = useUiWords();
  const queries = useQueryClient();
  const [key, setKey] = useState(() => crypto.randomUUID());
  const doing = useMutation({
    mutationFn: () => run(key),
    onSuccess: (outcome) => {
      setKey(crypto.randomUUID());
      void queries.invalidateQueries();
      if (outcome.kind === 'proposed') tellProposed(outcome.proposal.id, t);
      else {
        notifications.show({
          message: `${title}: ${t('done')}`,
          color: 'teal',
          closeButtonProps: { 'aria-label': t('close') },
        });
        onDone?.(outcome.answer);
      }
      close();
    },
    onError: (error) => {
      // A refusal is kept under its key, and what is sent next is another intention. What nobody answered may have
      // been done: it is asked for again under the same key.
      if (error instanceof ApiProblem && error.problem.status < 500) setKey(crypto.randomUUID());
    },
  });
  const close = () => {
    doing.reset();
    onClose();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (isReady) doing.mutate();
  };
  return (
    <Modal
      opened={opened}
      onClose={close}
      title={title}
      size={size}
      closeButtonProps={{ 'aria-label': t('close') }}
    >
      <form onSubmit={submit}>
        <Stack gap="sm">
          <Text size="sm">{consequence}</Text>
          {danger !== undefined && <CanItBeUndone danger={danger} />}
          {children}
          {doing.isError && <Refused error={doing.error} />}
          <Group justify="flex-end" gap="xs">
            {call !== undefined && <ApiCallButton calls={[call]} />}
            <Button variant="default" onClick={close}>
              {t('cancel')}
            </Button>
            <Button
              type="submit"
              loading={doing.isPending}
              disabled={!isReady}
              {...(danger === undefined ? {} : { color: 'red' })}
            >
              {verb}
            </Button>
          </Group>
        </Stack>
      </form>
    </Modal>
  );
}

/** Says that something waits for a second person, and where. */
export function tellProposed(proposal_id: string, t: ReturnType<typeof useUiWords>): void {
  notifications.show({
    title: t('proposed'),
    message: (
      <>
        {t('proposed_more')}{' '}
        <Anchor component={Link} to={`/approvals/${proposal_id}`} size="sm">
          {t('see_proposal')}
        </Anchor>
      </>
    ),
    color: 'orange',
    closeButtonProps: { 'aria-label': t('close') },
    autoClose: 10_000,
  });
}
