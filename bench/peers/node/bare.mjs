// The peer in Node.js: fetch, AWS SDK v3, and an idempotency record written by hand. It has no effects and no order.
import {
  ConditionalCheckFailedException,
  DeleteItemCommand,
  DynamoDBClient,
  PutItemCommand,
  UpdateItemCommand,
} from "@aws-sdk/client-dynamodb";
import { send } from "./calls.mjs";
import { apiKey } from "./secret.mjs";

const TableName = process.env.IDEMPOTENCY_TABLE;
const expirySeconds = Number(process.env.IDEMPOTENCY_EXPIRY_SECONDS);
const dynamodb = new DynamoDBClient({});

/** Write the record of an event that begins; return false if the event is done. */
const begin = async (id, until) => {
  const now = Math.floor(Date.now() / 1000);
  try {
    await dynamodb.send(
      new PutItemCommand({
        TableName,
        Item: {
          id: { S: id },
          status: { S: "INPROGRESS" },
          until: { N: String(until) },
          expiration: { N: String(now + expirySeconds) },
        },
        ConditionExpression:
          "attribute_not_exists(id) OR expiration < :now OR (#status = :in_progress AND #until < :now_ms)",
        ExpressionAttributeNames: { "#status": "status", "#until": "until" },
        ExpressionAttributeValues: {
          ":now": { N: String(now) },
          ":now_ms": { N: String(now * 1000) },
          ":in_progress": { S: "INPROGRESS" },
        },
        ReturnValuesOnConditionCheckFailure: "ALL_OLD",
      }),
    );
  } catch (error) {
    if (!(error instanceof ConditionalCheckFailedException)) throw error;
    if (error.Item?.status.S !== "COMPLETED") throw new Error("another invocation is applying this event");
    return false;
  }
  return true;
};

export const handler = async (envelope, context) => {
  const event = envelope.detail;
  const Key = { id: { S: event.id } };
  if (!(await begin(event.id, Date.now() + context.getRemainingTimeInMillis()))) return { outcome: "duplicate" };
  let applied;
  try {
    applied = await send(event, await apiKey());
  } catch (error) {
    await dynamodb.send(new DeleteItemCommand({ TableName, Key }));
    throw error;
  }
  await dynamodb.send(
    new UpdateItemCommand({
      TableName,
      Key,
      UpdateExpression: "SET #status = :status",
      ExpressionAttributeNames: { "#status": "status" },
      ExpressionAttributeValues: { ":status": { S: "COMPLETED" } },
    }),
  );
  return { outcome: applied ? "applied" : "recorded" };
};
