import { defineWords } from '../../ui/words.ts';

export const usePortalSandboxWords = defineWords('portal-sandbox', {
  en: {
    payment: 'Simulate a payment that comes in',
    payment_about:
      'Money arrives from outside at an account of yours, as a transfer from the reserves. Events and webhooks tell of it as of any other.',
    payment_verb: 'Let it arrive',
    to_account: 'To which account',
    amount: 'Amount',
    description: 'Description',
    example_description: 'Payment from a customer',
    no_reserves: 'There is no account without a limit in {{currency}} that it could come from.',
    accounts: 'Accounts in your sandbox',
    no_accounts: 'There are none yet.',
    q: 'Name contains',
    name: 'Name',
    id: 'Id',
    type: 'Type',
    available: 'Available',
    status: 'Status',
  },
  pt: {
    payment: 'Simular um pagamento que chega',
    payment_about:
      'Dinheiro chega de fora a uma conta sua, como uma transferência das reservas. Eventos e webhooks contam isso como de qualquer outra.',
    payment_verb: 'Deixar chegar',
    to_account: 'Para qual conta',
    amount: 'Valor',
    description: 'Descrição',
    example_description: 'Pagamento de um cliente',
    no_reserves: 'Não há conta sem limite em {{currency}} de onde ele possa vir.',
    accounts: 'Contas no seu sandbox',
    no_accounts: 'Ainda não há nenhuma.',
    q: 'Nome contém',
    name: 'Nome',
    id: 'Id',
    type: 'Tipo',
    available: 'Disponível',
    status: 'Status',
  },
});
