// The peer in Node.js with Powertools' idempotency utility. It has no effects and no order.
import { IdempotencyConfig, makeIdempotent } from "@aws-lambda-powertools/idempotency";
import { DynamoDBPersistenceLayer } from "@aws-lambda-powertools/idempotency/dynamodb";
import { send } from "./calls.mjs";
import { apiKey } from "./secret.mjs";

const apply = async (envelope) => ({
  outcome: (await send(envelope.detail, await apiKey())) ? "applied" : "recorded",
});

export const handler = makeIdempotent(apply, {
  persistenceStore: new DynamoDBPersistenceLayer({ tableName: process.env.IDEMPOTENCY_TABLE }),
  config: new IdempotencyConfig({
    eventKeyJmesPath: "detail.id",
    throwOnNoIdempotencyKey: true,
    expiresAfterSeconds: Number(process.env.IDEMPOTENCY_EXPIRY_SECONDS),
  }),
});
