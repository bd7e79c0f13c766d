// Requests to the service: films, results and downloads.

const MAX_TRIES = 20;
let key = "";

export const useKey = (newKey) => { key = newKey; };

export async function model() {
  return (await fetch("/v1/model")).json();
}

export async function example() {
  const response = await fetch("/v1/example.png");
  if (!response.ok) throw new Error("the example could not be drawn");
  return new File([await response.blob()], "example.png", { type: "image/png" });
}

/** Segment a film by every definition of the weights; `onProgress` is called with the progress. */
export const segment = (film, { force }, onProgress) =>
  postWithRetries(`?lungs=all&include=rle&include=mask&include=film&include=row&force=${force}`, film, { onProgress, type: "json" });

/** The result of a film in another format, as the command line writes it. */
export const file = (film, { definition, format, force }) =>
  postWithRetries(`?lungs=${definition}&format=${format}&force=${force}`, film, { onProgress: () => {}, type: "blob" });

/** Post a film; while the queue is full, retry after the time that the server gives. */
async function postWithRetries(query, file, { onProgress, type }) {
  for (let tries = 1; ; tries++) {
    const request = await post(query, file, { onProgress, type });
    if (request.status === 200) return request.response;
    const retryAfter = request.status === 503 && request.getResponseHeader("Retry-After");
    if (!retryAfter || tries === MAX_TRIES) throw await problemOf(request);
    onProgress({ step: "queue" });
    await new Promise((done) => setTimeout(done, 1000 * Number(retryAfter)));
  }
}

function post(query, file, { onProgress, type }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1/segmentations${query}`);
    request.responseType = type;
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress({ step: "send", share: loaded / total });
    request.upload.onload = () => onProgress({ step: "compute" });
    request.onload = () => resolve(request);
    request.onerror = () => reject({
      title: "The server does not answer",
      detail: "It may have been stopped, or the connection was cut. Start it again and drop the film once more.",
    });
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
