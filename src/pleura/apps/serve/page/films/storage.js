// The browser's own store (IndexedDB): it keeps the films of the page for a reload, until they are forgotten.

const STORE = "films"; // { file, name, force, flip }
const STATES = "states"; // decisions and edits, under the key of their film

const opened = new Promise((resolve) => {
  const request = indexedDB.open(`pleura ${new URL("../../", import.meta.url).pathname}`, 2);
  request.onupgradeneeded = () => {
    const { result: database } = request;
    if (!database.objectStoreNames.contains(STORE)) database.createObjectStore(STORE, { autoIncrement: true });
    database.createObjectStore(STATES);
  };
  request.onsuccess = () => {
    request.result.onversionchange = () => request.result.close(); // a page of a later version opens it
    resolve(request.result);
  };
  request.onblocked = () => resolve(null); // an open page of an earlier version holds it
  request.onerror = () => resolve(null); // in a private window, for one: the page works without
});

/** The results of the requests that `action` makes of the two stores, in one transaction; null if it fails. */
async function run(mode, action) {
  const database = await opened;
  if (!database) return null;
  return new Promise((resolve) => {
    const transaction = database.transaction([STORE, STATES], mode);
    const requests = action(transaction.objectStore(STORE), transaction.objectStore(STATES));
    transaction.oncomplete = () => resolve(requests.map(({ result }) => result));
    transaction.onabort = transaction.onerror = () => resolve(null); // such as a full disk
  });
}

/** Keep a film; `film.stored` becomes its key, or null where nothing can be stored. */
export async function store(film) {
  film.stored = run("readwrite", (films) => [films.add(contentOf(film))]).then((keys) => keys?.[0] ?? null);
  return (await film.stored) !== null;
}

const contentOf = ({ file, name, force, flip }) => ({ file, name, force, flip });

/** Store the present options of a film. */
export async function update(film) {
  const key = await film.stored;
  if (key !== null && key !== undefined) await run("readwrite", (films) => [films.put(contentOf(film), key)]);
}

/** Store the reviewer's decision on a film, and its edited masks. */
export async function updateState(film) {
  const key = await film.stored;
  const { decision, decidedAt, comment, edits, byHand, reference } = film;
  const state = { decision, decidedAt, comment, edits, byHand, reference };
  if (key !== null && key !== undefined) await run("readwrite", (_, states) => [states.put(state, key)]);
}

/** The films of the last time: a list of { file, name, force, flip, stored } and their decisions and edits. */
export async function storedFilms() {
  const all = (store) => [store.getAllKeys(), store.getAll()];
  const read = await run("readonly", (films, states) => [...all(films), ...all(states)]);
  const [keys, values, stateKeys, states] = read ?? [[], [], [], []];
  const stateOf = new Map(stateKeys.map((key, index) => [key, states[index]]));
  return values.map((value, index) => ({ ...value, ...stateOf.get(keys[index]), stored: keys[index] }));
}

export async function forget(film) {
  const key = await film.stored;
  if (key !== null && key !== undefined) await run("readwrite", (films, states) => [films.delete(key), states.delete(key)]);
}

/** Delete all that is kept; whether nothing is left. */
export const forgetAll = async () => !(await opened) || (await run("readwrite", (films, states) => [films.clear(), states.clear()])) !== null;
