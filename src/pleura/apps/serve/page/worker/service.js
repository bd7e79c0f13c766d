// Requests to the service: films, results and downloads. They run in the worker.

const MAX_TRIES = 20;
const ADDRESS = new URL("../../", import.meta.url); // of the page, also behind a path prefix
let key = "";
const open = new Map(); // the requests under way, by film

export const useKey = (newKey) => { key = newKey; };

/** Whether the service needs its API key. */
export const needsKey = async () => (await fetch(new URL("v1/model", ADDRESS))).status === 401;

export async function example() {
  const response = await fetch(new URL("v1/example.png", ADDRESS));
  if (!response.ok) throw new Error("the example could not be drawn");
  return response.blob();
}

const SEGMENT = "?lungs=all&include=rle&include=mask&include=values&include=row";

/** Segment a film by every definition of the weights; `onProgress` is called with the progress. */
export const segment = ({ id, file, force, flip }, onProgress) =>
  postWithRetries(`${SEGMENT}&force=${force}&flip=${flip}`, file, { id, onProgress, type: "json" });

/** The result of a film in another format, as the command line writes it. */
export async function download({ id, file, force, flip }, { definition, format, provenance }) {
  await checkService(provenance);
  return postWithRetries(`?lungs=${definition}&format=${format}&force=${force}&flip=${flip}`, file, { id: `${id} ${format}`, type: "blob" });
}

/** The result of a film whose masks were edited by hand, in a format of `download`. */
export async function correction({ id, file, force, flip }, { definition, format, editor, rle, provenance }) {
  await checkService(provenance);
  const form = new FormData();
  form.append("film", file, "film");
  form.append("masks", new Blob([JSON.stringify(rle)], { type: "application/json" }), "masks.json");
  const query = new URLSearchParams({ lungs: definition, format, force, flip });
  if (editor) query.set("editor", editor);
  return postWithRetries(`?${query}`, form, { id: `${id} ${format}`, type: "blob", route: "corrections" });
}

/** Throw a problem unless the service still runs the weights and the version that segmented a film: it would save other outlines than are shown. */
async function checkService({ version, weights_sha256: weights }) {
  const response = await fetch(new URL("v1/model", ADDRESS), { headers: authorization() }).catch(() => { throw NO_ANSWER; });
  if (!response.ok) return; // the request itself gives the problem
  const now = await response.json();
  if (now.version !== version || now.weights_sha256 !== weights) throw OTHER_SERVICE;
}

const authorization = () => (key ? { Authorization: `Bearer ${key}` } : {});

/** The measurements of masks. */
export async function measure(masks) {
  const response = await fetch(new URL("v1/measurements", ADDRESS), {
    method: "POST", body: JSON.stringify(masks),
    headers: { "Content-Type": "application/json", ...authorization() },
  }).catch(() => { throw NO_ANSWER; });
  const answer = await response.json();
  if (!response.ok) throw answer;
  return answer;
}

/** Stop sending a film. */
export function cancel(id) {
  open.get(id)?.();
}

const NO_ANSWER = { title: "The server does not answer", detail: "The server may have been stopped, or the connection was cut." };

const OTHER_SERVICE = {
  title: "The service has changed",
  detail: "The service was started with other weights or another version than those that segmented this film, so the file would hold other outlines than are shown. Reload the page, and look at the film again.",
};

const CANCELLED = { title: "Cancelled", detail: "You cancelled this film; retry sends it again." };

/** Post a film; while the queue is full, retry after the time that the server gives. */
async function postWithRetries(query, file, { id, onProgress = () => {}, type, route = "segmentations" }) {
  for (let tries = 1; ; tries++) {
    const request = await post(`v1/${route}${query}`, file, { id, onProgress, type });
    if (request.status === 200) return request.response;
    const retryAfter = request.status === 503 && request.getResponseHeader("Retry-After");
    if (!retryAfter || tries === MAX_TRIES) throw await problemOf(request);
    onProgress({ step: "queue" });
    await pause(1000 * Number(retryAfter), id);
  }
}

/** Wait, unless the film is cancelled. */
function pause(milliseconds, id) {
  return new Promise((resolve, reject) => {
    open.set(id, () => reject(CANCELLED));
    setTimeout(() => { open.delete(id); resolve(); }, milliseconds);
  });
}

function post(address, file, { id, onProgress, type }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", new URL(address, ADDRESS));
    request.responseType = type;
    if (file instanceof Blob) request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress({ step: "send", share: loaded / total });
    request.upload.onload = () => onProgress({ step: "compute" });
    request.onload = () => resolve(request);
    request.onabort = () => reject(CANCELLED);
    request.onerror = () => reject({ ...NO_ANSWER, detail: `${NO_ANSWER.detail} Start it again and retry this film.` });
    request.onloadend = () => open.delete(id);
    open.set(id, () => request.abort());
    request.send(file);
  });
}

/** The problem details of a failed request, or a substitute if its response has none. */
async function problemOf(request) {
  let problem = request.response;
  try {
    if (problem instanceof Blob) problem = JSON.parse(await problem.text());
  } catch {
    problem = null;
  }
  return problem?.status ? problem : { status: request.status, title: "The server gave no clear answer", detail: "Try again." };
}
