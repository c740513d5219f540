// An authorization server for client credentials (RFC 6749, 4.4), with introspection and revocation: oidc-provider.
//
// The argument is the clients, as OpenID Connect's registration has them. What is printed says where it listens, and which
// client got a token.

import { createServer } from "node:http";
import Provider from "oidc-provider";

const clients = JSON.parse(process.argv.at(-1)).map((client) => ({
  grant_types: ["client_credentials"],
  redirect_uris: [],
  response_types: [],
  scope: "events",
  ...client,
}));

const server = createServer().listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    clients,
    scopes: ["events", "secrets"],
    ttl: { ClientCredentials: 3600 },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      introspection: { enabled: true },
      revocation: { enabled: true },
    },
  });
  provider.on("client_credentials.saved", (token) => console.log(`issued to ${token.clientId}`));
  server.on("request", provider.callback());
  console.log(`listening on ${issuer}`);
});
