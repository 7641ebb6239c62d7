/** The whole platform in one list. */
import type { Service } from './platform/service.ts';
import { identity } from './services/identity/service.ts';
import { ledger } from './services/ledger/service.ts';
import { notifications } from './services/notifications/service.ts';
import { webhooks } from './services/webhooks/service.ts';

export const services: readonly Service[] = [identity, ledger, webhooks, notifications];
