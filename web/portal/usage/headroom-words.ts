import { defineWords } from '../../ui/words.ts';

export const useHeadroomWords = defineWords('portal-usage', {
  en: {
    headroom: 'What a key may still ask',
    key: 'Key',
    no_keys: 'You have no key yet.',
  },
  pt: {
    headroom: 'O que uma chave ainda pode pedir',
    key: 'Chave',
    no_keys: 'Você ainda não tem chave.',
  },
});
