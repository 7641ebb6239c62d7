/** A password that somebody chooses, typed twice. */
import { PasswordInput } from '@mantine/core';
import { useSecurityWords } from './security-words.ts';

export interface Chosen {
  password: string;
  again: string;
}

export const unchosen: Chosen = { password: '', again: '' };

/** Whether it was typed, and the same both times. */
export const isChosen = ({ password, again }: Chosen): boolean => password !== '' && again === password;

export function NewPassword({
  label,
  chosen,
  onChange,
}: {
  label: string;
  chosen: Chosen;
  onChange: (chosen: Chosen) => void;
}) {
  const t = useSecurityWords();
  const { password, again } = chosen;
  return (
    <>
      <PasswordInput
        size="xs"
        label={label}
        description={t('password_about')}
        required
        autoComplete="new-password"
        value={password}
        onChange={(event) => onChange({ ...chosen, password: event.currentTarget.value })}
      />
      <PasswordInput
        size="xs"
        label={t('password_again')}
        required
        autoComplete="new-password"
        value={again}
        onChange={(event) => onChange({ ...chosen, again: event.currentTarget.value })}
        error={again !== '' && again !== password ? t('passwords_differ') : undefined}
      />
    </>
  );
}
