import { GetSecretValueCommand, SecretsManagerClient } from "@aws-sdk/client-secrets-manager";

const client = new SecretsManagerClient({});
// Read while the module loads, as the peers in Python do.
const key = client
  .send(new GetSecretValueCommand({ SecretId: process.env.SECRET_IDS }))
  .then((answer) => JSON.parse(answer.SecretString).HUNTAZE_API_KEY);

/** Return the API's key. */
export const apiKey = () => key;
