/** Messages posted to an address of the recipient's, signed as Standard Webhooks 1.0 say. */
import type { Outgoing } from '../../platform/outgoing.ts';
import type { EncryptedColumn } from '../../platform/reencryption.ts';
import type { Secrets } from '../../platform/secret.ts';
import { signatureOf } from '../../platform/webhook-signature.ts';
import { outcomeOfFailure, outcomeOfStatus } from './http-provider.ts';
import type { Outcome, Provider } from './provider.ts';

const GONE = 410;

/** What the secret of a recipient is encrypted in. */
export function webhookSecretContext(
  { tenant_id, environment }: { tenant_id: string; environment: string },
  recipient_id: string,
): string {
  return `notifications webhook ${tenant_id} ${environment} ${recipient_id}`;
}

/** What the service keeps encrypted, for when the key rotates. */
export const encryptedColumns: readonly EncryptedColumn[] = [
  {
    table: 'notifications.webhook_secrets',
    column: 'secret',
    of: 'environment',
    key: { column: 'recipient_id', type: 'uuid' },
    context: webhookSecretContext,
  },
];

export function webhookSender({ outgoing, secrets }: { outgoing: Outgoing; secrets: Secrets }): Provider {
  return async (dispatch, signal) => {
    const { id, recipient_id, address, topic, language, content, data, created_at, webhook_secret } =
      dispatch;
    if (webhook_secret === null) {
      const detail = 'Nothing is posted without a signature: make a secret for the recipient first.';
      return { kind: 'refused', reason: 'no_webhook_secret', detail };
    }
    const secret = secrets.decrypt(webhook_secret, webhookSecretContext(dispatch, recipient_id));
    const timestamp = Math.floor(Date.now() / 1_000);
    const body = JSON.stringify({
      type: `notification.${topic}`,
      timestamp: created_at,
      data: { id, topic, language, subject: content.subject, text: content.text, data },
    });
    try {
      const { status } = await outgoing.guardedFetch(address, {
        method: 'POST',
        signal,
        headers: {
          'content-type': 'application/json',
          'webhook-id': id,
          'webhook-timestamp': String(timestamp),
          'webhook-signature': signatureOf([{ scheme: 'hmac', secret }], { id, timestamp, body }),
        },
        body,
      });
      return judged(status);
    } catch (error) {
      return outcomeOfFailure(error, 'The address of the recipient');
    }
  };
}

/** What is not taken is posted again, whatever the answer was, but for an address that says that it is gone. */
function judged(status: number): Outcome {
  const outcome = outcomeOfStatus(status, 'The address of the recipient');
  if (outcome.kind === 'sent') return { ...outcome, by: 'webhook' };
  return status === GONE || outcome.kind === 'again'
    ? outcome
    : { ...outcome, kind: 'again', reason: 'provider_failed' };
}
