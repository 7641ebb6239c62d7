/** Which way messages of each channel take. */
import { type Config, StartupError } from '../../platform/config.ts';
import type { Outgoing } from '../../platform/outgoing.ts';
import type { Secrets } from '../../platform/secret.ts';
import { emailBySmtp } from './email.ts';
import { httpProvider } from './http-provider.ts';
import { LOCAL_OUTBOX } from './messages.ts';
import type { Provider } from './provider.ts';
import type { ChannelName } from './topics.ts';
import { webhookSender } from './webhook.ts';

/** Says that it is sent and shows it: for where no way out is configured, and for sandboxes that have none. */
function localOutbox(setting: string): Provider {
  return async () => ({
    kind: 'sent',
    by: LOCAL_OUTBOX,
    detail: `It is in the local outbox and has not left the installation: ${setting} is not set.`,
  });
}

const inbox: Provider = async () => ({
  kind: 'sent',
  by: 'inbox',
  detail: 'It is in the inbox of the recipient.',
});

type Settings = Pick<
  Config,
  | 'smtp_url'
  | 'smtp_from'
  | 'sms_provider_url'
  | 'sms_provider_token'
  | 'push_provider_url'
  | 'push_provider_token'
>;

/** Whether mail leaves the installation. */
export const waysOut = ({ smtp_url }: Pick<Settings, 'smtp_url'>): { email: 'sent' | 'kept' } => ({
  email: smtp_url === undefined ? 'kept' : 'sent',
});

/** The way that messages of each channel take, as the settings say. */
export function openProviders(
  config: Settings,
  { outgoing, secrets }: { outgoing: Outgoing; secrets: Secrets },
): Record<ChannelName, Provider> {
  const { smtp_url, smtp_from, sms_provider_url, push_provider_url } = config;
  if (smtp_url !== undefined && smtp_from === undefined) {
    throw new StartupError('SMTP_URL is set and SMTP_FROM is not; set the address that mail is sent from');
  }
  const byHttp = (url: string | undefined, token: string | undefined, setting: string) =>
    url === undefined ? localOutbox(setting) : httpProvider({ url, token, outgoing });
  return {
    email:
      smtp_url === undefined || smtp_from === undefined
        ? localOutbox('SMTP_URL')
        : emailBySmtp({ url: smtp_url, from: smtp_from }),
    sms: byHttp(sms_provider_url, config.sms_provider_token, 'SMS_PROVIDER_URL'),
    push: byHttp(push_provider_url, config.push_provider_token, 'PUSH_PROVIDER_URL'),
    webhook: webhookSender({ outgoing, secrets }),
    in_app: inbox,
  };
}
