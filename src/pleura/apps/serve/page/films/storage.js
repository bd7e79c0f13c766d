// The browser's own store (IndexedDB): it keeps the films of the page for a reload, until they are forgotten.

const STORE = "films";

const opened = new Promise((resolve) => {
  const request = indexedDB.open(`pleura ${new URL("../../", import.meta.url).pathname}`, 1);
  request.onupgradeneeded = () => request.result.createObjectStore(STORE, { autoIncrement: true });
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => resolve(null); // in a private window, for one: the page works without
});

/** The results of the requests that `action` makes of the store, in one transaction; null if it fails. */
async function run(mode, action) {
  const database = await opened;
  if (!database) return null;
  return new Promise((resolve) => {
    const transaction = database.transaction(STORE, mode);
    const requests = action(transaction.objectStore(STORE));
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

/** The films of the last time: a list of { file, name, force, flip, stored }. */
export async function storedFilms() {
  const [keys, values] = (await run("readonly", (films) => [films.getAllKeys(), films.getAll()])) ?? [[], []];
  return values.map((value, index) => ({ ...value, stored: keys[index] }));
}

export async function forget(film) {
  const key = await film.stored;
  if (key !== null && key !== undefined) await run("readwrite", (films) => [films.delete(key)]);
}

export const forgetAll = () => run("readwrite", (films) => [films.clear()]);
