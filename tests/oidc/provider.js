// A real OpenID provider for the tests: the npm package oidc-provider, on a free port of this machine. It prints its
// address and serves until its stdin ends.
//
// LONGSHORE_OIDC_MODULES: the folder with node_modules. LONGSHORE_OIDC_REDIRECTS: where it may send browsers back to, with
// commas between them. Whoever signs in is who the query of POST /as names; their groups are told in GROUPS.

import { createServer } from 'node:http';
import { pathToFileURL } from 'node:url';

const GROUPS = { ann: ['platform'], bob: ['staff', 'others'], eve: ['strangers'], nil: undefined };
const CLIENT = { id: 'longshore', secret: 'a-secret-of-the-client-that-no-log-may-show' };

const modules = process.env.LONGSHORE_OIDC_MODULES;
const { Provider } = await import(pathToFileURL(`${modules}/node_modules/oidc-provider/lib/index.js`));

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
let account = 'ann';

const provider = new Provider(issuer, {
  clients: [{
    client_id: CLIENT.id,
    client_secret: CLIENT.secret,
    redirect_uris: process.env.LONGSHORE_OIDC_REDIRECTS.split(','),
    response_types: ['code'],
    grant_types: ['authorization_code'],
  }],
  cookies: { keys: ['of no use elsewhere'] },
  pkce: { required: () => true },
  claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
  features: { devInteractions: { enabled: false } },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, email: `${id}@example.com`, email_verified: true, name: id, groups: GROUPS[id] }),
  }),
  // Nobody is asked what they consent to.
  loadExistingGrant: async (ctx) => {
    const grant = new ctx.oidc.provider.Grant({
      clientId: ctx.oidc.client.clientId,
      accountId: ctx.oidc.session.accountId,
    });
    grant.addOIDCScope('openid email profile groups');
    await grant.save();
    return grant;
  },
});

const answer = provider.callback();
server.on('request', async (request, response) => {
  const url = new URL(request.url, issuer);
  if (request.method === 'POST' && url.pathname === '/as') {
    account = url.searchParams.get('account');
    response.end();
  } else if (url.pathname.startsWith('/interaction/')) {
    // The password was right.
    await provider.interactionFinished(request, response, { login: { accountId: account } });
  } else {
    answer(request, response);
  }
});
console.log(issuer);
process.stdin.resume().on('end', () => process.exit(0));
