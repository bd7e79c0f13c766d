// The one way to the server: a film goes as it is, and what comes back is all there is.

const MOST_TRIES = 20;
let key = "";

export const useKey = (given) => { key = given; };

export async function model() {
  return (await fetch("/v1/model")).json();
}

export async function example() {
  const told = await fetch("/v1/example.png");
  if (!told.ok) throw new Error("the example could not be drawn");
  return new File([await told.blob()], "example.png", { type: "image/png" });
}

/** Segment a film by every definition the weights give; `tell` hears of the progress. */
export const segment = (film, { force }, tell) =>
  patient(`?lungs=all&include=rle&include=mask&include=film&include=row&force=${force}`, film, { tell, type: "json" });

/** A film in another format, as the command line would write it. */
export const file = (film, { definition, format, force }) =>
  patient(`?lungs=${definition}&format=${format}&force=${force}`, film, { tell: () => {}, type: "blob" });

/** Ask again while the queue is full, when the server says. */
async function patient(query, file, { tell, type }) {
  for (let tries = 1; ; tries++) {
    const request = await send(query, file, { tell, type });
    if (request.status === 200) return request.response;
    const busy = request.status === 503 && request.getResponseHeader("Retry-After");
    if (!busy || tries === MOST_TRIES) throw await problemOf(request);
    tell({ step: "queue" });
    await new Promise((done) => setTimeout(done, 1000 * Number(busy)));
  }
}

function send(query, file, { tell, type }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/v1/segmentations${query}`);
    request.responseType = type;
    request.setRequestHeader("Content-Type", "application/octet-stream");
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = ({ loaded, total }) => tell({ step: "send", share: loaded / total });
    request.upload.onload = () => tell({ step: "compute" });
    request.onload = () => resolve(request);
    request.onerror = () => reject({
      title: "The server does not answer",
      detail: "It may have been stopped, or the connection was cut. Start it again and drop the film once more.",
    });
    request.send(file);
  });
}

async function problemOf(request) {
  let told = request.response;
  try {
    if (told instanceof Blob) told = JSON.parse(await told.text());
  } catch {
    told = null;
  }
  return told?.status ? told : { status: request.status, title: "The server gave no clear answer", detail: "Try again." };
}
