/** What recipients are told about: each topic, by which channels unless they say otherwise, and what its templates may say. */
import { Type } from 'typebox';

export const channels = ['email', 'sms', 'push', 'webhook', 'in_app'] as const;
export const ChannelName = Type.Enum([...channels], { description: 'How it reaches the recipient' });
export type ChannelName = (typeof channels)[number];

interface Variable {
  meaning: string;
  /** What previews show. */
  sample: string | number;
  /** Whether a message may lack it; a template then finds nothing there. */
  optional?: true;
}

export interface Topic {
  /** What it tells of, for whoever chooses. */
  meaning: string;
  /** By which channels it is told to who said nothing about it. */
  channels: readonly ChannelName[];
  /** Nobody can switch it off, put it off to a digest, or be spared it in quiet hours. */
  mandatory?: true;
  /** It does not wait for the end of quiet hours. */
  urgent?: true;
  /** What it says is forgotten once it has left the installation: it lets its reader do something. */
  secret?: true;
  variables: Readonly<Record<string, Variable>>;
}

/** What is told of a limit of requests. */
const crossing: Topic['variables'] = {
  whom: { meaning: 'Whose requests the limit counts', sample: 'key_01h455vb4pex5vsknk084sn02q' },
  limit: { meaning: 'Name of the limit', sample: 'per_minute' },
  per: { meaning: 'What kind of caller that is', sample: 'key' },
  threshold_percent: { meaning: '80 or 100', sample: 80 },
  requests: { meaning: 'Requests that were counted', sample: 480 },
  allowed: { meaning: 'Requests that the window allows', sample: 600 },
  starts_at: { meaning: 'Begin of the window, RFC 3339', sample: '2026-01-31T12:00:00Z' },
  ends_at: { meaning: 'End of the window, RFC 3339', sample: '2026-01-31T12:01:00Z' },
};

const declared = {
  'limits.crossed': {
    meaning: 'Four fifths, or all, of what a limit of requests allows were asked',
    channels: ['email', 'in_app'],
    variables: crossing,
  },
  'limits.reached': {
    meaning: 'All of what a limit of requests allows was asked, for who does not want to know before',
    channels: ['email', 'in_app'],
    variables: crossing,
  },
  'webhooks.disabled': {
    meaning: 'An endpoint gets no webhooks any more',
    channels: ['email', 'in_app'],
    variables: {
      endpoint_id: { meaning: 'Id of the endpoint', sample: 'whe_01h455vb4pex5vsknk084sn02q' },
      url: { meaning: 'Its address', sample: 'https://partner.example/hooks' },
      reason: { meaning: '`gone` or `failing`', sample: 'failing' },
      disabled_at: { meaning: 'When it was disabled, RFC 3339', sample: '2026-01-31T12:00:00Z' },
      failing_since: {
        meaning: 'Since when it had failed, RFC 3339',
        sample: '2026-01-26T12:00:00Z',
        optional: true,
      },
      application_id: {
        meaning: 'The application that it belongs to',
        sample: 'app_01h455vb4pex5vsknk084sn02q',
        optional: true,
      },
    },
  },
  'account.activity': {
    meaning: 'Something happened on an account',
    channels: ['email', 'push', 'in_app'],
    variables: {
      account: { meaning: 'The account, in words that its holder knows', sample: 'Current account ··42' },
      activity: { meaning: 'What happened', sample: 'Payment received' },
      amount: { meaning: 'The amount with its currency', sample: 'BRL 25.00', optional: true },
      occurred_at: { meaning: 'When, RFC 3339', sample: '2026-01-31T12:00:00Z', optional: true },
    },
  },
  security: {
    meaning: 'Something that concerns the security of the recipient’s access, such as a new passkey',
    channels: ['email', 'in_app'],
    mandatory: true,
    urgent: true,
    variables: {
      event: { meaning: 'What happened', sample: 'A new passkey was added' },
      occurred_at: { meaning: 'When, RFC 3339', sample: '2026-01-31T12:00:00Z' },
      detail: { meaning: 'What else is known', sample: 'From São Paulo, Brazil', optional: true },
    },
  },
  'developers.sign_up': {
    meaning: 'A link by which somebody shows that an address is theirs, to join a community of developers',
    channels: ['email'],
    mandatory: true,
    urgent: true,
    secret: true,
    variables: {
      community: { meaning: 'Name of the community', sample: 'Partners' },
      institution: { meaning: 'Who hosts it', sample: 'Banco Exemplo' },
      organisation: { meaning: 'The organisation that is to join', sample: 'Ledgerly' },
      link: { meaning: 'Where to go on', sample: 'https://bank.example/portal/verify#token' },
      expires_at: { meaning: 'Until when it is good, RFC 3339', sample: '2026-02-01T12:00:00Z' },
    },
  },
  'developers.invitation': {
    meaning: 'A link by which somebody whom an institution invited joins a community of developers',
    channels: ['email'],
    mandatory: true,
    urgent: true,
    secret: true,
    variables: {
      community: { meaning: 'Name of the community', sample: 'Partners' },
      institution: { meaning: 'Who hosts it', sample: 'Banco Exemplo' },
      organisation: { meaning: 'The organisation that is to join', sample: 'Ledgerly', optional: true },
      link: { meaning: 'Where to go on', sample: 'https://bank.example/portal/partners/sign-up#token' },
      expires_at: { meaning: 'Until when it is good, RFC 3339', sample: '2026-02-07T12:00:00Z' },
    },
  },
  'developers.decision': {
    meaning: 'What was decided about an organisation of developers, or about its access',
    channels: ['email'],
    mandatory: true,
    variables: {
      community: { meaning: 'Name of the community', sample: 'Partners' },
      institution: { meaning: 'Who hosts it', sample: 'Banco Exemplo' },
      subject: { meaning: 'What it was about', sample: 'Ledgerly: live access for payments' },
      decision: { meaning: '`approved`, `rejected`, `suspended` or `resumed`', sample: 'approved' },
      reason: { meaning: 'Why', sample: 'The contract is signed', optional: true },
      link: { meaning: 'Where to look', sample: 'https://bank.example/portal' },
    },
  },
  announcement: {
    meaning: 'Something that the institution wants to say',
    channels: ['email', 'in_app'],
    variables: {
      title: { meaning: 'In a few words', sample: 'Closed on Friday' },
      message: { meaning: 'What is said', sample: 'We are closed on Friday, and back on Monday.' },
    },
  },
} satisfies Readonly<Record<string, Topic>>;

export type TopicName = keyof typeof declared;

/** Every topic that a message can be about, by name. */
export const topics: ReadonlyMap<string, Topic> = new Map<string, Topic>(Object.entries(declared));

/** What gathers messages that their recipients want once a day. Nobody sends or subscribes to it. */
export const DIGEST = 'digest';
const digest: Topic = {
  meaning: 'What was gathered for a digest',
  channels: [],
  variables: {
    count: { meaning: 'How many messages it holds', sample: 2 },
    items: { meaning: 'The messages: each has `subject` and `text`', sample: '' },
  },
};

/** What `items` of a digest is in previews. */
const sampleItems = [
  { subject: 'Limit per_minute: 80 %', text: '480 of 600 requests were asked.' },
  { subject: 'Closed on Friday', text: 'We are closed on Friday, and back on Monday.' },
];

const names = [...topics.keys()];
export const TopicName = Type.Enum(names, { description: 'What it is about' });
/** A topic that templates can be written for: the digest has some, too. */
export const TemplateTopic = Type.Enum([...names, DIGEST], { description: 'What it is about' });

/** The topic of a name that a schema made sure of. */
export function topicOf(name: string): Topic {
  const topic = name === DIGEST ? digest : topics.get(name);
  if (topic === undefined) throw new Error(`there is no topic ${name}`);
  return topic;
}

/** Data as previews show it. */
export function sampleOf(name: string): Record<string, unknown> {
  const samples = Object.entries(topicOf(name).variables).map(([variable, { sample }]) => [variable, sample]);
  return { ...Object.fromEntries(samples), ...(name === DIGEST ? { items: sampleItems } : {}) };
}
