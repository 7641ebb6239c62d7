import { defineWords } from '../../ui/words.ts';

export const useFrontWords = defineWords('portal-front', {
  en: {
    developers: 'Developers',
    sign_in: 'Sign in',
    lead: 'Accounts, transfers and holds on books that balance, by an API that tells what happened and why.',
    look_around: 'Look at the APIs',
    communities: 'Communities',
    communities_about: 'A community belongs to an institution. Join the one whose customers you build for.',
    no_communities: 'No institution has opened a community here yet. You can look at the APIs meanwhile.',
  },
  pt: {
    developers: 'Desenvolvedores',
    sign_in: 'Entrar',
    lead: 'Contas, transferências e bloqueios em livros que fecham, por uma API que conta o que houve e por quê.',
    look_around: 'Ver as APIs',
    communities: 'Comunidades',
    communities_about:
      'Uma comunidade pertence a uma instituição. Participe da instituição para cujos clientes você constrói.',
    no_communities:
      'Nenhuma instituição abriu uma comunidade aqui ainda. Enquanto isso, você pode ver as APIs.',
  },
});
