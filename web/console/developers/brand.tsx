/** How a community appears in its portal: the logo, which is stored here, its colour and its shown name. */
import { ColorSwatch, FileInput, Group, Stack, Text } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { ImageUp, Trash2 } from 'lucide-react';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActButton, FormButton } from '../../ui/act-button.tsx';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Facts, Section } from '../../ui/facts.tsx';
import { LogoPicture } from '../../ui/logo-picture.tsx';
import { useDevelopersWords } from './developers-words.ts';
import { kibOf, type LogoFile, readLogoFile, UnfitLogo } from './logo-file.ts';

const PATH = '/api/v2/communities/{community_id}/logo';
/** As large as the portal shows it, from its lists to its front page. */
const sizes = [24, 36, 56, 96] as const;
type Community = BodyOf<'/api/v2/communities/{community_id}'>;

export function CommunityBrand({ community }: { community: Community }) {
  const t = useDevelopersWords();
  const { logo, brand } = community;
  const ids = { community_id: community.id };
  const name = brand.display_name ?? community.name;
  const { primary_color } = brand;
  return (
    <Section
      title={t('logo')}
      aside={
        <Group gap={6}>
          <FormButton
            permission="communities:edit"
            label={t(logo === undefined ? 'upload_logo' : 'change_logo')}
            icon={<ImageUp size={14} />}
          >
            {(close) => <LogoDialog community={community} onClose={close} />}
          </FormButton>
          {logo !== undefined && (
            <ActButton
              permission="communities:edit"
              icon={<Trash2 size={14} />}
              title={t('remove_logo')}
              verb={t('remove_logo')}
              consequence={t('remove_logo_consequence')}
              danger="undoable"
              run={() => act('delete', PATH, { ids, if_match: '*' })}
              call={{ method: 'DELETE', path: PATH, ids }}
            />
          )}
        </Group>
      }
    >
      {logo === undefined ? (
        <Text size="sm">{t('no_logo')}</Text>
      ) : (
        <Group gap="sm" wrap="nowrap">
          <LogoPicture url={logo.url} alt={t('logo_of', { name })} size={96} />
          <LogoFacts {...logo} />
        </Group>
      )}
      <Facts
        facts={[
          [t('display_name'), name],
          [
            t('color'),
            primary_color === undefined ? (
              '–'
            ) : (
              <Group gap={6}>
                <ColorSwatch color={primary_color} size={14} />
                {primary_color}
              </Group>
            ),
          ],
        ]}
      />
    </Section>
  );
}

function LogoFacts({
  content_type,
  width,
  height,
  bytes,
}: Pick<LogoFile, 'content_type' | 'width' | 'height' | 'bytes'>) {
  const t = useDevelopersWords();
  const kind = content_type === 'image/png' ? 'PNG' : 'WebP';
  return (
    <Text size="sm" c="dimmed">
      {t('logo_facts', { width, height, kind, kib: kibOf(bytes) })}
    </Text>
  );
}

function LogoDialog({ community, onClose }: { community: Community; onClose: () => void }) {
  const t = useDevelopersWords();
  const [file, setFile] = useState<File | null>(null);
  const reading = useMutation({ mutationFn: readLogoFile });
  const choose = (chosen: File | null) => {
    setFile(chosen);
    reading.reset();
    if (chosen !== null) reading.mutate(chosen);
  };
  const { data: read, error } = reading;
  const ids = { community_id: community.id };
  const verb = t(community.logo === undefined ? 'upload_logo' : 'change_logo');
  return (
    <ActDialog
      opened
      onClose={onClose}
      title={verb}
      verb={verb}
      consequence={t('logo_consequence')}
      isReady={read !== undefined}
      run={() => upload(read)}
      call={{
        method: 'PUT',
        path: PATH,
        ids,
        // The whole of it is no use to whoever reads the code.
        body: { content_type: read?.content_type ?? 'image/png', data: '<base64>' },
      }}
    >
      <FileInput
        label={t('picture')}
        description={t('logo_about')}
        placeholder={t('choose_picture')}
        accept="image/png,image/webp"
        required
        leftSection={<ImageUp size={14} />}
        clearable
        clearButtonProps={{ 'aria-label': t('clear_file') }}
        value={file}
        error={
          error === null
            ? undefined
            : error instanceof UnfitLogo
              ? t(error.word, error.values)
              : t('logo_broken')
        }
        onChange={choose}
      />
      {read !== undefined && (
        <Stack gap={6}>
          <Text size="sm" fw={500}>
            {t('logo_preview')}
          </Text>
          <Group gap="sm" align="flex-end">
            {sizes.map((size) => (
              <LogoPicture key={size} url={read.url} alt="" size={size} />
            ))}
          </Group>
          <LogoFacts {...read} />
        </Stack>
      )}
    </ActDialog>
  );

  function upload(chosen: LogoFile | undefined) {
    if (chosen === undefined) throw new UnfitLogo('logo_broken');
    const { content_type, data } = chosen;
    return act('put', PATH, { ids, body: { content_type, data }, if_match: '*' });
  }
}
