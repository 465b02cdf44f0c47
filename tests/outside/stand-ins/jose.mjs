// jose.mjs PACKAGES: signs JWTs by the npm package jose in the folder PACKAGES. Each line of standard input is JSON: `header`, `claims`
// and the private key `jwk`; for each it prints the token.

import { createInterface } from "node:readline";

const { SignJWT, importJWK } = await import(`${process.argv[2]}/node_modules/jose/dist/node/esm/index.js`);

for await (const line of createInterface({ input: process.stdin })) {
  const { header, claims, jwk } = JSON.parse(line);
  console.log(await new SignJWT(claims).setProtectedHeader(header).sign(await importJWK(jwk, header.alg)));
}
