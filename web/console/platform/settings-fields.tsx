/** The settings of an institution: shown, and edited by itself or by who operates the installation. */
import { ColorSwatch, Group, Select, TagsInput, TextInput } from '@mantine/core';
import { useState } from 'react';
import { act } from '../../api/act.ts';
import type { BodyOf } from '../../api/client.ts';
import { ActDialog } from '../../ui/act-dialog.tsx';
import { Facts } from '../../ui/facts.tsx';
import { DayText, Moment } from '../../ui/figures.tsx';
import { usePlatformWords } from './platform-words.ts';

export type Tenant = BodyOf<'/api/v2/tenant'>;

export function Settings({ tenant }: { tenant: Tenant }) {
  const t = usePlatformWords();
  const { display_name, primary_color, logo_url } = tenant.brand;
  return (
    <Facts
      facts={[
        [t('name'), tenant.name],
        [t('kind'), t(`kind_${tenant.kind}`)],
        [t('base_currency'), tenant.base_currency],
        [t('time_zone'), tenant.time_zone],
        [t('business_calendar'), t(tenant.business_calendar)],
        [
          t('holidays'),
          tenant.holidays.length === 0 ? (
            t('none')
          ) : (
            <Group key="h" gap="xs">
              {tenant.holidays.map((day) => (
                <DayText key={day} date={day} />
              ))}
            </Group>
          ),
        ],
        [t('display_name'), display_name ?? '–'],
        [
          t('primary_color'),
          primary_color === undefined ? (
            '–'
          ) : (
            <Group key="c" gap={6}>
              <ColorSwatch color={primary_color} size={14} />
              {primary_color}
            </Group>
          ),
        ],
        [t('logo_url'), logo_url ?? '–'],
        [t('created'), <Moment key="m" at={tenant.created_at} />],
        [t('updated'), <Moment key="u" at={tenant.updated_at} />],
      ]}
    />
  );
}

const calendars = ['weekdays', 'every_day'] as const;

export function SettingsDialog({
  tenant,
  etag,
  isOwn,
  onClose,
}: {
  tenant: Tenant;
  etag: string;
  /** One’s own institution, and not another of the installation. */
  isOwn: boolean;
  onClose: () => void;
}) {
  const t = usePlatformWords();
  const [name, setName] = useState(tenant.name);
  const [zone, setZone] = useState<string | null>(tenant.time_zone);
  const [calendar, setCalendar] = useState<(typeof calendars)[number]>(tenant.business_calendar);
  const [holidays, setHolidays] = useState(tenant.holidays);
  const [display, setDisplay] = useState(tenant.brand.display_name ?? '');
  const [color, setColor] = useState(tenant.brand.primary_color ?? '');
  const [logo, setLogo] = useState(tenant.brand.logo_url ?? '');
  const brand = {
    ...(display.trim() === '' ? {} : { display_name: display.trim() }),
    ...(color.trim() === '' ? {} : { primary_color: color.trim() }),
    ...(logo.trim() === '' ? {} : { logo_url: logo.trim() }),
  };
  const isSame = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const brandBefore = {
    display_name: tenant.brand.display_name,
    primary_color: tenant.brand.primary_color,
    logo_url: tenant.brand.logo_url,
  };
  const body = {
    ...(name.trim() === tenant.name ? {} : { name: name.trim() }),
    ...(zone === null || zone === tenant.time_zone ? {} : { time_zone: zone }),
    ...(calendar === tenant.business_calendar ? {} : { business_calendar: calendar }),
    ...(isSame(holidays.toSorted(), tenant.holidays) ? {} : { holidays: holidays.toSorted() }),
    ...(isSame(brand, brandBefore) ? {} : { brand }),
  };
  const ids = { tenant_id: tenant.id };
  const path = isOwn ? '/api/v2/tenant' : '/api/v2/tenants/{tenant_id}';
  return (
    <ActDialog
      opened
      onClose={onClose}
      size="lg"
      title={t('edit_settings')}
      verb={t('save')}
      consequence={t('edit_settings_consequence')}
      isReady={Object.keys(body).length > 0 && name.trim() !== ''}
      run={(key) => act('patch', path, { ...(isOwn ? {} : { ids }), key, body, if_match: etag })}
      call={{ method: 'PATCH', path, ...(isOwn ? {} : { ids }), body }}
    >
      <TextInput
        label={t('name')}
        required
        value={name}
        onChange={(event) => setName(event.currentTarget.value)}
        data-autofocus
      />
      <Select
        label={t('time_zone')}
        description={t('time_zone_about')}
        searchable
        data={['UTC', ...Intl.supportedValuesOf('timeZone').filter((one) => one !== 'UTC')]}
        value={zone}
        onChange={setZone}
      />
      <Select
        label={t('business_calendar')}
        data={calendars.map((value) => ({ value, label: t(value) }))}
        value={calendar}
        allowDeselect={false}
        onChange={(value) => setCalendar(calendars.find((one) => one === value) ?? calendar)}
      />
      <TagsInput
        size="xs"
        label={t('holidays')}
        description={t('holidays_about')}
        placeholder="2026-12-25"
        value={holidays}
        onChange={setHolidays}
      />
      <TextInput
        label={t('display_name')}
        value={display}
        onChange={(event) => setDisplay(event.currentTarget.value)}
      />
      <TextInput
        label={t('primary_color')}
        placeholder="#14636f"
        value={color}
        onChange={(event) => setColor(event.currentTarget.value)}
      />
      <TextInput
        label={t('logo_url')}
        type="url"
        placeholder="https://"
        value={logo}
        onChange={(event) => setLogo(event.currentTarget.value)}
      />
    </ActDialog>
  );
}
