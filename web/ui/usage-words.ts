import { defineWords } from './words.ts';

export const useUsageWords = defineWords('usage', {
  en: {
    calls: 'Calls',
    answered: 'answered',
    client_errors: 'refused (4xx)',
    server_errors: 'failed (5xx)',
    errors: 'Errors',
    error_rate: 'Share of errors',
    latency: 'How long answers take',
    half: 'half of them',
    most: '99 of 100',
    no_calls: 'No calls in this time',
    left_out: 'and {{count}} more with fewer calls',
  },
  pt: {
    calls: 'Chamadas',
    answered: 'respondidas',
    client_errors: 'recusadas (4xx)',
    server_errors: 'com falha (5xx)',
    errors: 'Erros',
    error_rate: 'Proporção de erros',
    latency: 'Quanto demoram as respostas',
    half: 'metade delas',
    most: '99 de 100',
    no_calls: 'Nenhuma chamada neste período',
    left_out: 'e mais {{count}} com menos chamadas',
  },
});
