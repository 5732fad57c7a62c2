// Which call the API gets for an event: the table that the peers in Python read too.
import calls from "../calls.json";

const value = (key, paths, object) => {
  for (const path of paths.split(" ")) {
    const found = path.split(".").reduce((parent, step) => parent?.[step], object);
    // An id may be the expanded object.
    if (found !== undefined && found !== null) return typeof found === "object" && key !== "metadata" ? found.id : found;
  }
  return null;
};

const bodyOf = (template, object) =>
  Object.fromEntries(
    Object.entries(template).map(([key, paths]) => [
      key,
      typeof paths === "object" ? bodyOf(paths, object) : value(key, paths, object),
    ]),
  );

const callOf = (event) => {
  const { object } = event.data;
  const name = event.type === "checkout.session.completed" ? `${event.type}/${object.mode}` : event.type;
  const call = calls[name];
  return call && { path: call.path, body: bodyOf(call.body, object) };
};

/** Call the API for an event; return false if its type needs no call. */
export const send = async (event, apiKey) => {
  const call = callOf(event);
  if (!call) return false;
  const response = await fetch(process.env.HUNTAZE_API_URL + call.path, {
    method: "POST",
    headers: {
      Authorization: `Bearer ${apiKey}`,
      "Content-Type": "application/json",
      "User-Agent": "huntaze-stripe-eventbridge/peer",
      "Idempotency-Key": event.id,
      "X-Stripe-Event-Type": event.type,
      "X-Stripe-Event-Created": String(event.created),
      "X-Stripe-Api-Version": event.api_version,
    },
    body: JSON.stringify(call.body),
    signal: AbortSignal.timeout(10_000),
  });
  await response.arrayBuffer();
  if (!response.ok && response.status !== 409) throw new Error(`the API answered ${response.status}`);
  console.log(JSON.stringify({ message: "event applied", event_id: event.id, type: event.type }));
  return true;
};
