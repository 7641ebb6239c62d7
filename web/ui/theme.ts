import { Alert, Badge, createTheme, type MantineColorsTuple } from '@mantine/core';

/** A deep, quiet green-blue; work is read against it all day. */
const tide: MantineColorsTuple = [
  '#eef7f8',
  '#dcebed',
  '#b5d6da',
  '#8ac0c7',
  '#67adb6',
  '#509fab',
  '#1f7a87',
  '#14636f',
  '#0d4f59',
  '#063b43',
];

// What is light is darker than the library has it on a light ground, where its own cannot be read (WCAG 2.2, 1.4.3).
const groundOf = (color: string) =>
  `light-dark(var(--mantine-color-${color}-0), var(--mantine-color-${color}-light))`;
const inkOf = (color: string) =>
  `light-dark(color-mix(in srgb, var(--mantine-color-${color}-9), black 25%), var(--mantine-color-${color}-2))`;
/** As the library has it, darker where it is filled: white is written on it (WCAG 2.2, 1.4.3). */
const red: MantineColorsTuple = [
  '#fff5f5',
  '#ffe3e3',
  '#ffc9c9',
  '#ffa8a8',
  '#ff8787',
  '#ff6b6b',
  '#d92b2b',
  '#c92a2a',
  '#b02525',
  '#9b1c1c',
];

export const theme = createTheme({
  primaryColor: 'tide',
  primaryShade: { light: 7, dark: 6 },
  colors: { tide, red },
  autoContrast: true,
  luminanceThreshold: 0.35,
  fontFamily: 'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif',
  fontFamilyMonospace: 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace',
  headings: { fontWeight: '600' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  components: {
    Alert: Alert.extend({
      vars: (_theme, { variant = 'light', color }) =>
        variant === 'light' && color !== undefined
          ? { root: { '--alert-bg': groundOf(color), '--alert-color': inkOf(color) } }
          : { root: {} },
    }),
    Badge: Badge.extend({
      vars: (_theme, { variant, color }) =>
        variant === 'light' && color !== undefined
          ? { root: { '--badge-bg': groundOf(color), '--badge-color': inkOf(color) } }
          : { root: {} },
    }),
    Button: { defaultProps: { size: 'xs' } },
    TextInput: { defaultProps: { size: 'xs' } },
    NumberInput: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs' } },
    Textarea: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    // What is scrolled by a finger or a wheel is scrolled by the keyboard, too (WCAG 2.2, 2.1.1).
    TableScrollContainer: {
      defaultProps: { scrollAreaProps: { viewportProps: { tabIndex: 0 } } },
    },
    Tabs: { defaultProps: { keepMounted: false } },
    Modal: { defaultProps: { centered: true } },
  },
});
