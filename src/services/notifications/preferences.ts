/** By which channels a recipient wants to be told of which topic, and when not to be disturbed. */
import { type Static, Type } from 'typebox';
import { refuse } from './errors.ts';
import { type ChannelName, channels, DIGEST, topicOf, topics } from './topics.ts';

export const Setting = Type.Enum(['on', 'off', 'digest'], {
  description: '`digest`: once a day, together with others',
});
export type Setting = Static<typeof Setting>;

const BySetting = Type.Object(
  Object.fromEntries(channels.map((channel) => [channel, Type.Optional(Setting)])),
  { additionalProperties: false, description: 'By channel' },
);

export const Preferences = Type.Object(
  Object.fromEntries([...topics.keys()].map((topic) => [topic, Type.Optional(BySetting)])),
  {
    additionalProperties: false,
    description: 'By topic and channel; what is not named is as the topic says',
    examples: [{ 'limits.crossed': { email: 'digest' } }],
  },
);
/** As they are kept: a topic that there is no longer may stand in them. */
export const KeptPreferences = Type.Record(Type.String(), Type.Record(Type.String(), Setting));
/** What a recipient chose, by topic and channel. */
type Chosen = Readonly<Record<string, Readonly<Record<string, Setting | undefined>> | undefined>>;

/** Refuses to switch off what is mandatory. */
export function assertPreferences(preferences: Chosen): void {
  for (const [topic, bySetting] of Object.entries(preferences)) {
    if (topicOf(topic).mandatory !== true) continue;
    for (const [channel, setting] of Object.entries(bySetting ?? {})) {
      if (setting === 'on') continue;
      throw refuse(
        'topic_mandatory',
        `The topic ${topic} is mandatory: it cannot be ${setting} by ${channel}.`,
      );
    }
  }
}

/** How a recipient is told of a topic by a channel that was chosen for a message. */
export function settingOf(preferences: Chosen, topic: string, channel: ChannelName): Setting {
  if (topic === DIGEST || topicOf(topic).mandatory === true) return 'on';
  return preferences[topic]?.[channel] ?? 'on';
}

/** The channels of a message that names none: those of the topic, and those that the recipient chose beside them. */
export function channelsOf(preferences: Chosen, topic: string): ChannelName[] {
  const chosen = preferences[topic] ?? {};
  const usual = topicOf(topic).channels;
  return channels.filter(
    (channel) => usual.includes(channel) || ['on', 'digest'].includes(chosen[channel] ?? ''),
  );
}

const Effective = Type.Object({
  topic: Type.String(),
  channel: Type.String(),
  setting: Setting,
  because: Type.Enum(['mandatory', 'recipient', 'topic'], {
    description: 'Whether it must be so, the recipient chose it, or it is what the topic says',
  }),
});
export const EffectivePreferences = Type.Object({ data: Type.Array(Effective) });

/** How each topic reaches a recipient by each channel. */
export function effectivePreferences(preferences: Chosen): Static<typeof EffectivePreferences> {
  const data = [...topics].flatMap(([topic, { mandatory, channels: usual }]) =>
    channels.map((channel): Static<typeof Effective> => {
      const of = { topic, channel };
      if (mandatory === true && usual.includes(channel))
        return { ...of, setting: 'on', because: 'mandatory' };
      const chosen = preferences[topic]?.[channel];
      if (chosen !== undefined) return { ...of, setting: chosen, because: 'recipient' };
      return { ...of, setting: usual.includes(channel) ? 'on' : 'off', because: 'topic' };
    }),
  );
  return { data };
}
