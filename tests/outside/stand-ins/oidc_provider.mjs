// oidc_provider.mjs PACKAGES PORT: an OpenID provider on loopback, by the npm package oidc-provider in the folder PACKAGES.
//
// Each line of standard input is JSON, and replaces the provider by one with these private `keys` (JWKs; the first that fits signs), the
// signature algorithm `alg`, the `users` (claims by sub), the `clients` and their `redirect_uri`. After each line it prints its issuer and
// how often its keys were requested. PORT 0 takes a free port. It ends with its standard input.

import { once } from "node:events";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

const [packages, port] = process.argv.slice(2);
// Notices about its development mode: its own pages sign users in with any password.
console.info = console.warn = () => {};
const { default: Provider } = await import(`${packages}/node_modules/oidc-provider/lib/index.js`);

let answer, keyRequests = 0;
const server = createServer((request, response) => {
  keyRequests += request.url === "/jwks";
  answer(request, response);
});
await once(server.listen(Number(port), "127.0.0.1"), "listening");
const issuer = `http://127.0.0.1:${server.address().port}`;

/** Each client has a resource server, whose access tokens are JWTs with the client's id as their audience. */
function provider({ keys, alg, users, clients, redirect_uri }) {
  const created = new Provider(issuer, {
    jwks: { keys },
    clients: clients.map((client_id) => ({
      client_id, redirect_uris: [redirect_uri], token_endpoint_auth_method: "none", id_token_signed_response_alg: alg,
    })),
    findAccount: (_, sub) => users[sub] && { accountId: sub, claims: () => ({ sub, ...users[sub] }) },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"], app: ["app"] },
    // ID tokens contain the claims of the scopes, as those of most providers do.
    conformIdTokenClaims: false,
    extraTokenClaims: (_, { accountId }) => ({ "https://shop.example.com/id": users[accountId].app?.player_id }),
    enabledJWA: { idTokenSigningAlgValues: ["RS256", "PS256", "ES256", "EdDSA"] },
    features: {
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          audience: new URL(resource).hostname, scope: "support", accessTokenFormat: "jwt", jwt: { sign: { alg } },
        }),
      },
    },
    ttl: { AccessToken: 3600, AuthorizationCode: 60, Grant: 3600, IdToken: 3600, Interaction: 3600, Session: 3600 },
    cookies: { keys: ["signs only the cookies of these tests"] },
  });
  created.on("server_error", (_, error) => console.error(error));
  return created.callback();
}

for await (const line of createInterface({ input: process.stdin })) {
  answer = provider(JSON.parse(line));
  console.log(JSON.stringify({ issuer, key_requests: keyRequests }));
}
process.exit();
