/** Everything the service notifications refuses. */
import { defineProblems } from '../../platform/problem.ts';

export const refuse = defineProblems({
  recipient_not_found: {
    status: 404,
    title: 'No such recipient',
    meaning: 'The tenant has no recipient with this id in this environment.',
  },
  recipient_exists: {
    status: 409,
    title: 'There is a recipient with this reference',
    meaning: 'A reference names one recipient of an environment. Find that one, or use another reference.',
  },
  recipient_not_sound: {
    status: 422,
    title: 'The recipient cannot be so',
    meaning:
      'What was given does not fit together: the time zone must be one of the IANA database, and quiet hours have a begin and another end, or neither. The detail says which.',
  },
  topic_mandatory: {
    status: 422,
    title: 'The topic cannot be switched off',
    meaning:
      'What concerns the security of somebody’s access is told at once, by every channel that the topic names. It can neither be switched off nor wait for a digest.',
  },
  data_not_sound: {
    status: 422,
    title: 'The data do not fit the topic',
    meaning:
      'A topic declares the variables that its templates may name. A message gives all of them but those that are optional, and no others. `errors` names each place.',
  },
  template_not_found: {
    status: 404,
    title: 'No such template',
    meaning: 'The tenant has no template with this id in this environment.',
  },
  template_published: {
    status: 409,
    title: 'The template is published',
    meaning:
      'Messages name the version that made them, so that a published one stays as it is. Create another draft and publish that.',
  },
  template_not_sound: {
    status: 422,
    title: 'The template cannot be used',
    meaning:
      'It is not Liquid, names a variable or a filter that there is none of, lacks the subject that its channel needs, or takes too long. `errors` names each place, with line and column.',
  },
  message_not_found: {
    status: 404,
    title: 'No such message',
    meaning: 'The tenant has no message with this id in this environment.',
  },
  message_not_in_inbox: {
    status: 409,
    title: 'The message is not in an inbox',
    meaning: 'Messages of the channel `in_app` can be read here, once they were sent.',
  },
});
