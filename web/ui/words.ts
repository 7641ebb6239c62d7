/** The words of the screens, in each language. Each part of them brings its own, so that nobody loads those of others. */
import i18next from 'i18next';
import { initReactI18next, useTranslation } from 'react-i18next';

export const languages = { en: 'English', pt: 'Português' } as const;
export type Language = keyof typeof languages;
export const languageNames: readonly Language[] = ['en', 'pt'];

const STORED_AS = 'financialapi.language';

function isLanguage(text: string | null): text is Language {
  return text !== null && text in languages;
}

function firstLanguage(): Language {
  const stored = localStorage.getItem(STORED_AS);
  if (isLanguage(stored)) return stored;
  const wanted = navigator.languages.map((tag) => tag.slice(0, 2)).find(isLanguage);
  return wanted ?? 'en';
}

function noteLanguage(language: string): void {
  document.documentElement.lang = language === 'pt' ? 'pt-BR' : language;
}

/** To be called once, before anything is rendered. */
export async function openLanguage(): Promise<void> {
  await i18next.use(initReactI18next).init({
    lng: firstLanguage(),
    fallbackLng: 'en',
    resources: {},
    // React escapes what it renders.
    interpolation: { escapeValue: false },
  });
  noteLanguage(i18next.language);
}

export async function chooseLanguage(language: Language): Promise<void> {
  localStorage.setItem(STORED_AS, language);
  await i18next.changeLanguage(language);
  noteLanguage(language);
}

export function useLanguage(): Language {
  const { language } = useTranslation().i18n;
  return isLanguage(language) ? language : 'en';
}

/** Numbers, money and dates are written as in this place. */
export function useLocale(): string {
  return useLanguage() === 'pt'
    ? 'pt-BR'
    : navigator.language.startsWith('en')
      ? navigator.language
      : 'en-GB';
}

/**
 * Words under a name of their own, and the hook by which a component says them. Portuguese has all that English has, or
 * it does not compile.
 */
export function defineWords<Key extends string>(
  name: string,
  words: { en: Record<Key, string>; pt: Record<Key, string> },
): () => (key: Key, values?: Readonly<Record<string, string | number>>) => string {
  i18next.on('initialized', () => add());
  const add = () => {
    i18next.addResourceBundle('en', name, words.en);
    i18next.addResourceBundle('pt', name, words.pt);
  };
  if (i18next.isInitialized) add();
  return () => {
    const { i18n } = useTranslation(name);
    return (key, values) => i18n.t(`${name}:${key}`, { ...values, defaultValue: key });
  };
}
