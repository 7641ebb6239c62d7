/** The frame around every page: where one is, in which environment, as whom, and the way to everything else. */
import {
  ActionIcon,
  Alert,
  AppShell,
  Badge,
  Burger,
  Button,
  Group,
  Kbd,
  Menu,
  NavLink,
  ScrollArea,
  Stack,
  Text,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
  VisuallyHidden,
} from '@mantine/core';
import { useDisclosure, useHotkeys } from '@mantine/hooks';
import { Notifications } from '@mantine/notifications';
import { useQuery } from '@tanstack/react-query';
import { Bell, Languages, LogOut, Moon, Search, Sun, TriangleAlert, UserRound } from 'lucide-react';
import { lazy, Suspense, useEffect, useState } from 'react';
import { Link, Outlet, useLocation, useNavigate } from 'react-router';
import { get } from '../../api/client.ts';
import { useMay, useSelf } from '../self.tsx';
import { chooseLanguage, languageNames, languages, useLanguage } from '../words.ts';
import { usePlace } from './place.ts';
import { useShellWords } from './shell-words.ts';

const loadPalette = () => import('./palette.tsx');
const Palette = lazy(loadPalette);
const Shortcuts = lazy(() => import('./shortcuts.tsx'));

const PALETTE_AFTER_MS = 2_000;
const GO_WITHIN_MS = 1_200;
/** How often it is asked whether one was told anything. */
const LOOK_AGAIN_MS = 60_000;

/** `g` and then the letter of a page: for whoever has the hands on the keys. */
function useGoKeys(): void {
  const navigate = useNavigate();
  const may = useMay();
  const { menu } = usePlace();
  useEffect(() => {
    let goAt = Number.NEGATIVE_INFINITY;
    const onKey = (event: KeyboardEvent) => {
      const { target } = event;
      const isTyping =
        target instanceof HTMLElement &&
        (target.isContentEditable || target.closest('input, textarea, select') !== null);
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === 'g') {
        goAt = event.timeStamp;
        return;
      }
      if (event.timeStamp - goAt > GO_WITHIN_MS) return;
      goAt = Number.NEGATIVE_INFINITY;
      const page = menu.flatMap(({ pages }) => pages).find(({ key }) => key === event.key);
      if (page === undefined || (page.permission !== undefined && !may(page.permission))) return;
      event.preventDefault();
      void navigate(page.to);
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, [navigate, may, menu]);
}

export function Frame() {
  const t = useShellWords();
  const { environment } = useSelf();
  const { pathname } = useLocation();
  const [isMenuOpen, menuState] = useDisclosure(false);
  const [isHelpOpen, help] = useDisclosure(false);
  /** How often the palette was asked for; it is loaded at the first time. */
  const [asked, setAsked] = useState(0);
  useEffect(() => {
    // Ready for whoever is about to search, and in nobody's way before.
    const later = setTimeout(() => void loadPalette(), PALETTE_AFTER_MS);
    return () => clearTimeout(later);
  }, []);
  const openPalette = () => setAsked((times) => times + 1);
  useGoKeys();
  useHotkeys([
    ['shift+?', help.open],
    ['/', openPalette],
    ['mod+K', openPalette],
  ]);
  // On a phone the menu is in the way of the page that was chosen.
  useEffect(menuState.close, [pathname]);
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 212, breakpoint: 'sm', collapsed: { mobile: !isMenuOpen } }}
      padding={{ base: 'sm', sm: 'md' }}
      className={environment === 'live' ? 'live' : ''}
    >
      {/* Within the router: some of them lead somewhere. */}
      <Notifications position="bottom-right" />
      <a className="skip" href="#content">
        {t('skip')}
      </a>
      <AppShell.Header>
        <Group h="100%" px="sm" gap="sm" wrap="nowrap" className="bar">
          <Burger
            opened={isMenuOpen}
            onClick={menuState.toggle}
            hiddenFrom="sm"
            size="sm"
            aria-label={t('menu')}
          />
          <Link to="/" className="brand">
            financialapi
          </Link>
          <SearchButton onClick={openPalette} />
          <Group gap={6} ml="auto" wrap="nowrap">
            <InboxLink />
            <EnvironmentSwitch />
            <PersonMenu onHelp={help.open} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label={t('menu')}>
        <ScrollArea>
          <Navigation />
        </ScrollArea>
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        {environment === 'live' && (
          <Alert color="red" variant="filled" p={6} mb="sm" icon={<TriangleAlert size={16} />}>
            {t('live_banner')}
          </Alert>
        )}
        <Outlet />
      </AppShell.Main>
      {asked > 0 && (
        <Suspense>
          <Palette asked={asked} />
        </Suspense>
      )}
      {isHelpOpen && (
        <Suspense>
          <Shortcuts onClose={help.close} />
        </Suspense>
      )}
    </AppShell>
  );
}

function SearchButton({ onClick }: { onClick: () => void }) {
  const t = useShellWords();
  return (
    <>
      <UnstyledButton className="search" onClick={onClick} visibleFrom="sm">
        <Search size={14} aria-hidden />
        <Text span size="sm" c="dimmed">
          {t('search')}
        </Text>
        <Kbd size="xs" ml="auto">
          Ctrl K
        </Kbd>
      </UnstyledButton>
      <ActionIcon variant="subtle" hiddenFrom="sm" aria-label={t('search')} onClick={onClick}>
        <Search size={18} />
      </ActionIcon>
    </>
  );
}

function Navigation() {
  const t = useShellWords();
  const may = useMay();
  const { menu } = usePlace();
  const { pathname } = useLocation();
  /** Whether the menu leads to a page itself, and not only to one above it. */
  const isInMenu = menu.some(({ pages }) => pages.some(({ to }) => to === pathname));
  return (
    <Stack gap="sm">
      {menu.map(({ word, pages }) => {
        const seen = pages.filter(({ permission }) => permission === undefined || may(permission));
        if (seen.length === 0) return null;
        return (
          <div key={word ?? ''}>
            {word !== undefined && (
              <Text size="xs" fw={600} c="dimmed" px="xs" pb={2}>
                {t(word)}
              </Text>
            )}
            {seen.map(({ word: label, to, icon: Icon }) => {
              const isActive =
                to === '/'
                  ? pathname === '/'
                  : pathname === to || (pathname.startsWith(`${to}/`) && !isInMenu);
              return (
                <NavLink
                  key={to}
                  component={Link}
                  to={to}
                  label={t(label)}
                  leftSection={<Icon size={16} strokeWidth={1.8} aria-hidden />}
                  active={isActive}
                  {...(isActive ? { 'aria-current': 'page' as const } : {})}
                  py={5}
                  styles={{ root: { borderRadius: 'var(--mantine-radius-sm)' } }}
                />
              );
            })}
          </div>
        );
      })}
    </Stack>
  );
}

/** Leads to what one was told, and shows whether anything of it was not read. */
function InboxLink() {
  const t = useShellWords();
  const inbox = useQuery({
    queryKey: ['inbox', 'unread'],
    queryFn: () => get('/api/v2/self/inbox', { query: { limit: 1 } }),
    refetchInterval: LOOK_AGAIN_MS,
  });
  const hasUnread = inbox.data?.unread === true;
  return (
    <ActionIcon
      component={Link}
      to="/inbox"
      variant="subtle"
      color="gray"
      aria-label={t(hasUnread ? 'inbox_unread' : 'inbox')}
      {...(hasUnread ? { className: 'unread' } : {})}
    >
      <Bell size={18} />
    </ActionIcon>
  );
}

/** Which environment one acts in; everything on the screen belongs to it. */
function EnvironmentSwitch() {
  const t = useShellWords();
  const { environment, principal } = useSelf();
  const { base } = usePlace();
  const isLive = environment === 'live';
  const change = async (chosen: 'sandbox' | 'live') => {
    const answer = await fetch('/identity/me/environment', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ environment: chosen }),
    });
    // Nothing of the other environment is to be left on the screen.
    if (answer.ok) location.assign(base);
  };
  const badge = (
    <Badge
      size="lg"
      radius="sm"
      miw="max-content"
      variant={isLive ? 'filled' : 'light'}
      color={isLive ? 'red' : 'tide'}
    >
      {t(environment)}
    </Badge>
  );
  // Developers have a sandbox and nothing else; who came here from live is led back to it.
  if (principal.kind !== 'person' || (base === '/portal' && !isLive)) return badge;
  return (
    <Menu>
      <Menu.Target>
        <UnstyledButton aria-label={t(environment)}>{badge}</UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Item onClick={() => void change(isLive ? 'sandbox' : 'live')}>
          {t(isLive ? 'switch_to_sandbox' : 'switch_to_live')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}

function PersonMenu({ onHelp }: { onHelp: () => void }) {
  const t = useShellWords();
  const { principal, tenant } = useSelf();
  const { base } = usePlace();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  const language = useLanguage();
  const signOut = async () => {
    await fetch(principal.kind === 'person' ? '/identity/sign-out' : '/logout', { method: 'POST' });
    location.assign(`/identity/sign-in?next=${base}`);
  };
  return (
    <Menu position="bottom-end" width={240}>
      <Menu.Target>
        <Button variant="subtle" color="gray" px={6}>
          <UserRound size={18} aria-hidden />
          <VisuallyHidden>{t('signed_in_as', { name: principal.name })}</VisuallyHidden>
          <Text span size="sm" ml={6} visibleFrom="md" maw={180} truncate>
            {tenant.name}
          </Text>
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>{t('signed_in_as', { name: principal.name })}</Menu.Label>
        <Menu.Item
          leftSection={scheme === 'dark' ? <Sun size={14} /> : <Moon size={14} />}
          onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}
        >
          {t('theme')}
        </Menu.Item>
        {languageNames.map((name) => (
          <Menu.Item
            key={name}
            leftSection={<Languages size={14} />}
            disabled={name === language}
            onClick={() => void chooseLanguage(name)}
          >
            {languages[name]}
          </Menu.Item>
        ))}
        <Menu.Item onClick={onHelp}>{t('shortcuts')}</Menu.Item>
        <Menu.Item component="a" href="/docs">
          {t('reference')}
        </Menu.Item>
        <Menu.Divider />
        <Menu.Item leftSection={<LogOut size={14} />} onClick={() => void signOut()}>
          {t('sign_out')}
        </Menu.Item>
      </Menu.Dropdown>
    </Menu>
  );
}
