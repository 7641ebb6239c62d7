/** What carries a message out of the installation, and what came of it. */
import type { Content } from './render.ts';

/** A message as it is handed over. */
export interface Dispatch {
  /** Public id, the same at every attempt: who receives it twice can tell. */
  id: string;
  /** UUID and name of the recipient. */
  recipient_id: string;
  recipient_name: string;
  address: string;
  topic: string;
  language: string;
  content: Content;
  data: Readonly<Record<string, unknown>>;
  created_at: string;
  /** Ciphertext of what signs webhooks to the recipient, if there is one. */
  webhook_secret: string | null;
  tenant_id: string;
  environment: string;
}

export type Outcome =
  | { kind: 'sent'; by: string; detail: string; provider_id?: string }
  /** To try again would come to the same. */
  | { kind: 'refused'; reason: string; detail: string }
  | { kind: 'again'; reason: string; detail: string };

export type Provider = (dispatch: Dispatch, signal: AbortSignal) => Promise<Outcome>;
