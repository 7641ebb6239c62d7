/** An application of a partner reads accounts with a token of its own. The guide shows this file. */
import * as oauth from 'openid-client';

/** @param issuer e.g. https://bank.example/oauth/ten_…/sandbox */
export async function listAccounts(issuer: URL, client_id: string, client_secret: string) {
  const config = await oauth.discovery(issuer, client_id, {}, oauth.ClientSecretBasic(client_secret), {
    // On your own machine only: everywhere else there is https.
    execute: issuer.hostname === 'localhost' ? [oauth.allowInsecureRequests] : [],
  });
  // Tokens are bound to this key: whoever steals one can do nothing with it.
  const DPoP = oauth.getDPoPHandle(config, await oauth.randomDPoPKeyPair('ES256'));
  const { access_token } = await oauth.clientCredentialsGrant(config, { scope: 'accounts:read' }, { DPoP });
  const accounts = new URL('/api/v2/accounts', issuer);
  const answer = await oauth.fetchProtectedResource(config, access_token, accounts, 'GET', null, undefined, {
    DPoP,
  });
  return answer.json();
}
