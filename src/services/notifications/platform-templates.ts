/** What is said where an institution has no template of its own, in English and Portuguese. */
import type { Content } from './render.ts';
import { type ChannelName, DIGEST, type TopicName } from './topics.ts';

/** Raised when any of them changes: messages name it. */
export const PLATFORM_NUMBER = 3;

interface Wording {
  subject: string;
  /** Paragraphs; the first alone is what an SMS says. */
  lines: readonly string[];
}

const crossedInEnglish: Wording = {
  subject: 'Limit {{ limit }}: {{ threshold_percent }} % used',
  lines: [
    '{{ whom }} has asked {{ requests }} of the {{ allowed }} requests that the limit {{ limit }} allows from {{ starts_at }} to {{ ends_at }}.',
    '{% if threshold_percent == 100 %}Further requests are refused until then.{% else %}Requests beyond the limit will be refused until then.{% endif %}',
  ],
};

const english: Record<TopicName, Wording> = {
  'limits.crossed': crossedInEnglish,
  'limits.reached': crossedInEnglish,
  'webhooks.disabled': {
    subject: 'Webhooks to {{ url }} are disabled',
    lines: [
      'The endpoint {{ endpoint_id }} at {{ url }} was disabled at {{ disabled_at }}.',
      '{% if reason == "gone" %}It answered that it is gone.{% elsif reason == "application_disabled" %}Its application was disabled.{% else %}It failed{% if failing_since %} since {{ failing_since }}{% endif %}.{% endif %} It gets no events until it is enabled again.',
    ],
  },
  'account.activity': {
    subject: '{{ activity }}: {{ account }}',
    lines: [
      '{{ account }}: {{ activity }}{% if amount %}, {{ amount }}{% endif %}{% if occurred_at %}, at {{ occurred_at }}{% endif %}.',
    ],
  },
  security: {
    subject: 'Security of your access: {{ event }}',
    lines: [
      '{{ event }}, at {{ occurred_at }}.{% if detail %} {{ detail }}.{% endif %}',
      'If this was not you, tell us at once.',
    ],
  },
  'developers.sign_up': {
    subject: '{{ community }}: confirm your address',
    lines: [
      'You, or somebody who gave your address, want {{ organisation }} to join {{ community }} of {{ institution }}. Go on here, until {{ expires_at | date: "%Y-%m-%d %H:%M", "UTC" }} UTC: {{ link }}',
      'If it was not you, do nothing.',
    ],
  },
  'developers.invitation': {
    subject: '{{ institution }} invites you to {{ community }}',
    lines: [
      '{{ institution }} invites you{% if organisation %} and {{ organisation }}{% endif %} to join {{ community }}, where developers build on its API. Go on here, until {{ expires_at | date: "%Y-%m-%d %H:%M", "UTC" }} UTC: {{ link }}',
      'If you do not want to, do nothing.',
    ],
  },
  'developers.decision': {
    subject: '{{ community }}: {{ subject }}',
    lines: [
      '{{ institution }} has {{ decision }} this: {{ subject }}.{% if reason %} {{ reason }}{% endif %}',
      '{{ link }}',
    ],
  },
  announcement: { subject: '{{ title }}', lines: ['{{ message }}'] },
};

const crossedInPortuguese: Wording = {
  subject: 'Limite {{ limit }}: {{ threshold_percent }} % em uso',
  lines: [
    '{{ whom }} fez {{ requests }} das {{ allowed }} requisições que o limite {{ limit }} permite de {{ starts_at }} a {{ ends_at }}.',
    '{% if threshold_percent == 100 %}Outras requisições serão recusadas até lá.{% else %}Requisições acima do limite serão recusadas até lá.{% endif %}',
  ],
};

const portuguese: Record<TopicName, Wording> = {
  'limits.crossed': crossedInPortuguese,
  'limits.reached': crossedInPortuguese,
  'webhooks.disabled': {
    subject: 'Webhooks para {{ url }} foram desativados',
    lines: [
      'O endpoint {{ endpoint_id }} em {{ url }} foi desativado em {{ disabled_at }}.',
      '{% if reason == "gone" %}Ele respondeu que não existe mais.{% elsif reason == "application_disabled" %}Seu aplicativo foi desativado.{% else %}Ele falhou{% if failing_since %} desde {{ failing_since }}{% endif %}.{% endif %} Não receberá eventos até ser reativado.',
    ],
  },
  'account.activity': {
    subject: '{{ activity }}: {{ account }}',
    lines: [
      '{{ account }}: {{ activity }}{% if amount %}, {{ amount }}{% endif %}{% if occurred_at %}, em {{ occurred_at }}{% endif %}.',
    ],
  },
  security: {
    subject: 'Segurança do seu acesso: {{ event }}',
    lines: [
      '{{ event }}, em {{ occurred_at }}.{% if detail %} {{ detail }}.{% endif %}',
      'Se não foi você, avise-nos imediatamente.',
    ],
  },
  'developers.sign_up': {
    subject: '{{ community }}: confirme seu endereço',
    lines: [
      'Você, ou alguém que informou seu endereço, quer que {{ organisation }} participe de {{ community }}, de {{ institution }}. Continue aqui, até {{ expires_at | date: "%d/%m/%Y %H:%M", "UTC" }} UTC: {{ link }}',
      'Se não foi você, não faça nada.',
    ],
  },
  'developers.invitation': {
    subject: '{{ institution }} convida você para {{ community }}',
    lines: [
      '{{ institution }} convida você{% if organisation %} e {{ organisation }}{% endif %} a participar de {{ community }}, onde desenvolvedores constroem sobre a sua API. Continue aqui, até {{ expires_at | date: "%d/%m/%Y %H:%M", "UTC" }} UTC: {{ link }}',
      'Se não quiser, não faça nada.',
    ],
  },
  'developers.decision': {
    subject: '{{ community }}: {{ subject }}',
    lines: [
      '{{ institution }} {% if decision == "approved" %}aprovou{% elsif decision == "rejected" %}recusou{% elsif decision == "suspended" %}suspendeu{% else %}retomou{% endif %}: {{ subject }}.{% if reason %} {{ reason }}{% endif %}',
      '{{ link }}',
    ],
  },
  announcement: { subject: '{{ title }}', lines: ['{{ message }}'] },
};

const digests: Record<string, string> = {
  en: '{{ count }} {% if count == 1 %}notification{% else %}notifications{% endif %}',
  pt: '{{ count }} {% if count == 1 %}notificação{% else %}notificações{% endif %}',
};

const wordings: Readonly<Record<string, Record<TopicName, Wording>>> = { en: english, pt: portuguese };

/** A page of plain HTML that mail programs of any age show: no style sheet, no picture, nothing that is fetched. */
function layout(language: string, heading: string, body: string): string {
  return `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><title>${heading}</title></head>
<body style="margin:0;padding:24px;background:#f4f4f5;font-family:sans-serif;color:#18181b">
<div style="max-width:560px;margin:0 auto;padding:24px;background:#ffffff;border-radius:8px">
<h1 style="margin:0 0 16px;font-size:20px">${heading}</h1>
${body}
</div>
</body>
</html>
`;
}

const paragraph = (line: string) => `<p style="margin:0 0 12px;line-height:1.5">${line}</p>`;

function contentOf(channel: ChannelName, language: string, { subject, lines }: Wording): Content {
  const [first = ''] = lines;
  switch (channel) {
    case 'email':
      return {
        subject,
        text: `${lines.join('\n\n')}\n`,
        html: layout(language, subject, lines.map(paragraph).join('\n')),
      };
    case 'sms':
      return { subject: null, text: first, html: null };
    case 'push':
      return { subject, text: first, html: null };
    default:
      return { subject, text: lines.join('\n\n'), html: null };
  }
}

function digestOf(channel: ChannelName, language: string, subject: string): Content {
  const text =
    '{% for item in items %}{% if item.subject %}{{ item.subject }}\n{% endif %}{{ item.text | strip }}\n\n{% endfor %}';
  const each = `<h2 style="margin:16px 0 8px;font-size:16px">{{ item.subject }}</h2>\n${paragraph('{{ item.text | strip }}')}`;
  if (channel === 'email') {
    const html = layout(language, subject, `{% for item in items %}${each}{% endfor %}`);
    return { subject, text, html };
  }
  if (channel === 'sms') return { subject: null, text: subject, html: null };
  return { subject, text: channel === 'push' ? subject : text, html: null };
}

/** The platform's template; undefined in a language that it does not speak. */
export function findPlatformTemplate(
  topic: string,
  channel: ChannelName,
  language: string,
): Content | undefined {
  if (topic === DIGEST) {
    const subject = digests[language];
    return subject === undefined ? undefined : digestOf(channel, language, subject);
  }
  const wording = Object.entries(wordings[language] ?? {}).find(([name]) => name === topic)?.[1];
  return wording === undefined ? undefined : contentOf(channel, language, wording);
}
