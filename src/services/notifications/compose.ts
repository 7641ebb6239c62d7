/**
 * Making messages: one for each channel, of which it is decided here whether it is sent, when, and why. What is written
 * is of the transaction that it is asked in, so that a message is there if and only if what it tells of is.
 */
import { type Static, Type } from 'typebox';
import type { Scope, Transaction } from '../../platform/db.ts';
import { newUuid, uuidOf } from '../../platform/ids.ts';
import { completed } from './data.ts';
import { channelsOf, settingOf } from './preferences.ts';
import { findAddress, type Recipient, recipientNotFound } from './recipients.ts';
import { type Content, render, TemplateError } from './render.ts';
import { addStep, type Step } from './steps.ts';
import { chooseTemplate } from './templates.ts';
import { type ChannelName, topicOf } from './topics.ts';

export interface Notice {
  recipient: Recipient;
  topic: string;
  data: Readonly<Record<string, unknown>>;
  /** Absent: those of the topic, and those that the recipient chose beside them. */
  channels?: readonly ChannelName[];
  /** What it tells of, as an event's id: of one cause a recipient has one message by each channel. */
  cause: string;
  /** Public id of whoever asked for it. */
  created_by: string;
}

const Times = Type.Object({
  now: Type.String(),
  quiet_until: Type.Union([Type.String(), Type.Null()]),
  digest_at: Type.String(),
});

/** What time it is for a recipient, who is not removed before the commit: a message is made for nobody who is gone. */
async function timesOf(tx: Transaction, scope: Scope, recipient: Recipient): Promise<Static<typeof Times>> {
  const { id, time_zone, quiet_hours, digest_at } = recipient;
  const [times] = await tx.rows(
    Times,
    `select t.now, notifications.quiet_until(t.now, $3, $4::time, $5::time) as quiet_until,
       notifications.next_time(t.now, $3, $6::time) as digest_at
     from notifications.recipients r cross join (select platform.now_of($1, $2) as now) t
     where r.tenant_id = $1 and r.environment = $2 and r.id = $7 for key share of r`,
    [
      scope.tenant_id,
      scope.environment,
      time_zone,
      quiet_hours?.from ?? null,
      quiet_hours?.to ?? null,
      digest_at,
      uuidOf('rcp', id),
    ],
  );
  if (times === undefined) throw recipientNotFound(scope, id);
  return times;
}

/** When a message is due, and why it stands as it does. */
interface Decision extends Step {
  due_at: string;
  digest?: true;
}

/** Why a recipient is not to be sent a topic by a channel, whatever the time is; undefined where it may be sent. */
export function refusalOf(recipient: Recipient, topic: string, channel: ChannelName): Step | undefined {
  const suppressed = (reason: string, detail: string): Step => ({ state: 'suppressed', reason, detail });
  if (recipient.status === 'disabled') return suppressed('recipient_disabled', 'The recipient is disabled.');
  if (settingOf(recipient.preferences, topic, channel) === 'off') {
    return suppressed('switched_off', `The recipient switched the topic ${topic} off by ${channel}.`);
  }
  if (findAddress(recipient, channel) === undefined) {
    return suppressed('no_address', `The recipient has no address for ${channel}.`);
  }
  return undefined;
}

function decide(
  { recipient, topic }: Notice,
  channel: ChannelName,
  { now, quiet_until, digest_at }: Static<typeof Times>,
): Decision {
  const refusal = refusalOf(recipient, topic, channel);
  if (refusal !== undefined) return { ...refusal, due_at: now };
  const { mandatory, urgent } = topicOf(topic);
  if (settingOf(recipient.preferences, topic, channel) === 'digest') {
    const detail = `The recipient wants the topic ${topic} by ${channel} in a digest, at ${digest_at}.`;
    return { state: 'waiting', reason: 'digest', detail, due_at: digest_at, digest: true };
  }
  if (quiet_until !== null && mandatory !== true && urgent !== true) {
    const detail = `It waits for the end of the recipient's quiet hours, at ${quiet_until}.`;
    return { state: 'waiting', reason: 'quiet_hours', detail, due_at: quiet_until };
  }
  return { state: 'waiting', reason: 'due', detail: 'It is to be sent at once.', due_at: now };
}

/**
 * Makes the messages of a notice and returns their UUIDs. Of a cause that the recipient was told of already none is made.
 * A template that fails with these data makes a message that has failed, which says so.
 */
export async function compose(tx: Transaction, scope: Scope, notice: Notice): Promise<string[]> {
  const { recipient, topic, data, cause, created_by } = notice;
  const times = await timesOf(tx, scope, recipient);
  const made: string[] = [];
  for (const channel of notice.channels ?? channelsOf(recipient.preferences, topic)) {
    const template = await chooseTemplate(tx, scope, topic, channel, recipient.language);
    let decision = decide(notice, channel, times);
    let content: Content | undefined;
    try {
      content = render(template.content, completed(topic, data));
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      decision = { state: 'failed', reason: 'template_failed', detail: error.message, due_at: times.now };
    }
    const id = newUuid();
    const isSettled = decision.state !== 'waiting';
    const created = await tx.run(
      `insert into notifications.messages (tenant_id, environment, id, recipient_id, topic, channel, cause, state, urgent,
         data, template_id, template_number, language, subject, text, html, due_at, digest, created_at, created_by,
         settled_at)
       values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
       on conflict on constraint messages_once do nothing`,
      [
        scope.tenant_id,
        scope.environment,
        id,
        uuidOf('rcp', recipient.id),
        topic,
        channel,
        cause,
        decision.state,
        topicOf(topic).urgent === true,
        JSON.stringify(data),
        template.id,
        template.number,
        template.language,
        content?.subject ?? null,
        content?.text ?? null,
        content?.html ?? null,
        decision.due_at,
        decision.digest === true,
        times.now,
        created_by,
        isSettled ? times.now : null,
      ],
    );
    if (created === 0) continue;
    await addStep(tx, scope, id, decision);
    made.push(id);
  }
  return made;
}
