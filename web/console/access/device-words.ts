import { defineWords } from '../../ui/words.ts';

export const useDeviceWords = defineWords('devices', {
  en: {
    expires: 'Expires',
    expires_about: 'At the end of that day; never if empty.',
    key_is_none: 'Not a public key as JSON (JWK) of P-256 or Ed25519.',
    key_is_private: 'This is the private half: it stays in the device. Take its public half.',
    label: 'Name',
    label_about: 'What and where it is, as till 3.',
    permissions: 'Permissions',
    public_key: 'Public key',
    public_key_about: 'As JSON (JWK): P-256 or Ed25519. The private half never leaves the device.',
    register: 'Register a device',
    register_consequence:
      'Whoever has the private half of the key may do what is chosen here, from now on. It can be disabled at any time.',
  },
  pt: {
    expires: 'Expira',
    expires_about: 'No fim desse dia; nunca, se vazio.',
    key_is_none: 'Não é uma chave pública em JSON (JWK) de P-256 ou Ed25519.',
    key_is_private: 'Esta é a metade privada: ela fica no dispositivo. Use a metade pública.',
    label: 'Nome',
    label_about: 'O que é e onde está, como caixa 3.',
    permissions: 'Permissões',
    public_key: 'Chave pública',
    public_key_about: 'Em JSON (JWK): P-256 ou Ed25519. A metade privada nunca sai do dispositivo.',
    register: 'Registrar dispositivo',
    register_consequence:
      'Quem tem a metade privada da chave pode fazer o que se escolhe aqui, desde já. Pode ser desativado a qualquer momento.',
  },
});
