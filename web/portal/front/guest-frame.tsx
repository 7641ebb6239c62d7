/** The frame around pages for whoever is not signed in. */
import {
  ActionIcon,
  AppShell,
  Burger,
  Button,
  Group,
  Menu,
  NavLink,
  useComputedColorScheme,
  useMantineColorScheme,
} from '@mantine/core';
import { useDisclosure } from '@mantine/hooks';
import { Notifications } from '@mantine/notifications';
import { Languages, Moon, Sun } from 'lucide-react';
import { useEffect } from 'react';
import { Link, Outlet, useLocation } from 'react-router';
import { useShellWords } from '../../ui/shell/shell-words.ts';
import { chooseLanguage, languageNames, languages, useLanguage } from '../../ui/words.ts';
import { useFrontWords } from './front-words.ts';

const links = [
  { to: '/explore', word: 'api_products' },
  { to: '/event-types', word: 'event_types' },
  { to: '/errors', word: 'errors' },
  { to: '/changelog', word: 'changelog' },
  { to: '/status', word: 'service_status' },
] as const;

export function GuestFrame() {
  const t = useFrontWords();
  const words = useShellWords();
  const { pathname, search } = useLocation();
  const [isOpen, menu] = useDisclosure(false);
  useEffect(menu.close, [pathname]);
  const here = `/portal${pathname === '/' ? '' : pathname}${search}`;
  return (
    <AppShell
      header={{ height: 56 }}
      navbar={{ width: 240, breakpoint: 'md', collapsed: { desktop: true, mobile: !isOpen } }}
      padding={{ base: 'sm', sm: 'md' }}
    >
      <Notifications position="bottom-right" />
      <a className="skip" href="#content">
        {words('skip')}
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" gap="lg" wrap="nowrap" maw={1240} mx="auto">
          <Burger
            opened={isOpen}
            onClick={menu.toggle}
            hiddenFrom="md"
            size="sm"
            aria-label={words('menu')}
          />
          <Link to="/" className="brand">
            financialapi
          </Link>
          <Group component="nav" aria-label={words('menu')} gap="md" visibleFrom="md" wrap="nowrap">
            {links.map(({ to, word }) => (
              <Link
                key={to}
                to={to}
                className="top-link"
                {...(pathname.startsWith(to) ? { 'aria-current': 'page' as const } : {})}
              >
                {words(word)}
              </Link>
            ))}
          </Group>
          <Group gap={6} ml="auto" wrap="nowrap">
            <Preferences />
            <Button component="a" href={`/identity/sign-in?next=${encodeURIComponent(here)}`}>
              {t('sign_in')}
            </Button>
          </Group>
        </Group>
      </AppShell.Header>
      {/* Beside the same links above, which only a wide window has room for. */}
      <AppShell.Navbar p="xs" aria-label={words('pages')} display={isOpen ? undefined : 'none'}>
        {links.map(({ to, word }) => (
          <NavLink key={to} component={Link} to={to} label={words(word)} />
        ))}
      </AppShell.Navbar>
      <AppShell.Main id="content" tabIndex={-1}>
        <div className="page">
          <Outlet />
        </div>
      </AppShell.Main>
    </AppShell>
  );
}

function Preferences() {
  const words = useShellWords();
  const language = useLanguage();
  const { setColorScheme } = useMantineColorScheme();
  const scheme = useComputedColorScheme('light');
  return (
    <>
      <Menu position="bottom-end">
        <Menu.Target>
          <ActionIcon variant="subtle" color="gray" aria-label={words('language')}>
            <Languages size={18} />
          </ActionIcon>
        </Menu.Target>
        <Menu.Dropdown>
          {languageNames.map((name) => (
            <Menu.Item key={name} disabled={name === language} onClick={() => void chooseLanguage(name)}>
              {languages[name]}
            </Menu.Item>
          ))}
        </Menu.Dropdown>
      </Menu>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={words('theme')}
        onClick={() => setColorScheme(scheme === 'dark' ? 'light' : 'dark')}
      >
        {scheme === 'dark' ? <Sun size={18} /> : <Moon size={18} />}
      </ActionIcon>
    </>
  );
}
