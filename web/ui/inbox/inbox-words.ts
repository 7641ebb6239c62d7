import { defineWords } from '../words.ts';

export const useInboxWords = defineWords('inbox', {
  en: {
    about: 'What you were told here: of limits, of webhooks that fail, and of what you chose to hear of.',
    acts: 'Read',
    forgotten: 'What it said was forgotten after its time.',
    id: 'Id',
    inbox: 'Inbox',
    mark_read: 'Mark as read',
    message: 'Message',
    nothing: 'You were told nothing yet.',
    sent: 'Sent',
    show: 'Show',
    topic: 'Topic',
    unread: 'what was not read',
    urgent: 'urgent',
  },
  pt: {
    about: 'O que lhe foi dito aqui: de limites, de webhooks que falham, e do que você escolheu saber.',
    acts: 'Lida',
    forgotten: 'O que dizia foi esquecido após seu prazo.',
    id: 'Id',
    inbox: 'Caixa de entrada',
    mark_read: 'Marcar como lida',
    message: 'Mensagem',
    nothing: 'Nada lhe foi dito ainda.',
    sent: 'Enviada',
    show: 'Mostrar',
    topic: 'Assunto',
    unread: 'as não lidas',
    urgent: 'urgente',
  },
});
